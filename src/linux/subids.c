/* SPDX-License-Identifier: Apache-2.0 */
/* How many sub-uids a user has: /etc/subuid (subuid(5)), by name or by number. */
#include "linux/subids.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

/* The count of a line "who:first:count" of subuid(5) if it is about this user. */
static uint64_t subuid_line(char *line, const char *name, const char *number)
{
	char *who = strsep(&line, ":"), *first = strsep(&line, ":");
	uint64_t count;

	if (!line || !first || ((!name || strcmp(who, name) != 0) && strcmp(who, number) != 0))
		return 0;
	return pf_parse_u64(line, &count) == 0 ? count : 0;
}

int64_t pf_subuid_count(uid_t uid)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	struct passwd *pw = getpwuid(uid);
	char number[16], *rest, *line;
	uint64_t sum = 0;
	int r = pf_read_file(AT_FDCWD, "/etc/subuid", &text, 1 << 20);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return -1;
	snprintf(number, sizeof(number), "%u", (unsigned)uid);
	rest = text.data;
	while ((line = strsep(&rest, "\n")))
		sum += subuid_line(line, pw ? pw->pw_name : NULL, number);
	return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}
