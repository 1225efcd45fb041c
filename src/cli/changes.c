/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a kept change set: what diff, apply and drop share. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "workspace/change.h"

int pf_cli_changes(struct pf_dirs *dirs, struct pf_error *err)
{
	int r = pf_dirs_find(NULL, dirs, err);

	return r < 0 ? r : pf_dirs_changes(dirs, err);
}

/* Who asks for the changes of a sandbox that lives, or that died with them, is told so. */
static void explain_missing(const struct pf_dirs *dirs, const char *id, struct pf_error *err)
{
	struct pf_error ignored;
	struct pf_live *list;
	size_t count, n = strlen(id);

	if (n == 0 || pf_live_list(dirs, &list, &count, &ignored) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (strncmp(list[i].id, id, n) != 0)
			continue;
		if (list[i].alive)
			pf_fail(err, -ENOENT,
				"the sandbox %s still runs: it has a change set when it has ended",
				list[i].id);
		else
			pf_fail(err, -ENOENT,
				"the sandbox %s is dead and its changes are lost: \"pinfold doctor --clean\" "
				"removes what is left",
				list[i].id);
		break;
	}
	pf_live_free(list, count);
}

int pf_cli_load(int changes_fd, const struct pf_dirs *dirs, const char *id, struct pf_changeset *out,
		struct pf_error *err)
{
	int r = pf_change_load(changes_fd, id, out, err);

	if (r == -ENOENT && strcmp(id, "last") != 0)
		explain_missing(dirs, id, err);
	return r;
}
