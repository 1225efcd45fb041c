/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.prompt in a run: the task's text and what tools returned are judged before the sandbox is made, what
 * the command printed after it ended. A signal to the policy: told, answered by a stricter policy, or a
 * refusal. Under enforce no verdict is a refusal too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/run.h"

/* "tool:FILE", "user:FILE", or FILE, which is what the user wrote. */
static bool from_tool(const char **file)
{
	bool tool = strncmp(*file, "tool:", 5) == 0;

	if (tool || strncmp(*file, "user:", 5) == 0)
		*file += 5;
	return tool;
}

static int find_program(char out[600], struct pf_error *err)
{
	struct pf_dirs dirs;
	int r = pf_dirs_find(NULL, &dirs, err);

	if (r == 0)
		snprintf(out, 600, "%s/pinfold-guard", dirs.libexec);
	return r;
}

static int ask_file(const char *file, bool tool, struct pf_prompt_verdict *v, struct pf_error *err)
{
	bool in = strcmp(file, "-") == 0;
	PF_AUTO_CLOSE int fd = in ? -1 : open(file, O_RDONLY | O_CLOEXEC);
	char program[600];
	int r;

	if (!in && fd < 0)
		return pf_fail_errno(err, "cannot open %.200s", file);
	r = find_program(program, err);
	return r < 0 ? r : pf_prompt_ask(program, tool, in ? STDIN_FILENO : fd, v, err);
}

/* The document over the policy as it is; what contradicts itself then does not run. */
static int make_stricter(struct pf_run *run, struct pf_error *err)
{
	char path[512];
	int r;

	if (run->stricter)
		return 0;
	/* The document may have a "stricter" of its own, which is for another run. */
	snprintf(path, sizeof(path), "%s", run->policy->guard_prompt.stricter);
	r = pf_policy_load(run->policy, path, err);
	if (r == 0)
		r = pf_policy_check(run->policy, err);
	run->stricter = r == 0;
	return r < 0 ? pf_wrap(err, "guard.prompt.stricter") : 0;
}

static void refuse(struct pf_run *run, const char *file, bool tool, const struct pf_prompt_verdict *v)
{
	struct pf_result *r = &run->result;
	char text[PF_ERROR_MAX];

	pf_result_deny(r, "prompt", file, tool ? "guard.prompt.tool" : "guard.prompt.user",
		       "read the text; guard.prompt of the policy says what follows from a level");
	snprintf(text, sizeof(text), "guard.prompt says %s of %.200s (score %.2f)",
		 pf_prompt_level_name(v->level), file, v->score);
	r->cause = PF_CAUSE_DENIED;
	free(r->error);
	r->error = strdup(text);
}

static int judge_one(struct pf_run *run, const char *file, struct pf_error *err)
{
	bool tool = from_tool(&file);
	struct pf_policy_prompt *p = &run->policy->guard_prompt;
	enum pf_guard_mode mode = (enum pf_guard_mode)(tool ? p->tool : p->user);
	struct pf_prompt_verdict v = {0};
	struct pf_error why = {0};
	int r = mode == PF_GUARD_OFF ? 0 : ask_file(file, tool, &v, &why);

	if (pf_prompts_add(&run->result.prompts, file, tool, mode, &v, why.code ? why.msg : NULL) < 0) {
		free(v.answer);
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	if (mode != PF_GUARD_ENFORCE)
		return 0;
	if (r < 0) {
		*err = why;
		return pf_wrap(err, "guard.prompt is enforced, and there is no verdict");
	}
	if (v.level < (enum pf_prompt_level)p->at)
		return 0;
	if (p->stricter)
		return make_stricter(run, err);
	refuse(run, file, tool, &v);
	return 0;
}

int pf_run_prompts(struct pf_run *run, struct pf_error *err)
{
	for (size_t i = 0; i < run->prompt_count && run->result.cause == PF_CAUSE_NONE; i++) {
		int r = judge_one(run, run->prompts[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

void pf_run_judge_output(struct pf_run *run)
{
	struct pf_result *r = &run->result;
	const struct {
		const char *name;
		const struct pf_buf *text;
	} streams[] = {{"stdout", &r->out}, {"stderr", &r->err}};
	struct pf_error none = {0};
	char program[600];

	if (!run->policy || run->policy->guard_prompt.output == PF_GUARD_OFF)
		return;
	for (size_t i = 0; i < PF_ARRAY_SIZE(streams); i++) {
		struct pf_prompt_verdict v = {0};
		struct pf_error err = {0};

		if (!streams[i].text->len)
			continue;
		if (find_program(program, &err) == 0)
			pf_prompt_ask_bytes(program, true, streams[i].text->data, streams[i].text->len, &v,
					    &err);
		if (pf_prompts_add(&r->prompts, streams[i].name, true, PF_GUARD_AUDIT, &v,
				   err.code ? err.msg : NULL) < 0) {
			free(v.answer);
			pf_fail(&none, -ENOMEM, "out of memory: the output was not judged");
			pf_cli_fail(&none);
		}
	}
}
