/* SPDX-License-Identifier: Apache-2.0 */
/* pf_changes_*: kept change sets by their id, for callers of the public API. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "sandbox/places.h"
#include "workspace/change.h"

#include "pinfold.h"

static int open_changes(const struct pf_places *places, struct pf_error *err)
{
	struct pf_dirs dirs;
	int r = pf_dirs_find(places, &dirs, err);

	return r < 0 ? r : pf_dirs_changes(&dirs, err);
}

char *pf_changes_json(const struct pf_places *places, const char *id, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = open_changes(places, err);
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_changeset set;
	char *text = NULL;

	if (fd < 0 || pf_change_load(fd, id, &set, err) < 0)
		return NULL;
	if (pf_change_print_json(&set, 2, &out) == 0)
		text = pf_buf_steal(&out);
	if (!text)
		pf_fail(err, -ENOMEM, "out of memory");
	pf_change_free(&set);
	return text;
}

int pf_changes_diff(const struct pf_places *places, const char *id, int out_fd, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = open_changes(places, err);
	struct pf_changeset set;
	int r;

	if (fd < 0)
		return fd;
	r = pf_change_load(fd, id, &set, err);
	if (r < 0)
		return r;
	r = pf_change_print_diff(fd, &set, isatty(out_fd) == 1, out_fd, NULL, err);
	pf_change_free(&set);
	return r;
}

int pf_changes_export(const struct pf_places *places, const char *id, int out_fd, int with_secrets,
		      struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = open_changes(places, err);
	struct pf_changeset set;
	int r;

	if (fd < 0)
		return fd;
	r = pf_change_load(fd, id, &set, err);
	if (r < 0)
		return r;
	r = pf_change_export(fd, &set, with_secrets != 0, out_fd, NULL, err);
	pf_change_free(&set);
	return r;
}

/* --- apply ----------------------------------------------------------------------------- */

/* JSON has no bytes: what is not UTF-8 is shown as pf_printable() does. */
static void put_lines(struct pf_jsonw *w, const char *key, const struct pf_list *l)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < l->count; i++) {
		size_t n = strlen(l->items[i]), cap = 4 * n + 1;
		PF_AUTO_FREE char *shown = pf_utf8_valid(l->items[i], n) ? NULL : malloc(cap);

		if (shown)
			pf_printable(l->items[i], n, shown, cap);
		pf_jsonw_str(w, shown ? shown : l->items[i]);
	}
	pf_jsonw_end(w, ']');
}

static char *report_text(const struct pf_apply_report *r)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_jsonw w;

	pf_jsonw_init(&w, &out, 0);
	pf_jsonw_begin(&w, '{');
	put_lines(&w, "applied", &r->applied);
	put_lines(&w, "conflicts", &r->conflicts);
	put_lines(&w, "protected", &r->protected_paths);
	put_lines(&w, "notes", &r->notes);
	pf_jsonw_kbool(&w, "resumed", r->resumed);
	pf_jsonw_kbool(&w, "half_applied", r->half);
	pf_jsonw_end(&w, '}');
	return pf_buf_steal(&out);
}

static int apply_set(int fd, const struct pf_changeset *set, const struct pf_changes_how *h, char **report,
		     struct pf_error *err)
{
	struct pf_list only = {0};
	struct pf_apply how = {
		.force = h->force != 0,
		.allow_protected = h->allow_protected != 0,
		.dry_run = h->dry_run != 0,
		.only = h->paths ? &only : NULL,
	};
	struct pf_apply_report rep = {0};
	int r = 0;

	for (size_t i = 0; h->paths && h->paths[i] && r == 0; i++)
		r = pf_list_add(&only, h->paths[i]);
	r = r < 0 ? pf_fail(err, r, "out of memory") : pf_change_apply(fd, set, &how, &rep, err);
	if (report && !(*report = report_text(&rep)) && r == 0)
		r = pf_fail(err, -ENOMEM, "out of memory");
	pf_apply_report_free(&rep);
	pf_list_free(&only);
	return r;
}

int pf_changes_apply_with(const struct pf_places *places, const char *id, const struct pf_changes_how *how,
			  char **report, struct pf_error *err)
{
	static const struct pf_changes_how nothing;
	PF_AUTO_CLOSE int fd = open_changes(places, err);
	struct pf_changeset set;
	struct pf_dirs dirs;
	int r;

	if (report)
		*report = NULL;
	if (fd < 0)
		return fd;
	r = pf_change_load(fd, id, &set, err);
	if (r < 0)
		return r;
	if (!how || !how->dry_run)
		r = pf_dirs_find(places, &dirs, err) < 0 ? err ? err->code : -EINVAL
							 : pf_live_none_within(&dirs, set.workspace, err);
	if (r == 0)
		r = apply_set(fd, &set, how ? how : &nothing, report, err);
	pf_change_free(&set);
	return r;
}

int pf_changes_apply(const struct pf_places *places, const char *id, int force, struct pf_error *err)
{
	const struct pf_changes_how how = {.force = force};

	return pf_changes_apply_with(places, id, &how, NULL, err);
}

int pf_changes_drop(const struct pf_places *places, const char *id, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = open_changes(places, err);

	return fd < 0 ? fd : pf_change_drop(fd, id, false, NULL, err);
}
