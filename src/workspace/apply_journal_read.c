/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the plan of an apply back. We wrote it, but what it says is done with a user's files, as root even:
 * every field is checked as if it came from anywhere.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "workspace/apply_internal.h"

#define LINE_MAX_BYTES 65536u

struct reader {
	struct pf__plan plan;
	size_t items, lines, last; /* last: of the step before, plus one */
	bool head, end;
};

static int bad(struct pf_error *err, const char *what)
{
	return pf_fail(err, -EBADMSG, "%s", what);
}

static bool get_uint(const struct pf_json *o, const char *key, uint64_t max, uint64_t *out)
{
	const struct pf_json *v = pf_json_get(o, key);

	if (!v || v->type != PF_JSON_INT || v->i < 0 || (uint64_t)v->i > max)
		return false;
	*out = (uint64_t)v->i;
	return true;
}

static bool get_numbers(const struct pf_json *o, const char *key, uint64_t *out, size_t count)
{
	const struct pf_json *v = pf_json_get(o, key), *item;

	if (!v || v->type != PF_JSON_ARRAY || v->list.count != count)
		return false;
	for (item = v->list.first; item; item = item->next) {
		if (item->type != PF_JSON_INT)
			return false;
		*out++ = (uint64_t)item->i;
	}
	return true;
}

/* A path under one of two keys; the caller frees. NULL if it is no path beneath ("" is one where root says
 * so). */
static char *get_path(const struct pf_json *o, const char *key, const char *key_b64, bool root)
{
	const struct pf_json *text = pf_json_get(o, key), *b64 = pf_json_get(o, key_b64);
	char *path = text && text->type == PF_JSON_STRING ? strdup(text->str.s)
		     : b64 && b64->type == PF_JSON_STRING ? pf__base64_decode(b64->str.s, b64->str.len)
							  : NULL;

	if (path && (pf__ws_path_ok(path) || (root && !*path)))
		return path;
	free(path);
	return NULL;
}

static bool stage_ok(const char *s)
{
	size_t n = strlen(PF_STAGE_PREFIX);

	return pf_has_prefix(s, PF_STAGE_PREFIX) && strlen(s) == PF__STAGE_MAX - 1 &&
	       strspn(s + n, "0123456789abcdef") == 32;
}

static int read_head(struct reader *r, const struct pf_json *o, struct pf_error *err)
{
	const struct pf_json *id = pf_json_get(o, "id"), *stage = pf_json_get(o, "stage"),
			     *moving = pf_json_get(o, "moving");
	uint64_t schema, place[3], items;

	if (!get_uint(o, "schema", 1, &schema) || schema != 1 || o->list.count != 6 || !id ||
	    id->type != PF_JSON_STRING || !pf__change_id_ok(id->str.s) || !stage ||
	    stage->type != PF_JSON_STRING || !stage_ok(stage->str.s) || !moving ||
	    moving->type != PF_JSON_BOOL || !get_numbers(o, "place", place, 3) ||
	    !get_uint(o, "items", PF_CHANGES_MAX, &items))
		return bad(err, "is not as pinfold writes it");
	if (items != r->items)
		return bad(err, "is of another change set");
	snprintf(r->plan.id, sizeof(r->plan.id), "%s", id->str.s);
	snprintf(r->plan.stage, sizeof(r->plan.stage), "%s", stage->str.s);
	r->plan.moving = moving->b;
	r->plan.place = (struct pf_change_place){place[0], place[1], place[2]};
	r->plan.count = items;
	r->plan.steps = calloc(items + 1, sizeof(*r->plan.steps));
	r->head = true;
	return r->plan.steps ? 0 : pf_fail(err, -ENOMEM, "out of memory");
}

static int read_only(struct reader *r, const struct pf_json *o, struct pf_error *err)
{
	PF_AUTO_FREE char *path = NULL;
	const struct pf_json *v = pf_json_get(o, "only");

	/* "." is everything */
	if (v && v->type == PF_JSON_STRING && strcmp(v->str.s, ".") == 0)
		path = strdup(".");
	else
		path = get_path(o, "only", "only_b64", false);
	if (!path || o->list.count != 1)
		return bad(err, "has no path where one belongs");
	return pf_list_add(&r->plan.only, path) < 0 ? pf_fail(err, -ENOMEM, "out of memory") : 0;
}

static int read_shut(struct reader *r, const struct pf_json *o, struct pf_error *err)
{
	PF_AUTO_FREE char *path = get_path(o, "shut", "shut_b64", true);
	uint64_t mode;

	if (!path || o->list.count != 2 || !get_uint(o, "mode", PF__WS_MODE_BITS, &mode))
		return bad(err, "has no directory where one belongs");
	return pf__apply_plan_shut(&r->plan, path, (mode_t)mode) < 0 ? pf_fail(err, -ENOMEM, "out of memory")
								     : 0;
}

static bool kind_of(const struct pf_json *o, enum pf__kind *out)
{
	const struct pf_json *v = pf_json_get(o, "kind");
	static const struct {
		const char *text;
		enum pf__kind kind;
	} known[] = {
		{"p", PF__STEP_PUT}, {"m", PF__STEP_META}, {"r", PF__STEP_REMOVE}, {"d", PF__STEP_RMDIR}};

	for (size_t i = 0; v && v->type == PF_JSON_STRING && i < PF_ARRAY_SIZE(known); i++) {
		if (strcmp(v->str.s, known[i].text) == 0) {
			*out = known[i].kind;
			return true;
		}
	}
	return false;
}

static int read_step(struct reader *r, const struct pf_json *o, struct pf_error *err)
{
	uint64_t i, mode = 0, staged[3] = {0}, owner[2] = {0}, was[6] = {0};
	struct pf__step s = {0};
	size_t members = 2;

	if (!r->plan.moving || !get_uint(o, "i", r->items - 1, &i) || i < r->last || !kind_of(o, &s.kind))
		return bad(err, "has no step where one belongs");
	if (s.kind == PF__STEP_PUT || s.kind == PF__STEP_META) {
		if (!get_uint(o, "mode", PF__WS_MODE_BITS, &mode))
			return bad(err, "has a step without its mode");
		members++;
	}
	if (s.kind == PF__STEP_PUT) {
		if (!get_numbers(o, "staged", staged, 3) || !get_numbers(o, "owner", owner, 2) ||
		    owner[0] > UINT32_MAX || owner[1] > UINT32_MAX)
			return bad(err, "has a step that says nothing of what is staged");
		members += 2;
	}
	if (pf_json_get(o, "from")) {
		if (s.kind != PF__STEP_PUT || !get_uint(o, "from", r->items + PF__FROM_ITEM - 1, &s.from) ||
		    !s.from)
			return bad(err, "has a step that is a link of nothing");
		members++;
	}
	if (pf_json_get(o, "was")) {
		if (!get_numbers(o, "was", was, 6) || was[0] > (S_IFMT | PF__WS_MODE_BITS) || !was[0])
			return bad(err, "has a step that does not say what was there");
		members++;
		s.was.exists = true;
	}
	if (o->list.count != members || (!s.was.exists && s.kind != PF__STEP_PUT))
		return bad(err, "has a step with wrong members");
	s.mode = (mode_t)mode;
	s.uid = (uid_t)owner[0];
	s.gid = (gid_t)owner[1];
	s.staged.ino = staged[0];
	s.staged.size = staged[1];
	s.staged.mtime_ns = (int64_t)staged[2];
	s.was.mode = (mode_t)was[0];
	s.was.ino = was[1];
	s.was.nlink = was[2];
	s.was.size = was[3];
	s.was.mtime_ns = (int64_t)was[4];
	s.was.ctime_ns = (int64_t)was[5];
	r->plan.steps[i] = s;
	r->last = i + 1;
	return 0;
}

static int read_line(struct reader *r, const char *line, size_t n, struct pf_error *err)
{
	struct pf_json_doc *doc = NULL;
	const struct pf_json *o;
	uint64_t lines;
	int code;

	if (r->end || n == 0 || line[n - 1] != '\n' || n > LINE_MAX_BYTES)
		return bad(err, r->end ? "goes on behind its end" : "is cut off or too long");
	code = pf_json_parse(line, n - 1, 0, &doc, err);
	if (code < 0)
		return code;
	o = pf_json_root(doc);
	if (!r->head)
		code = read_head(r, o, err);
	else if (pf_json_get(o, "only") || pf_json_get(o, "only_b64"))
		code = read_only(r, o, err);
	else if (pf_json_get(o, "shut") || pf_json_get(o, "shut_b64"))
		code = read_shut(r, o, err);
	else if (!pf_json_get(o, "end"))
		code = read_step(r, o, err);
	else if (!get_uint(o, "end", UINT32_MAX, &lines) || lines != r->lines || o->list.count != 1)
		code = bad(err, "has another number of lines than it says");
	else
		r->end = true;
	r->lines++;
	pf_json_free(doc);
	return code;
}

/* Do the steps belong to the entries? */
static int check_steps(const struct pf__plan *p, const struct pf_changeset *c, struct pf_error *err)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct pf__step *s = &p->steps[i];
		bool gone = s->kind == PF__STEP_REMOVE || s->kind == PF__STEP_RMDIR;

		if (s->kind != PF__STEP_NONE && gone != (c->items[i].op == PF_DELETED))
			return bad(err, "has a step that its entry cannot have");
		if (s->from == PF__FROM_KEPT
			    ? !c->items[i].link || !c->items[c->links[c->items[i].link - 1]].link_to
			    : s->from && (!c->items[i].link ||
					  c->items[s->from - PF__FROM_ITEM].link != c->items[i].link))
			return bad(err, "has a step that is a link of another file");
	}
	return strcmp(p->id, c->id) == 0 ? 0 : bad(err, "is of another change set");
}

static int take(struct reader *r, int code, struct pf__plan *out, struct pf_error *err)
{
	if (code == 0 && !r->end)
		code = bad(err, "is cut off");
	if (code < 0) {
		pf__apply_plan_free(&r->plan);
		return pf_wrap(err, "the plan of the apply that was cut off, line %zu", r->lines);
	}
	*out = r->plan;
	return 0;
}

int pf__journal_parse(const char *text, size_t n, size_t items, struct pf__plan *out, struct pf_error *err)
{
	struct reader r = {.items = items};
	int code = 0;

	while (n && code == 0) {
		const char *end = memchr(text, '\n', n);
		size_t line = end ? (size_t)(end - text) + 1 : n;

		code = read_line(&r, text, line, err);
		text += line;
		n -= line;
	}
	return take(&r, code, out, err);
}

int pf__journal_read(int set_fd, const struct pf_changeset *c, struct pf__plan *out, struct pf_error *err)
{
	struct reader r = {.items = c->count};
	struct stat st;
	int fd = pf__ws_open_file(set_fd, "plan", &st), code = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	PF_AUTO_FREE char *line = NULL;
	struct pf__plan p = {0};
	size_t cap = 0;
	ssize_t n;

	if (!f) {
		code = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return pf_fail(err, code, "cannot read the plan of the apply that was cut off: %s",
			       strerror(-code));
	}
	while (code == 0 && (n = getline(&line, &cap, f)) >= 0)
		code = read_line(&r, line, (size_t)n, err);
	if (code == 0 && ferror(f))
		code = pf_fail(err, -EIO, "cannot be read");
	fclose(f);
	code = take(&r, code, &p, err);
	if (code == 0)
		code = check_steps(&p, c, err);
	if (code < 0)
		pf__apply_plan_free(&p);
	else
		*out = p;
	return code;
}
