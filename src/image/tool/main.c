/* SPDX-License-Identifier: Apache-2.0 */
/* The program pinfold-image: the table of its verbs. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/san.h"
#include "base/str.h"
#include "cli/complete.h"
#include "image/tool/tool.h"

#ifdef PF_SAN_BUILD
PF_SAN_OPTIONS("detect_leaks=1")
#endif

/* The parser of options (cli/args.h) knows those of a policy too: this program has none. */
const struct pf_policy_opt pf_policy_opts[] = {{0}};

static const struct pf_verb *const verbs[] = {
	&pf__tool_import, &pf__tool_build, &pf__tool_pull,   &pf__tool_ls,     &pf__tool_inspect,
	&pf__tool_tag,	  &pf__tool_rm,	   &pf__tool_unpack, &pf__tool_ensure,
};

static const char *verb_word(const struct pf_verb *v)
{
	return v->name + strlen("image ");
}

static const char *word_at(const void *user, size_t i)
{
	(void)user;
	return i < PF_ARRAY_SIZE(verbs) ? verb_word(verbs[i]) : NULL;
}

static void overview(struct pf_buf *out)
{
	pf_buf_adds(out, "usage: pinfold image VERB ...\n\n");
	for (size_t i = 0; i < PF_ARRAY_SIZE(verbs); i++)
		pf_buf_addf(out, "  %-8s %s\n", verb_word(verbs[i]), verbs[i]->summary);
	pf_buf_adds(out, "\n\"pinfold image VERB --help\" tells more.\n");
}

static int unknown_verb(const char *name)
{
	const char *near = pf_args_near(name, word_at, NULL);
	char shown[128];

	pf_printable(name, strlen(name), shown, sizeof(shown));
	if (near)
		pf_cli_say("there is no verb \"image %s\"; did you mean \"image %s\"?", shown, near);
	else
		pf_cli_say("there is no verb \"image %s\"; \"pinfold help image\" lists what there is",
			   shown);
	return PF_EXIT_ERROR;
}

int pf__tool_begin(struct pf_dirs *dirs, struct pf_error *err)
{
	unsigned removed;
	int r = pf_dirs_find(NULL, dirs, err);

	return r < 0 ? r : pf_image_sweep(dirs->state, &removed, err);
}

/* A caller may start us with 0, 1 or 2 closed; the next file would take the number, and be written into. */
static void fill_standard_fds(void)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) < 0)
			_exit(PF_EXIT_ERROR);
	}
}

static void ids(enum pf_words kind, struct pf_list *out)
{
	struct pf_dirs dirs;

	if (kind == PF_WORDS_IMAGES && pf_dirs_find(NULL, &dirs, NULL) == 0)
		pf_complete_images(dirs.state, out);
}

int main(int argc, char **argv)
{
	PF_AUTO_BUF struct pf_buf out = {0};

	fill_standard_fds();
	if (pf_san_refused()) {
		pf_cli_say("a sanitizer build is for tests");
		return PF_EXIT_ERROR;
	}
	pf_san_bug("image");
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		overview(&out);
		pf_write_full(STDERR_FILENO, out.data, out.len);
		return PF_EXIT_ERROR;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		overview(&out);
		return pf_cli_out(&out);
	}
	if (strcmp(argv[1], "complete") == 0)
		return pf_complete(&(struct pf_complete){verbs, PF_ARRAY_SIZE(verbs), ids}, argv + 2);
	for (size_t i = 0; i < PF_ARRAY_SIZE(verbs); i++) {
		if (strcmp(verb_word(verbs[i]), argv[1]) == 0)
			return verbs[i]->main(argv + 2);
	}
	return unknown_verb(argv[1]);
}
