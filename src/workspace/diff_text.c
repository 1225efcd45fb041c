/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a patch as git writes it: quoted names, headers, hunks, and the mark of a last line
 * without a newline. On a terminal the content's control bytes are shown as \xNN, since a file can
 * hold any escape sequence; names are always quoted as git does with core.quotepath, which leaves
 * printable ASCII alone.
 */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "workspace/diff_internal.h"

#define FLUSH_AT 65536u
#define PIECE	 1024u /* of a line, made printable at a time */

int pf__sink_flush(struct pf__sink *s)
{
	int r = s->b.failed ? -ENOMEM : 0;

	if (r == 0 && s->b.len)
		r = pf_write_full(s->fd, s->b.data, s->b.len);
	pf_buf_consume(&s->b, s->b.len);
	return r;
}

static int flush_some(struct pf__sink *s)
{
	return s->b.len >= FLUSH_AT || s->b.failed ? pf__sink_flush(s) : 0;
}

static bool needs_quote(unsigned char c)
{
	return c < 0x20 || c >= 0x7f || c == '"' || c == '\\';
}

static void put_quoted(struct pf_buf *out, const char *s)
{
	static const char named[] = "\a\b\t\n\v\f\r\"\\", as[] = "abtnvfr\"\\";

	for (; *s; s++) {
		const char *at = strchr(named, *s);

		if (at)
			pf_buf_addf(out, "\\%c", as[at - named]);
		else if (needs_quote((unsigned char)*s))
			pf_buf_addf(out, "\\%03o", (unsigned)(unsigned char)*s);
		else
			pf_buf_addc(out, *s);
	}
}

void pf__diff_name(struct pf_buf *out, const char *prefix, const char *path)
{
	bool quote = false;

	for (const char *p = path; *p && !quote; p++)
		quote = needs_quote((unsigned char)*p);
	if (!quote) {
		pf_buf_adds(out, prefix);
		pf_buf_adds(out, path);
		return;
	}
	pf_buf_addc(out, '"');
	pf_buf_adds(out, prefix);
	put_quoted(out, path);
	pf_buf_addc(out, '"');
}

/* "--- a/x": a tab ends a name with a space in it, for patch(1), which would cut it there. */
static void put_file_line(struct pf_buf *out, const char *mark, const char *prefix, const char *path)
{
	pf_buf_adds(out, mark);
	if (!prefix) {
		pf_buf_adds(out, "/dev/null\n");
		return;
	}
	pf__diff_name(out, prefix, path);
	pf_buf_adds(out, strchr(path, ' ') ? "\t\n" : "\n");
}

static void put_headers(struct pf__sink *s, const char *path, const struct pf__doc *old,
			const struct pf__doc *new)
{
	struct pf_buf *out = &s->b;

	pf_buf_adds(out, "diff --git ");
	pf__diff_name(out, "a/", path);
	pf_buf_addc(out, ' ');
	pf__diff_name(out, "b/", path);
	pf_buf_addc(out, '\n');
	if (!old->mode)
		pf_buf_addf(out, "new file mode %06o\n", (unsigned)new->mode);
	else if (!new->mode)
		pf_buf_addf(out, "deleted file mode %06o\n", (unsigned)old->mode);
	else if (old->mode != new->mode)
		pf_buf_addf(out, "old mode %06o\nnew mode %06o\n", (unsigned)old->mode, (unsigned)new->mode);
}

/* The name that git gives the empty file; without it patch(1) takes a header without hunks for nothing. */
#define EMPTY "e69de29"

static int put_hunk_header(void *ctx, size_t old_at, size_t old_n, size_t new_at, size_t new_n)
{
	struct pf__sink *s = ctx;

	pf_buf_addf(&s->b, "@@ -%zu", old_at);
	if (old_n != 1)
		pf_buf_addf(&s->b, ",%zu", old_n);
	pf_buf_addf(&s->b, " +%zu", new_at);
	if (new_n != 1)
		pf_buf_addf(&s->b, ",%zu", new_n);
	pf_buf_adds(&s->b, " @@\n");
	return flush_some(s);
}

/* Printable, but for tabs, which are harmless and which code is full of. */
static int put_shown(struct pf__sink *s, const char *line, size_t n)
{
	while (n) {
		char shown[4 * PIECE + 1];
		const char *tab = memchr(line, '\t', n);
		size_t part = tab ? (size_t)(tab - line) : n;
		int r;

		if (part > PIECE) {
			part = pf_utf8_whole(line, PIECE);
			tab = NULL;
		}
		pf_printable(line, part, shown, sizeof(shown));
		pf_buf_adds(&s->b, shown);
		if (tab)
			pf_buf_addc(&s->b, '\t');
		part += tab != NULL;
		line += part;
		n -= part;
		r = flush_some(s);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_line(void *ctx, char mark, const char *line, size_t n)
{
	struct pf__sink *s = ctx;
	bool whole = n && line[n - 1] == '\n';
	int r = 0;

	pf_buf_addc(&s->b, mark);
	if (s->terminal)
		r = put_shown(s, line, n - whole);
	else
		pf_buf_add(&s->b, line, n - whole);
	pf_buf_addc(&s->b, '\n');
	if (!whole)
		pf_buf_adds(&s->b, "\\ No newline at end of file\n");
	return r < 0 ? r : flush_some(s);
}

static void put_binary(struct pf_buf *out, const char *path, const struct pf__doc *old,
		       const struct pf__doc *new)
{
	pf_buf_adds(out, "Binary files ");
	pf__diff_name(out, old->mode ? "a/" : "/dev/null", old->mode ? path : "");
	pf_buf_adds(out, " and ");
	pf__diff_name(out, new->mode ? "b/" : "/dev/null", new->mode ? path : "");
	pf_buf_adds(out, " differ\n");
}

int pf__diff_put(struct pf__sink *s, const char *path, const struct pf__doc *old, const struct pf__doc *new)
{
	struct pf__diff_out out = {put_hunk_header, put_line, s};
	bool binary = old->binary || new->binary, differ = pf__doc_differ(old, new);

	if (!differ && old->mode == new->mode)
		return 0;
	put_headers(s, path, old, new);
	if (!differ) {
		if (!old->mode)
			pf_buf_adds(&s->b, "index 0000000.." EMPTY "\n");
		if (!new->mode)
			pf_buf_adds(&s->b, "index " EMPTY "..0000000\n");
		return flush_some(s);
	}
	if (binary) {
		put_binary(&s->b, path, old, new);
		return flush_some(s);
	}
	put_file_line(&s->b, "--- ", old->mode ? "a/" : NULL, path);
	put_file_line(&s->b, "+++ ", new->mode ? "b/" : NULL, path);
	return pf__diff_lines(old->text, new->text, &out);
}
