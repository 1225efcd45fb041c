/* SPDX-License-Identifier: Apache-2.0 */
/* pf_changes_*: kept change sets by their id, for callers of the public API. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
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

int pf_changes_apply(const struct pf_places *places, const char *id, int force, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = open_changes(places, err);
	struct pf_apply how = {.force = force != 0};
	struct pf_apply_report report = {0};
	struct pf_changeset set;
	int r;

	if (fd < 0)
		return fd;
	r = pf_change_load(fd, id, &set, err);
	if (r < 0)
		return r;
	r = pf_change_apply(fd, &set, &how, &report, err);
	pf_apply_report_free(&report);
	pf_change_free(&set);
	return r;
}

int pf_changes_drop(const struct pf_places *places, const char *id, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = open_changes(places, err);

	return fd < 0 ? fd : pf_change_drop(fd, id, err);
}
