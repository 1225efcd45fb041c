/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that are programs of their own in libexec, since they link libraries: this program becomes them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"

int pf_cli_become(const char *program, const char *libraries, char *const *words, size_t count)
{
	PF_AUTO_FREE char **argv = calloc(count + 2, sizeof(*argv));
	struct pf_error err = {0};
	struct pf_dirs dirs;
	char path[600];

	if (!argv)
		pf_fail(&err, -ENOMEM, "out of memory");
	if (!argv || pf_dirs_find(NULL, &dirs, &err) < 0)
		return pf_cli_fail(&err);
	snprintf(path, sizeof(path), "%s/%s", dirs.libexec, program);
	argv[0] = path;
	memcpy(argv + 1, words, count * sizeof(*argv));
	execv(path, argv);
	if (errno == ENOENT && access(path, F_OK) == 0)
		pf_fail(&err, -ENOENT, "%s cannot start: its libraries are not installed (%s)", path,
			libraries);
	else if (errno == ENOENT)
		pf_fail(&err, -ENOENT, "pinfold is not installed whole: there is no %s", path);
	else
		pf_fail_errno(&err, "cannot start %s", path);
	return pf_cli_fail(&err);
}
