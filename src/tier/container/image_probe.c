/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ways to an image this host has, for doctor: an EROFS image of one empty directory is mounted from a
 * file of the state directory, whose file system must be able to back one, and through a loop device.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/loopdev.h"
#include "linux/mount.h"
#include "tier/container/container.h"

#define BLOCK	    4096u
#define SUPER	    1024u /* where the superblock is (fs/erofs/erofs_fs.h of Linux) */
#define ROOT_NID    40u	  /* inodes are numbered in slots of 32 bytes */
#define ROOT_INODE  (ROOT_NID * 32u)
#define INODE_BYTES 32u /* of a compact one */

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

/* struct erofs_super_block, erofs_inode_compact and erofs_dirent, as far as they are not 0. */
static void make_empty(uint8_t image[BLOCK])
{
	uint8_t *super = image + SUPER, *root = image + ROOT_INODE, *entries = root + INODE_BYTES;
	static const char names[] = "...";

	memset(image, 0, BLOCK);
	put(super + 0, 0xe0f5e1e2, 4); /* magic */
	put(super + 12, 12, 1);	       /* log2 of the block size */
	put(super + 14, ROOT_NID, 2);
	put(super + 16, 1, 8);	  /* inodes */
	put(super + 36, 1, 4);	  /* blocks */
	put(root + 0, 2 << 1, 2); /* layout: data behind the inode */
	put(root + 4, S_IFDIR | 0755, 2);
	put(root + 6, 2, 2);			      /* links */
	put(root + 8, 2 * 12 + sizeof(names) - 1, 4); /* size: "." and ".." and their names */
	put(root + 20, 1, 4);			      /* inode number */
	for (unsigned i = 0; i < 2; i++) {
		put(entries + 12 * i, ROOT_NID, 8);
		put(entries + 12 * i + 8, 24 + i, 2); /* where its name is */
		put(entries + 12 * i + 10, 2, 1);     /* a directory */
	}
	memcpy(entries + 24, names, sizeof(names) - 1);
}

static int make_file(const char *dir, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	uint8_t image[BLOCK];
	int r;

	if (dir)
		fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return pf_fail_errno(err, "cannot make a file to try with");
	make_empty(image);
	r = pf_write_full(fd, image, sizeof(image));
	return r < 0 ? pf_fail(err, r, "cannot write a file to try with: %s", strerror(-r)) : pf_take_fd(&fd);
}

static int try_file(int file, struct pf_error *err)
{
	const char *options[] = {NULL, NULL};
	char source[64];

	snprintf(source, sizeof(source), "source=/proc/self/fd/%d", file);
	options[0] = source;
	return pf_mount_new("erofs", options, PF_MNT_RDONLY, err);
}

static int try_loop(int file, struct pf_error *err)
{
	char path[PF_LOOP_PATH_MAX], source[64];
	PF_AUTO_CLOSE int loop = pf_loop_attach(file, true, path, err);
	const char *options[] = {source, "ro", NULL};

	if (loop < 0)
		return loop;
	snprintf(source, sizeof(source), "source=%s", path);
	return pf_mount_new("erofs", options, PF_MNT_RDONLY, err);
}

static void note(struct pf_image_ways *out, enum pf_image_way way, int r, const struct pf_error *e)
{
	out->code[way] = r < 0 ? r : 0;
	snprintf(out->text[way], sizeof(out->text[way]), "%.150s", r < 0 ? e->msg : "works");
	if (r >= 0)
		close(r);
}

void pf__image_probe(const struct pf_dirs *dirs, struct pf_image_ways *out)
{
	struct pf_error e = {0};
	PF_AUTO_CLOSE int file = make_file(dirs ? dirs->state : NULL, &e);
	char program[600];

	note(out, PF_IMAGE_FILE, file < 0 ? file : try_file(file, &e), &e);
	note(out, PF_IMAGE_LOOP, file < 0 ? file : try_loop(file, &e), &e);
	snprintf(program, sizeof(program), "%s/pinfold-image", dirs ? dirs->libexec : "");
	out->code[PF_IMAGE_UNPACKED] = access(program, X_OK) < 0 ? -errno : 0;
	snprintf(out->text[PF_IMAGE_UNPACKED], sizeof(out->text[0]), "%s",
		 out->code[PF_IMAGE_UNPACKED] ? "pinfold-image, which does it, is not installed" : "works");
}
