/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where images are kept (DESIGN section 8), and how one is found by name or digest.
 *
 *   STATE/images/sha256-HEX/image.erofs     the tree (mode 0444)
 *   STATE/images/sha256-HEX/manifest.json   one line: schema, digest of image.erofs, configuration
 *   STATE/images/sha256-HEX/info.json       what is not part of its identity: source, made when, sizes, notes
 *   STATE/images/sha256-HEX/root/           unpacked, where the host may not mount; there whole or not at all
 *   STATE/images/sha256-HEX/root.json       what root/ could not keep
 *   STATE/images/sha256-HEX/lock            held shared by every sandbox that uses it, exclusive to remove it
 *   STATE/images/names/NAME                 "sha256:HEX\n"; '/' and '%' in a name are written %2F and %25
 *   STATE/images/lock                       held for a moment by whoever adds, removes or names an image
 *   STATE/images/base.lock                  held by who makes the image base
 *   STATE/images/.new-XXXXXX/               in the making, its lock held; swept once it can be locked
 *   STATE/images/.gone-XXXXXX/              being removed, likewise
 *
 * An image's digest is that of its manifest.json, byte for byte, so that it covers tree and configuration.
 * The state directory is the user's own (writable by nobody else; images is 0700): its files are believed,
 * but read strictly and never through a symbolic link, and a missing or damaged one is an error that names
 * it. What adds and removes is in image/store_write.h.
 */
#ifndef PF_IMAGE_STORE_H
#define PF_IMAGE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/dirs.h"
#include "base/error.h"
#include "base/list.h"
#include "base/sha256.h"

#define PF_IMAGE_NAME_MAX 200 /* bytes of a name */

/* What an image says about how its programs run (the OCI image configuration's "config"). */
struct pf_image_config {
	char *user;    /* "", "1000", "app:app" */
	char *workdir; /* "" or absolute */
	struct pf_list env, entrypoint, cmd;
};
void pf_image_config_free(struct pf_image_config *c);

struct pf_image {
	char digest[PF_DIGEST_MAX]; /* "sha256:HEX" */
	char erofs_digest[PF_DIGEST_MAX];
	char *dir;     /* absolute path of its directory */
	uint64_t size; /* of image.erofs, in bytes */
	struct pf_image_config config;
	struct pf_list names; /* sorted; of pf_image_list() alone, see pf_image_names() */
	/* of info.json */
	char *source;	 /* "tar rootfs.tar.zst", "oci DIR", "debian bookworm ..." */
	int64_t created; /* seconds since the epoch */
	uint64_t files, bytes;
	struct pf_list notes; /* what the import left out, one line each */
	bool unpacked;	      /* root/ is there */
	bool owners_kept;     /* ... with the owners of the image; else all is the caller's */
	uint64_t left_out;    /* entries and attributes that it could not be given */
	/* Of pf_image_list() alone: NULL, or what is wrong with it; then only digest, dir and names are set.
	 */
	char *damage;
};
void pf_image_free(struct pf_image *i);
void pf_image_list_free(struct pf_image *list, size_t count);

/* Images directory, made if need be (0700). Descriptor or -errno. */
int pf_images_dir(const char *state, struct pf_error *err);
/* NAME, sha256:HEX, or a beginning of at least 6 hex digits, with or without "sha256:". -ENOENT, -EEXIST when
 * a beginning fits several. The image itself may be gone or damaged. */
int pf_image_resolve(const char *state, const char *name, char digest[PF_DIGEST_MAX], struct pf_error *err);
/* The same, and read it: -EBADMSG names what is damaged. image.erofs is compared in size alone, since its
 * digest takes as long as reading it (pinfold image inspect --verify). */
int pf_image_find(const char *state, const char *name, struct pf_image *out, struct pf_error *err);
/* All images, newest first, damaged ones with the reason. */
int pf_image_list(const char *state, struct pf_image **out, size_t *count, struct pf_error *err);
/* The names of one, sorted, added to *out. */
int pf_image_names(const char *state, const char *digest, struct pf_list *out, struct pf_error *err);
/* Names: letters, digits and . _ - / : + @, not empty, at most 200 bytes, no empty component and none "." or
 * "..", no leading '-', not "host", nothing that reads as a digest or a beginning of one. -EINVAL. */
int pf_image_name_check(const char *name, struct pf_error *err);
/* Hold an image against removal. Descriptor of its lock or -errno; -ENOENT if it went meanwhile. */
int pf_image_hold(const struct pf_image *i, struct pf_error *err);
/* Does anybody hold it? */
bool pf_image_held(const struct pf_image *i);
/* manifest.json, for the writer and its tests. -EILSEQ for what is not UTF-8, -ENOMEM. */
int pf_image_manifest_print(const char *erofs_digest, const struct pf_image_config *c, struct pf_buf *out);

#endif
