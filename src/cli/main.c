/* SPDX-License-Identifier: Apache-2.0 */
/* The program pinfold: the table of its verbs. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/san.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/complete.h"
#include "sandbox/outputs.h"
#include "workspace/change.h"

#include "pinfold.h"

#ifdef PF_SAN_BUILD
PF_SAN_OPTIONS("detect_leaks=1")
#endif

static const struct pf_verb *const verbs[] = {
	&pf_verb_run,	 &pf_verb_ls,	 &pf_verb_diff,	  &pf_verb_apply,  &pf_verb_export, &pf_verb_drop,
	&pf_verb_output, &pf_verb_image, &pf_verb_policy, &pf_verb_doctor, &pf_verb_guard,
};

static int print_version(char *const *rest)
{
	PF_AUTO_BUF struct pf_buf out = {0};

	if (rest[0]) {
		pf_cli_say("version takes no arguments");
		return PF_EXIT_ERROR;
	}

	pf_buf_addf(&out, "pinfold %s\n", pf_version());
	return pf_cli_out(&out);
}

static const char *verb_name(const void *user, size_t i)
{
	static const char *const more[] = {"version", "help"};

	(void)user;
	if (i < PF_ARRAY_SIZE(verbs))
		return verbs[i]->name;
	i -= PF_ARRAY_SIZE(verbs);
	return i < PF_ARRAY_SIZE(more) ? more[i] : NULL;
}

static const struct pf_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < PF_ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	}
	/* asked for once, when a shell is set up: no line of the overview */
	return strcmp(name, pf_verb_completion.name) == 0 ? &pf_verb_completion : NULL;
}

static void overview(struct pf_buf *out)
{
	pf_buf_adds(out, "pinfold runs a command behind a real boundary and tells what it did.\n\n"
			 "usage: pinfold run [options] [--] COMMAND [ARG...]\n\n");
	for (size_t i = 0; i < PF_ARRAY_SIZE(verbs); i++)
		pf_buf_addf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
	pf_buf_adds(out, "  version  the version of this program\n"
			 "  help     help VERB tells more\n\n"
			 "  pinfold run echo hello\n"
			 "  pinfold run --workspace . -- pytest -q      then: pinfold diff last; pinfold "
			 "apply last\n");
}

static int unknown_verb(const char *name)
{
	const char *near = pf_args_near(name, verb_name, NULL);
	char shown[128];

	pf_printable(name, strlen(name), shown, sizeof(shown));
	if (near)
		pf_cli_say("there is no verb \"%s\"; did you mean \"%s\"?", shown, near);
	else if (name[0] == '-')
		pf_cli_say("there is no option %s before the verb; \"pinfold help\" lists the verbs", shown);
	else
		pf_cli_say("there is no verb \"%s\"; to run a command: pinfold run %s", shown, shown);
	return PF_EXIT_ERROR;
}

static int help(char *const *words)
{
	const char *name = words[0];
	PF_AUTO_BUF struct pf_buf out = {0};
	const struct pf_verb *v;

	if (name) {
		v = find_verb(name);
		if (v == &pf_verb_image && words[1])
			return pf_cli_image_help(words[1]);
		if (v)
			return pf_cli_help(v);
		if (strcmp(name, "version") == 0) {
			pf_buf_adds(&out, "usage: pinfold version\n\nPrints the version of this program.\n");
			return pf_cli_out(&out);
		}
		if (strcmp(name, "help") != 0)
			return unknown_verb(name);
	}
	overview(&out);
	return pf_cli_out(&out);
}

/* A caller may start us with 0, 1 or 2 closed. The next file that is opened would take the number, and the
 * command's output would be written into it. */
static void fill_standard_fds(void)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) < 0)
			_exit(PF_EXIT_ERROR);
	}
}

/* What shells ask for the words of a line: see complete.h. */
static void ids(enum pf_words kind, struct pf_list *out)
{
	struct pf_error ignored;
	struct pf_dirs dirs;
	PF_AUTO_CLOSE int changes = pf_cli_changes(&dirs, &ignored), outputs = -1;

	if (changes < 0)
		return;
	if (kind == PF_WORDS_IMAGES)
		pf_complete_images(dirs.state, out);
	if (kind == PF_WORDS_SETS || kind == PF_WORDS_KEPT)
		pf_change_list(changes, out, NULL);
	if (kind == PF_WORDS_OUTPUTS || kind == PF_WORDS_KEPT)
		outputs = pf_outputs_open(&dirs, false, &ignored);
	if (outputs >= 0)
		pf_outputs_list(outputs, out, NULL);
}

static int complete(char **words)
{
	if (words[0] && words[1] && strcmp(words[0], "image") == 0)
		return pf_cli_image_complete(words + 1);
	return pf_complete(&(struct pf_complete){verbs, PF_ARRAY_SIZE(verbs), ids}, words);
}

int main(int argc, char **argv)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	const struct pf_verb *v;

	fill_standard_fds();
	pf_san_bug("host");
	if (argc < 2) {
		overview(&out);
		pf_write_full(STDERR_FILENO, out.data, out.len);
		return PF_EXIT_ERROR;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0)
		return print_version(argv + 2);
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help(argv + 2);
	if (strcmp(argv[1], "complete") == 0)
		return complete(argv + 2);
	v = find_verb(argv[1]);
	return v ? v->main(argv + 2) : unknown_verb(argv[1]);
}
