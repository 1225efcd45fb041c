/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold output: a long output that the result could not show whole, or a part of it. Into a file or pipe
 * the bytes are exact; to a terminal nothing passes that the sandbox wrote but printable text.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"
#include "sandbox/outputs.h"

#define PIECE 65536

enum { OPT_STDERR, OPT_RANGE, OPT_HEAD, OPT_TAIL, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_STDERR] = {"stderr", 0, PF_OPT_FLAG, NULL, "standard error instead of standard output"},
	[OPT_RANGE] = {"range", 0, PF_OPT_VALUE, "FROM-[TO]",
		       "bytes FROM to TO, both included, counted from 0; without TO to the end"},
	[OPT_HEAD] = {"head", 0, PF_OPT_VALUE, "SIZE", "the first SIZE bytes"},
	[OPT_TAIL] = {"tail", 0, PF_OPT_VALUE, "SIZE", "the last SIZE bytes"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct request {
	const char *id;
	enum pf_stream stream;
	int part; /* OPT_RANGE, OPT_HEAD, OPT_TAIL; 0: everything */
	uint64_t from, size;
	bool help;
};

static int parse_range(struct request *q, const char *value, struct pf_error *err)
{
	const char *dash = strchr(value, '-');
	char from[32];
	uint64_t to;

	q->size = UINT64_MAX;
	if (!dash || (size_t)(dash - value) >= sizeof(from))
		return pf_fail(err, -EINVAL, "--range FROM-TO or FROM-, as in 0-4095");
	memcpy(from, value, (size_t)(dash - value));
	from[dash - value] = '\0';
	if (pf_parse_size(from, &q->from) < 0 || (dash[1] && pf_parse_size(dash + 1, &to) < 0))
		return pf_fail(err, -EINVAL, "--range FROM-TO or FROM-, as in 0-4095");
	if (!dash[1])
		return 0;
	if (to < q->from)
		return pf_fail(err, -EINVAL, "--range ends before it begins");
	q->size = to - q->from == UINT64_MAX ? UINT64_MAX : to - q->from + 1;
	return 0;
}

static int take(struct request *q, const struct pf_arg *arg, struct pf_error *err)
{
	int which = (int)(arg->own - opts);

	if (which == OPT_HELP) {
		q->help = true;
		return 0;
	}
	if (which == OPT_STDERR) {
		q->stream = PF_STDERR;
		return 0;
	}
	if (q->part)
		return pf_fail(err, -EINVAL, "--range, --head and --tail exclude each other");
	q->part = which;
	if (which == OPT_RANGE)
		return parse_range(q, arg->value, err);
	if (pf_parse_size(arg->value, &q->size) < 0)
		return pf_fail(err, -EINVAL, "--%s takes a size in bytes, such as 4096 or 64K",
			       arg->own->name);
	return 0;
}

static int read_args(struct request *q, char **argv, struct pf_error *err)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_arg arg;
	int r;

	while ((r = pf_args_next(&args, &arg, err)) == 1)
		if ((r = take(q, &arg, err)) < 0)
			return r;
	if (r < 0 || q->help)
		return r;
	q->id = argv[0];
	if (args.words > 1)
		return pf_fail(err, -EINVAL, "one output at a time");
	if (!q->id)
		return pf_fail(err, -EINVAL,
			       "of which command? \"pinfold ls\" lists what is kept, \"last\" is the newest");
	return 0;
}

/* --- printing -------------------------------------------------------------------- */

/* Lines and tabs stay; so does the carriage return before a newline, which a terminal inside has added. */
static int put_printable(const char *p, size_t n)
{
	static char text[PIECE * 4 + 1];
	PF_AUTO_BUF struct pf_buf out = {0};

	while (n) {
		size_t plain = 0;

		while (plain < n && p[plain] != '\n' && p[plain] != '\t' && p[plain] != '\r')
			plain++;
		pf_printable(p, plain, text, sizeof(text));
		pf_buf_adds(&out, text);
		p += plain;
		n -= plain;
		if (!n)
			break;
		if (*p == '\r' && (n < 2 || p[1] != '\n'))
			pf_buf_adds(&out, "\\x0d");
		else
			pf_buf_addc(&out, *p);
		p++;
		n--;
	}
	return out.failed ? -ENOMEM : pf_write_full(STDOUT_FILENO, out.data ? out.data : "", out.len);
}

/* Where this piece may be cut for a terminal: not inside of a character nor of "\r\n", unless it is the last.
 */
static size_t whole(const char *p, size_t n, bool last)
{
	size_t w = last ? n : pf_utf8_whole(p, n);

	return !last && w > 1 && p[w - 1] == '\r' ? w - 1 : w;
}

static int print(int fd, uint64_t from, uint64_t left, struct pf_error *err)
{
	static char bytes[PIECE];
	bool terminal = isatty(STDOUT_FILENO) == 1;

	while (left) {
		size_t want = left < sizeof(bytes) ? (size_t)left : sizeof(bytes), n;
		ssize_t got = pread(fd, bytes, want, (off_t)from);
		int r;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return pf_fail_errno(err, "cannot read the output");
		if (got == 0)
			return pf_fail(err, -EBADMSG, "the output has become shorter while it was read");
		n = terminal ? whole(bytes, (size_t)got, (uint64_t)got == left) : (size_t)got;
		r = terminal ? put_printable(bytes, n) : pf_write_full(STDOUT_FILENO, bytes, n);
		if (r < 0)
			return r == -EPIPE ? r : pf_fail(err, r, "cannot write the output: %s", strerror(-r));
		from += n;
		left -= n;
	}
	return 0;
}

static int print_part(const struct request *q, int fd, uint64_t bytes, struct pf_error *err)
{
	uint64_t from = q->from, left = bytes;

	if (from > bytes)
		return pf_fail(err, -ERANGE, "%s has no byte %llu: there are %llu",
			       q->stream == PF_STDERR ? "stderr" : "stdout", (unsigned long long)from,
			       (unsigned long long)bytes);
	if (q->part == OPT_TAIL && q->size < bytes)
		from = bytes - q->size;
	left = bytes - from;
	return print(fd, from, q->part && q->size < left ? q->size : left, err);
}

/* --- finding --------------------------------------------------------------------- */

static int explain(const struct pf_dirs *dirs, const char *id, struct pf_error *err)
{
	struct pf_error ignored;
	struct pf_live *list;
	size_t count, box = strcspn(id, ".");

	if (strcmp(id, "last") == 0)
		return pf_fail(err, -ENOENT,
			       "no output is kept: that is done with what is more than limits.output_inline");
	pf_fail(err, -ENOENT,
		"no output '%.60s' is kept: that is done with what is more than limits.output_inline, for 7 "
		"days; \"pinfold ls\" lists it",
		id);
	if (box == 0 || pf_live_list(dirs, &list, &count, &ignored) < 0)
		return -ENOENT;
	for (size_t i = 0; i < count; i++)
		if (list[i].alive && strncmp(list[i].id, id, box) == 0)
			pf_fail(err, -ENOENT, "no output '%.60s' is kept; the sandbox %s still runs", id,
				list[i].id);
	pf_live_free(list, count);
	return -ENOENT;
}

static int show(const struct request *q, struct pf_error *err)
{
	PF_AUTO_CLOSE int outputs = -1, fd = -1;
	struct pf_kept_output o;
	struct pf_dirs dirs;
	int r = pf_dirs_find(NULL, &dirs, err);

	if (r < 0)
		return r;
	outputs = pf_outputs_open(&dirs, false, err);
	r = outputs < 0 ? outputs : pf_outputs_find(outputs, q->id, &o, err);
	if (r == -ENOENT)
		return explain(&dirs, q->id, err);
	if (r < 0)
		return r;
	fd = pf_outputs_stream(outputs, &o, q->stream, err);
	r = fd < 0 ? fd : print_part(q, fd, o.bytes[q->stream == PF_STDERR], err);
	pf_kept_output_free(&o);
	return r;
}

static int output_main(char **argv)
{
	struct request q = {.stream = PF_STDOUT};
	struct pf_error err = {0};
	int r;

	if (read_args(&q, argv, &err) < 0)
		return pf_cli_misuse(&pf_verb_output, &err);
	if (q.help)
		return pf_cli_help(&pf_verb_output);
	r = show(&q, &err);
	if (r == -EPIPE)
		return 141;
	return r < 0 ? pf_cli_fail(&err) : 0;
}

const struct pf_verb pf_verb_output = {
	.name = "output",
	.summary = "print a long output whole, or a part of it",
	.usage = "output ID [--stderr] [--range FROM-[TO] | --head SIZE | --tail SIZE]\n",
	.text = "ID is that of a result, the beginning of one, or \"last\". Output beyond "
		"limits.output_inline, of which a\n"
		"result shows head and tail, is kept for 7 days (all of it together within 1 GiB) or until "
		"\"pinfold drop\".\n"
		"SIZE, FROM and TO are bytes, with K, M or G if need be. On a terminal, control bytes are "
		"shown as \\xNN.",
	.opts = opts,
	.main = output_main,
	.words = PF_WORDS_OUTPUTS,
};
