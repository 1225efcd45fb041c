/* SPDX-License-Identifier: Apache-2.0 */
/* ID/applied: a change set stays after an apply, and a list of sets should tell which are done with. A word
 * for people: what is there and what a next apply does are looked at in the workspace itself. */
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "workspace/workspace_internal.h"

#define NAME "applied"

enum pf_set_applied pf__applied_read(int set_fd)
{
	struct stat st;
	char word[8] = "";
	int fd = pf__ws_open_file(set_fd, NAME, &st);
	ssize_t n;

	if (fd < 0)
		return PF_SET_FRESH;
	n = pread(fd, word, sizeof(word) - 1, 0);
	close(fd);
	return n < 0 ? PF_SET_FRESH : strcmp(word, "all") == 0 ? PF_SET_APPLIED : PF_SET_PART;
}

void pf__applied_mark(int set_fd, bool whole)
{
	const char *word = whole ? "all" : "part";

	/* Best effort: the apply is done, and a full disk must not make a failure of it. */
	if (pf__applied_read(set_fd) != PF_SET_APPLIED)
		pf_replace_file(set_fd, NAME, word, strlen(word), 0600);
}
