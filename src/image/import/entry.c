/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an entry of an image may be. The rules are the same for archives and directories, so that the same
 * tree gives the same image whichever way it came; every refusal names the entry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "image/import/import_internal.h"

static int refuse(const char *name, size_t n, const char *why, struct pf_error *err)
{
	char show[PF__SHOW];

	return pf_fail(err, -EINVAL, "entry '%s' %s", pf__show(name, n, show), why);
}

/* The next component of p[0..n): its length; *p stands at it. */
static size_t component(const char **p, size_t *n)
{
	size_t length = 0;

	while (*n && **p == '/') {
		++*p;
		--*n;
	}
	while (length < *n && (*p)[length] != '/')
		length++;
	return length;
}

static bool is_dots(const char *p, size_t n, size_t dots)
{
	return n == dots && memcmp(p, "..", dots) == 0;
}

int pf__entry_path(const char *name, size_t n, char out[PF__PATH_MAX + 1], struct pf_error *err)
{
	const char *p = name;
	size_t left = n, used = 0, length;
	unsigned depth = 0;

	if (n == 0)
		return refuse(name, n, "has an empty name", err);
	if (memchr(name, '\0', n))
		return refuse(name, n, "has a NUL in its name", err);
	if (*name == '/')
		return refuse(name, n, "has an absolute name", err);
	for (; (length = component(&p, &left)) > 0; p += length, left -= length) {
		if (is_dots(p, length, 1))
			continue;
		if (is_dots(p, length, 2))
			return refuse(name, n, "has '..' in its name", err);
		if (length > PF__NAME_MAX)
			return refuse(name, n, "has a name of more than 255 bytes", err);
		if (++depth > PF_TREE_DEPTH_MAX)
			return refuse(name, n, "lies too deep", err);
		if (used + 1 + length > PF__PATH_MAX)
			return refuse(name, n, "has a path of more than 4,096 bytes", err);
		if (used)
			out[used++] = '/';
		memcpy(out + used, p, length);
		used += length;
	}
	out[used] = '\0';
	return 0;
}

int pf__entry_link_target(const char *path, const char *target, size_t n, struct pf_error *err)
{
	size_t depth = 0, left = n, length;
	const char *p = target;

	if (n == 0 || n > PF__LINK_MAX)
		return refuse(path, strlen(path), "is a link whose target is empty or too long", err);
	if (memchr(target, '\0', n))
		return refuse(path, strlen(path), "is a link with a NUL in its target", err);
	if (*target == '/') /* from the image's own root, wherever that is */
		return 0;
	for (const char *c = path; *c; c++)
		depth += *c == '/';
	for (; (length = component(&p, &left)) > 0; p += length, left -= length) {
		if (is_dots(p, length, 1))
			continue;
		if (!is_dots(p, length, 2))
			depth++;
		else if (depth-- == 0)
			return refuse(path, strlen(path), "is a link that leads out of the image", err);
	}
	return 0;
}

int pf__entry_owner(const char *path, const struct pf_inode *i, struct pf_error *err)
{
	/* -1 means "leave it" to chown(2) and nobody to the kernel. */
	if (i->uid == UINT32_MAX || i->gid == UINT32_MAX)
		return refuse(path, strlen(path), "has the owner -1", err);
	return 0;
}

int pf__entry_type(const char *path, mode_t mode, struct pf__notes *notes, struct pf_error *err)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFIFO:
		return 0;
	case S_IFSOCK:
		pf__note(notes, PF__NOTE_SOCKET, path);
		return 1;
	case S_IFCHR:
	case S_IFBLK:
		/* As every root file system has them; a sandbox's /dev is its own. Anywhere else one waits
		 * for somebody who mounts the image without nodev. */
		if (pf_has_prefix(path, "dev/")) {
			pf__note(notes, PF__NOTE_DEVICE, path);
			return 1;
		}
		return refuse(path, strlen(path), "is a device node", err);
	default:
		return refuse(path, strlen(path), "is of an unknown type", err);
	}
}

/*
 * Kept are attributes that a command sees or that the kernel acts upon inside: the user's, capabilities
 * (which a sandbox's nosuid mounts void) and access control lists. Others name things of the host that wrote
 * them: security labels, IMA digests, what trusted.* services keep. Those of overlayfs would be obeyed by the
 * overlay that the image becomes a layer of: a redirect makes another directory appear in a name's place.
 */
bool pf__entry_xattr(const char *path, const char *name, mode_t mode, struct pf__notes *notes)
{
	bool file = S_ISREG(mode), dir = S_ISDIR(mode);

	if (pf_has_prefix(name, "user.overlay.") || pf_has_prefix(name, "trusted.overlay.")) {
		pf__note(notes, PF__NOTE_OVERLAY, path);
		return false;
	}
	/* And each only where the kernel lets one be set: a tar may have a link with one, a directory cannot.
	 */
	if ((file || dir) && pf_has_prefix(name, "user.") && name[strlen("user.")])
		return true;
	if ((file && pf_streq(name, "security.capability")) ||
	    (!S_ISLNK(mode) && pf_streq(name, "system.posix_acl_access")) ||
	    (dir && pf_streq(name, "system.posix_acl_default")))
		return true;
	pf__note(notes, PF__NOTE_XATTR, path);
	return false;
}

void pf__inode_clear(struct pf_inode *i)
{
	free(i->extents);
	for (size_t k = 0; k < i->xattr_count; k++) {
		free(i->xattrs[k].name);
		free(i->xattrs[k].value);
	}
	free(i->xattrs);
	free(i->target);
	*i = (struct pf_inode){0};
}
