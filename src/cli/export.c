/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold export: a change set as a layer of an OCI image, into a file or a pipe. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "workspace/change.h"

enum { OPT_OUT, OPT_SECRETS, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_OUT] = {"output", 'o', PF_OPT_VALUE, "FILE", "into this file instead of standard output"},
	[OPT_SECRETS] = {"with-secrets", 0, PF_OPT_FLAG, NULL,
			 "also files where the policy hides secrets (.env ...)"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct request {
	const char *id, *file;
	bool secrets, help;
};

static int read_args(struct request *q, char **argv, struct pf_error *err)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_arg arg;
	int r;

	while ((r = pf_args_next(&args, &arg, err)) == 1) {
		if (arg.own == &opts[OPT_OUT])
			q->file = arg.value;
		else if (arg.own == &opts[OPT_SECRETS])
			q->secrets = true;
		else
			q->help = true;
	}
	if (r < 0 || q->help)
		return r;
	q->id = argv[0];
	if (args.words > 1)
		return pf_fail(err, -EINVAL, "one change set at a time");
	if (!q->id)
		return pf_fail(err, -EINVAL,
			       "which change set? \"pinfold ls\" lists them, \"last\" is the newest");
	return 0;
}

static void say_secrets(const struct pf_changeset *set)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_list paths = {0};

	if (pf_change_secrets(set, &paths) == 0) {
		for (size_t i = 0; i < paths.count; i++) {
			pf_buf_adds(&out, "pinfold: may be secret: ");
			pf_cli_name(&out, paths.items[i]);
			pf_buf_addc(&out, '\n');
		}
	}
	pf_list_free(&paths);
	if (out.len)
		pf_write_full(STDERR_FILENO, out.data, out.len);
}

void pf_cli_notes(struct pf_list *notes)
{
	PF_AUTO_BUF struct pf_buf out = {0};

	for (size_t i = 0; i < notes->count; i++) {
		pf_buf_adds(&out, "pinfold: note: ");
		pf_cli_name(&out, notes->items[i]);
		pf_buf_addc(&out, '\n');
	}
	pf_list_free(notes);
	if (out.len)
		pf_write_full(STDERR_FILENO, out.data, out.len);
}

int pf_cli_export(int changes_fd, const struct pf_changeset *set, bool secrets, int out_fd)
{
	struct pf_list notes = {0};
	struct pf_error err = {0};
	int r;

	if (isatty(out_fd) == 1) {
		pf_cli_say("a tar archive is nothing for a terminal: use \"pinfold export %s -o FILE\", or a "
			   "pipe",
			   set->id);
		return PF_EXIT_ERROR;
	}
	r = pf_change_export(changes_fd, set, secrets, out_fd, &notes, &err);
	pf_cli_notes(&notes);
	if (r == -EPIPE)
		return 141;
	if (r == -EPERM && set->secrets && !secrets) {
		say_secrets(set);
		pf_cli_say("not exported: look at those, then \"pinfold export --with-secrets %s\"", set->id);
		return 1;
	}
	return r < 0 ? pf_cli_fail(&err) : 0;
}

/* A pipe or device is written as it is. */
static int into_special(const struct request *q, int changes_fd, const struct pf_changeset *set)
{
	PF_AUTO_CLOSE int fd = open(q->file, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	if (fd >= 0)
		return pf_cli_export(changes_fd, set, q->secrets, fd);
	pf_cli_say("cannot open %s: %s", q->file, strerror(errno));
	return PF_EXIT_ERROR;
}

/* Into a new file beside the name, so that nothing half written stands under it, and what stood there stays
 * until all is well. */
static int into_file(const struct request *q, int changes_fd, const struct pf_changeset *set)
{
	PF_AUTO_FREE char *temp = NULL;
	PF_AUTO_CLOSE int fd = -1;
	struct stat st;
	uint64_t tag;
	int code;

	if (stat(q->file, &st) == 0 && !S_ISREG(st.st_mode))
		return into_special(q, changes_fd, set);
	pf_random(&tag, sizeof(tag));
	if (asprintf(&temp, "%s.%016llx", q->file, (unsigned long long)tag) < 0) {
		temp = NULL;
		pf_cli_say("out of memory");
		return PF_EXIT_ERROR;
	}
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0) {
		pf_cli_say("cannot write beside %s: %s", q->file, strerror(errno));
		return PF_EXIT_ERROR;
	}
	code = pf_cli_export(changes_fd, set, q->secrets, fd);
	if (code == 0 && rename(temp, q->file) < 0) {
		pf_cli_say("cannot write %s: %s", q->file, strerror(errno));
		code = PF_EXIT_ERROR;
	}
	if (code)
		unlink(temp);
	return code;
}

static int export_main(char **argv)
{
	PF_AUTO_CLOSE int fd = -1;
	struct request q = {0};
	struct pf_changeset set;
	struct pf_error err = {0};
	struct pf_dirs dirs;
	int code;

	if (read_args(&q, argv, &err) < 0)
		return pf_cli_misuse(&pf_verb_export, &err);
	if (q.help)
		return pf_cli_help(&pf_verb_export);
	fd = pf_cli_changes(&dirs, &err);
	if (fd < 0 || pf_cli_load(fd, &dirs, q.id, &set, &err) < 0)
		return pf_cli_fail(&err);
	code = q.file && strcmp(q.file, "-") != 0 ? into_file(&q, fd, &set)
						  : pf_cli_export(fd, &set, q.secrets, STDOUT_FILENO);
	pf_change_free(&set);
	return code;
}

const struct pf_verb pf_verb_export = {
	.name = "export",
	.summary = "write a sandbox's changes as a tar archive (OCI layer)",
	.usage = "export ID [--with-secrets] [-o FILE]\n",
	.text = "ID is a change set of \"pinfold ls\", the beginning of one, or \"last\". The archive is a "
		"layer of an "
		"OCI\n"
		"image: what was deleted stands in it as .wh.NAME. If the set has files where the policy "
		"hides "
		"secrets, they are\n"
		"named, nothing is written and the exit code is 1, unless --with-secrets is given.",
	.opts = opts,
	.main = export_main,
	.words = PF_WORDS_SETS,
};
