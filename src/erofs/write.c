/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an image: plan, passes, superblock. */
#include "erofs/write.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "erofs/write_internal.h"

static int check_out(int fd, struct pf_error *err)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (fstat(fd, &st) < 0 || flags < 0)
		return pf_fail_errno(err, "cannot look at the image file");
	/* With O_APPEND, pwrite(2) of Linux appends whatever the offset. */
	if (!S_ISREG(st.st_mode) || st.st_size != 0 || (flags & O_APPEND))
		return pf_fail(err, -EINVAL, "an image is written into an empty regular file, by offset");
	return 0;
}

/* Identity and time are zero: the same tree is the same bytes, always and everywhere. */
static int write_super(const struct pf__plan *p, int fd, struct pf_error *err)
{
	uint8_t block[PF__EROFS_BLOCK] = {0};
	struct pf__erofs_super s = {
		.magic = htole32(PF__EROFS_MAGIC),
		.compat = htole32(PF__EROFS_COMPAT_CHECKSUM | PF__EROFS_COMPAT_MTIME),
		.block_bits = PF__EROFS_BLOCK_BITS,
		.root = htole16((uint16_t)p->places[0].inode->nid),
		.inodes = htole64(p->count),
		.blocks = htole32((uint32_t)p->blocks),
		.must = htole32(p->chunks ? PF__EROFS_MUST_CHUNKS : 0),
	};

	memcpy(block + PF__EROFS_SUPER, &s, sizeof(s));
	s.checksum = htole32(pf__erofs_checksum(block));
	memcpy(block + PF__EROFS_SUPER, &s, sizeof(s));
	return pf__write_at(fd, block, sizeof(block), 0, err);
}

int pf_erofs_write(struct pf_tree *t, int spool_fd, int out_fd, uint64_t *size, struct pf_error *err)
{
	struct pf__plan plan = {0};
	int r = check_out(out_fd, err);

	if (r == 0)
		r = pf__plan_make(t, &plan, err);
	/* What the passes skip stays zero. */
	if (r == 0 && ftruncate(out_fd, (off_t)(plan.blocks * PF__EROFS_BLOCK)) < 0)
		r = pf_fail_errno(err, "cannot write the image");
	if (r == 0)
		r = pf__write_meta(&plan, spool_fd, out_fd, err);
	if (r == 0)
		r = pf__write_blocks(&plan, spool_fd, out_fd, err);
	if (r == 0)
		r = write_super(&plan, out_fd, err);
	if (r == 0)
		*size = plan.blocks * PF__EROFS_BLOCK;
	pf__plan_free(&plan);
	return r;
}
