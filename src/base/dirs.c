/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of the caller's own; see dirs.h. */
#include "base/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

int pf_dir_own(const char *path, mode_t forbidden, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	struct stat st;
	int r;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		r = pf_mkdir_p(path, 0700);
		if (r < 0)
			return pf_fail(err, r, "cannot make %s: %s", path, strerror(-r));
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return pf_fail(err, -ELOOP, "%s must be a directory and no symbolic link", path);
	if (fd < 0)
		return pf_fail_errno(err, "cannot open %s", path);
	if (fstat(fd, &st) < 0)
		return pf_fail_errno(err, "cannot stat %s", path);
	if (st.st_uid != geteuid())
		return pf_fail(err, -EACCES, "%s belongs to uid %u and not to you (%u): it cannot be trusted",
			       path, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & forbidden)
		return pf_fail(err, -EACCES, "%s is open to others (mode %03o): chmod 700 %s", path,
			       (unsigned)st.st_mode & 0777, path);
	return pf_take_fd(&fd);
}
