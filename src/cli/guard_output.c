/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold guard output: a filter on a pipe that writes [redacted:NAME] where secrets stood. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/guard.h"
#include "guard/redact.h"
#include "guard/secret.h"

#define CHUNK	 65536
#define PAUSE_MS 100

enum { OPT_SECRET, OPT_AUDIT, OPT_COUNTS, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_SECRET] = {"secret", 0, PF_OPT_VALUE, "NAME=@FILE|env:VAR",
			"a value to look for (may be repeated)"},
	[OPT_AUDIT] = {"audit", 0, PF_OPT_FLAG, NULL, "change nothing, only find"},
	[OPT_COUNTS] = {"counts", 0, PF_OPT_FLAG, NULL, "say on standard error what was found"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct filter {
	struct pf_redact *redact;
	bool audit, counts, help;
	int error; /* of writing: negative errno */
};

static int read_args(struct filter *f, char **argv, struct pf_error *err)
{
	struct pf_args args = {.argv = argv, .own = opts};
	struct pf_arg arg;
	int r;

	while ((r = pf_args_next(&args, &arg, err)) == 1) {
		if (arg.own == &opts[OPT_SECRET]) {
			r = pf_secret_add(f->redact, arg.value, err);
			if (r < 0)
				return r;
		} else if (arg.own == &opts[OPT_AUDIT]) {
			f->audit = true;
		} else if (arg.own == &opts[OPT_COUNTS]) {
			f->counts = true;
		} else {
			f->help = true;
		}
	}
	if (r == 0 && argv[args.next])
		return pf_fail(err, -EINVAL, "guard output reads standard input and takes no words");
	return r;
}

static void write_out(void *user, const void *p, size_t n)
{
	struct filter *f = user;

	if (f->error == 0)
		f->error = pf_write_full(STDOUT_FILENO, p, n);
}

/* Until the end of the input; a pause lets go what is held where a person watches. */
static int filter(struct filter *f, struct pf_redact_stream *s, bool watched)
{
	static char buf[CHUNK];

	for (;;) {
		struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
		ssize_t n;
		int r;

		if (watched && pf_redact_holds(s) && poll(&in, 1, PAUSE_MS) == 0) {
			r = pf_redact_pause(s);
			if (r < 0 || f->error < 0)
				return r < 0 ? r : f->error;
			continue;
		}
		n = read(STDIN_FILENO, buf, sizeof(buf));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		r = n ? pf_redact_feed(s, buf, (size_t)n) : pf_redact_end(s);
		if (n == 0 || r < 0 || f->error < 0)
			return r < 0 ? r : f->error;
	}
}

static int report(const struct filter *f)
{
	size_t n;
	const struct pf_redact_count *c = pf_redact_counts(f->redact, &n);

	for (size_t i = 0; f->counts && i < n; i++)
		pf_cli_say("%s (%s): %llu", c[i].rule, c[i].encoding, (unsigned long long)c[i].count);
	return n > 0;
}

static int run(struct filter *f)
{
	bool watched = isatty(STDOUT_FILENO);
	struct pf_redact_options o = {.stream = "stdin",
				      .mode = f->audit ? PF_GUARD_AUDIT : PF_GUARD_ENFORCE,
				      .live = watched,
				      .sink = write_out,
				      .user = f};
	struct pf_redact_stream *s = NULL;
	struct pf_error err = {0};
	int r = pf_redact_open(f->redact, &o, &s);

	if (r == 0)
		r = filter(f, s, watched);
	pf_redact_close(s);
	if (r == 0)
		return report(f);
	if (f->error == -EPIPE)
		return 141;
	errno = -r;
	pf_fail_errno(&err, "cannot filter; nothing more was let through");
	return pf_cli_fail(&err);
}

/* Where the others of libexec are; without it archives are replaced unseen. */
static int find_helper(struct pf_redact *r)
{
	char path[600];
	struct pf_dirs dirs;

	if (pf_dirs_find(NULL, &dirs, NULL) < 0)
		return 0;
	snprintf(path, sizeof(path), "%s/pinfold-unpack", dirs.libexec);
	return pf_redact_set_helper(r, path);
}

static int output_main(char **argv)
{
	struct filter f = {0};
	struct pf_error err = {0};
	int code;

	if (pf_redact_new(&f.redact) < 0 || find_helper(f.redact) < 0) {
		pf_fail(&err, -ENOMEM, "no memory");
		return pf_cli_fail(&err);
	}
	if (read_args(&f, argv, &err) < 0)
		code = pf_cli_misuse(&pf_guard_output, &err);
	else if (f.help)
		code = pf_cli_help(&pf_guard_output);
	else
		code = run(&f);
	pf_redact_free(f.redact);
	return code;
}

const struct pf_verb pf_guard_output = {
	.name = "guard output",
	.summary = "take secrets out of what passes",
	.usage = "guard output [--secret NAME=@FILE|env:VAR] [--audit] [--counts]\n",
	.text = "Reads standard input and writes it with [redacted:NAME] where a secret stood: tokens of "
		"known\n"
		"forms, and the values given, in the encodings that people and programs use.\n"
		"Exit code: 0 clean, 1 something was found, 125 an error.\n",
	.opts = opts,
	.main = output_main,
};
