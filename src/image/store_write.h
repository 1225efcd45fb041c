/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding, naming and removing images. Every change of the store is one rename under STATE/images/lock, which
 * is held for a moment only: who imports, hashes or deletes does that outside of it. Whatever is cut off
 * leaves a directory .new-XXXXXX or .gone-XXXXXX, whose lock died with its holder and which the next sweep
 * removes.
 */
#ifndef PF_IMAGE_STORE_WRITE_H
#define PF_IMAGE_STORE_WRITE_H

#include "image/store.h"

/* STATE/images/.new-XXXXXX. Descriptors are -1 and path NULL where there is none; begin with
 * PF_IMAGE_NEW_NONE. */
struct pf_image_new {
	int images, dir, lock;
	char name[16];
	char *path;  /* absolute */
	char *state; /* as given */
};
#define PF_IMAGE_NEW_NONE                                                                                    \
	{                                                                                                    \
		.images = -1, .dir = -1, .lock = -1                                                          \
	}

int pf_image_new(const char *state, struct pf_image_new *out, struct pf_error *err);
/* Remove it and forget it. Fine for one that was published. Removing may fail: the next sweep takes it. */
void pf_image_new_drop(struct pf_image_new *n);

struct pf_image_info {
	const char *source;
	int64_t created;
	uint64_t size; /* of image.erofs */
	uint64_t files, bytes;
	const struct pf_list *notes; /* or NULL */
};
/* image.erofs is there and complete: write the documents, and bring all to the disk. */
int pf_image_seal(struct pf_image_new *n, const char *erofs_digest, const struct pf_image_config *c,
		  const struct pf_image_info *info, char digest[PF_DIGEST_MAX], struct pf_error *err);
/* Move it to its place and give it a name (or NULL: none). -EEXIST if such an image is there; with replace
 * that one goes instead, unless it is held (-EBUSY). If only the name fails, the image is published all the
 * same. */
int pf_image_publish(struct pf_image_new *n, const char *digest, const char *name, bool replace,
		     struct pf_error *err);

/* name leads to that image from now on, whatever it was before. -ENOENT if there is no such image. */
int pf_image_tag(const char *state, const char *digest, const char *name, struct pf_error *err);

struct pf_image_removed {
	char digest[PF_DIGEST_MAX];
	struct pf_list untagged; /* names that went */
	bool deleted;		 /* the image too */
};
/* As docker does: a name that is one of several only goes itself, the last one takes the image along. By
 * digest: -EEXIST if it has several names, which stand in err. -EBUSY if it is held; then digest of *out is
 * set. *out is to be freed in any case. */
int pf_image_remove(const char *state, const char *word, struct pf_image_removed *out, struct pf_error *err);
void pf_image_removed_free(struct pf_image_removed *r);

/* Remove what was cut off. Counts what it removed; what cannot be removed now stays for the next one. */
int pf_image_sweep(const char *state, unsigned *removed, struct pf_error *err);

/* The documents beside the manifest. 0 or -ENOMEM. */
int pf_image_info_print(const struct pf_image_info *info, struct pf_buf *out);
int pf_image_root_print(bool owners_kept, uint64_t left_out, struct pf_buf *out);

#endif
