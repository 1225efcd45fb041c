/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold guard prompt: judge a text, or many. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cli/guard.h"
#include "guard/prompt/tool.h"

struct request {
	bool json, stream, help;
	enum pf__source source;
	enum pf__path path;
	const char *weights, *file;
};

/* For help and misuse. */
static const struct pf_verb verb = {
	.name = "guard prompt",
	.summary = "judge a text that a model will read",
	.usage = PF_PROMPT_USAGE,
	.text = PF_PROMPT_TEXT,
	.opts = pf_guard_prompt_opts,
};

int pf__source_find(const char *name, enum pf__source *out)
{
	if (strcmp(name, "user") != 0 && strcmp(name, "tool") != 0)
		return -EINVAL;
	*out = name[0] == 'u' ? PF_SOURCE_USER : PF_SOURCE_TOOL;
	return 0;
}

static int find_path(const char *name, enum pf__path *out, struct pf_error *err)
{
	for (unsigned i = 0; i < PF_PATH_COUNT; i++) {
		if (strcmp(name, pf__path_name((enum pf__path)i)) != 0)
			continue;
		if (!pf__path_runs((enum pf__path)i))
			return pf_fail(err, -ENOTSUP, "this processor has no %s", name);
		*out = (enum pf__path)i;
		return 0;
	}
	return pf_fail(err, -EINVAL, "--cpu takes scalar, avx2 or avx512-vnni, not \"%.40s\"", name);
}

static int take(struct request *q, const struct pf_arg *arg, struct pf_error *err)
{
	if (arg->own == &pf_guard_prompt_opts[PF_PROMPT_SOURCE] &&
	    pf__source_find(arg->value, &q->source) < 0)
		return pf_fail(err, -EINVAL, "--source takes user or tool, not \"%.40s\"", arg->value);
	if (arg->own == &pf_guard_prompt_opts[PF_PROMPT_CPU])
		return find_path(arg->value, &q->path, err);
	if (arg->own == &pf_guard_prompt_opts[PF_PROMPT_WEIGHTS])
		q->weights = arg->value;
	q->json = q->json || arg->own == &pf_guard_prompt_opts[PF_PROMPT_JSON];
	q->stream = q->stream || arg->own == &pf_guard_prompt_opts[PF_PROMPT_STREAM];
	q->help = q->help || arg->own == &pf_guard_prompt_opts[PF_PROMPT_HELP];
	return 0;
}

static int read_args(struct request *q, char **argv, struct pf_error *err)
{
	struct pf_args args = {.argv = argv, .own = pf_guard_prompt_opts, .words_between = true};
	struct pf_arg arg;
	int r;

	while ((r = pf_args_next(&args, &arg, err)) == 1) {
		r = take(q, &arg, err);
		if (r < 0)
			return r;
	}
	if (r < 0 || q->help)
		return r;
	if (args.words > 1 || (q->stream && args.words > 0))
		return pf_fail(err, -EINVAL, "guard prompt takes one FILE, and --stream none");
	q->file = args.words ? argv[0] : "-";
	return 0;
}

/* Beside this program: the installed file, whichever the prefix, and that of a build. */
static int installed(char out[512], struct pf_error *err)
{
	char exe[400];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (n <= 0 || (size_t)n >= sizeof(exe) - 1)
		return pf_fail(err, -ENOENT, "cannot find this program's own place");
	exe[n] = '\0';
	for (unsigned up = 0; up < 3; up++) {
		slash = strrchr(exe, '/');
		if (!slash)
			return pf_fail(err, -ENOENT, "cannot find this program's own place");
		*slash = '\0';
	}
	snprintf(out, 512, "%s/share/pinfold/guard-prompt.bin", exe);
	return 0;
}

int pf__guard_open(struct pf__guard *g, const char *weights, enum pf__path path, struct pf_error *err)
{
	char found[512];
	int r = weights ? 0 : installed(found, err);

	if (r == 0)
		r = pf__weights_open(&g->weights, weights ? weights : found, err);
	if (r < 0)
		return r;
	g->scratch = aligned_alloc(64, (sizeof(*g->scratch) + 63) & ~(size_t)63);
	g->judge = malloc(sizeof(*g->judge));
	if (!g->scratch || !g->judge) {
		pf__guard_close(g);
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	pf__judge_init(g->judge, &g->weights,
		       pf__path_forward(path == PF_PATH_COUNT ? pf__path_best() : path), g->scratch);
	return 0;
}

void pf__guard_close(struct pf__guard *g)
{
	free(g->judge);
	free(g->scratch);
	pf__weights_close(&g->weights);
	*g = (struct pf__guard){0};
}

static int read_all(struct pf__judge *judge, const char *file, struct pf_error *err)
{
	bool in = strcmp(file, "-") == 0;
	PF_AUTO_CLOSE int fd = in ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	static char piece[65536];
	ssize_t n;

	if (fd < 0)
		return pf_fail_errno(err, "cannot open %.300s", file);
	while ((n = read(fd, piece, sizeof(piece))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pf_fail_errno(err, "cannot read %.300s", in ? "the text" : file);
		if (!pf__judge_add(judge, piece, (size_t)n))
			return 0;
	}
	return 0;
}

/* 0 clear, 1 suspect, 2 attack. */
static int judge_one(struct pf__guard *g, const struct request *q)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_error err = {0};
	struct pf__verdict v;
	struct pf_jsonw w;
	int code;

	pf__judge_begin(g->judge, q->source);
	if (read_all(g->judge, q->file, &err) < 0 || pf__judge_end(g->judge, &v, &err) < 0)
		return pf_cli_fail(&err);
	if (q->json) {
		pf_jsonw_init(&w, &out, 0);
		pf_jsonw_begin(&w, '{');
		pf__verdict_json(&w, &v, q->source, g->weights.digest);
		pf_jsonw_end(&w, '}');
		pf_buf_addc(&out, '\n');
	} else {
		pf__verdict_text(&out, &v);
	}
	code = pf_cli_out(&out);
	return code ? code : (int)v.level;
}

int pf__guard_main(char **argv)
{
	struct request q = {.source = PF_SOURCE_TOOL, .path = PF_PATH_COUNT};
	struct pf__guard g = {0};
	struct pf_error err = {0};
	int code;

	if (read_args(&q, argv, &err) < 0)
		return pf_cli_misuse(&verb, &err);
	if (q.help)
		return pf_cli_help(&verb);
	if (pf__guard_open(&g, q.weights, q.path, &err) < 0)
		return pf_cli_fail(&err);
	code = q.stream ? pf__guard_stream(&g, q.source) : judge_one(&g, &q);
	pf__guard_close(&g);
	return code;
}
