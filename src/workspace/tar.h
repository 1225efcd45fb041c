/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing tar archives: ustar headers, and pax records (POSIX.1-2008, "pax Interchange Format") for what
 * those cannot hold. Nothing of the machine or of the moment is written, so the same entries give the same
 * bytes.
 *
 *   long or non-ASCII names   `path`, `linkpath`; with `hdrcharset=BINARY` where they are not UTF-8
 *   times                     `mtime` with nanoseconds
 *   attributes                `SCHILY.xattr.NAME`, as star, GNU tar, libarchive and the container tools read
 * it files with holes          GNU.sparse 1.0: what the data is, in front of the data. By content and not by
 * how the file lies on the disk: a hole is 64 KiB or more of zeros, on borders of 4 KiB; and only where all
 * holes together are 1 MiB or more, for not every reader knows the format
 */
#ifndef PF_WORKSPACE_TAR_H
#define PF_WORKSPACE_TAR_H

#include "workspace/workspace_internal.h"

struct pf__tar {
	int fd;
	struct pf_buf b; /* not yet written */
	int error;	 /* the first; everything after it does nothing */
};

struct pf__tar_entry {
	const char *path; /* without a '/' at its end */
	char type; /* '0' file, '1' another name of `link`, '2' symbolic link, '5' directory, '6' FIFO */
	mode_t mode;
	uint32_t uid, gid;
	int64_t mtime_ns;
	const char *link;
	const struct pf_attrs
		*attrs; /* or NULL; names with '=' cannot stand in an archive and are left out */
	int body_fd;	/* of a file with bytes; else -1 */
	uint64_t size;
};

/* 0 or -errno. -EIO if the body is shorter than it should be. */
int pf__tar_add(struct pf__tar *t, const struct pf__tar_entry *e);
int pf__tar_end(struct pf__tar *t); /* the end of the archive, all of it written */

#endif
