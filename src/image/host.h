/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `host` image (DESIGN section 8): the host's own tools, read-only. /usr (and /opt, /nix/store) are
 * bound as they are; /etc is a copy of an allow-list beside synthetic files, made once and kept in
 * STATE/cache under a key of everything it was made from; /sys is a small synthetic tree there too.
 * Nothing of any home directory. Its digest is null.
 */
#ifndef PF_IMAGE_HOST_H
#define PF_IMAGE_HOST_H

#include <stdbool.h>

#include "base/error.h"

enum pf_host_entry_kind { PF_HOST_BIND, PF_HOST_LINK };
struct pf_host_entry {
	enum pf_host_entry_kind kind;
	char path[64];	  /* inside and on the host, absolute: "/usr", "/bin", "/nix/store" */
	char target[128]; /* of a link: "usr/bin" */
};

#define PF_HOST_ENTRIES 16
struct pf_host_image {
	char etc[600]; /* absolute path of the cached directory that becomes /etc */
	char sys[600]; /* ... and /sys */
	struct pf_host_entry
		entries[PF_HOST_ENTRIES]; /* top level: what to bind, what is a link (merged /usr) */
	unsigned count;
};

/* state: the state directory (made if need be). user_root: passwd's idea of the command's user does not
 * differ, but HOME does not matter here; one cache serves all. Fast when the cache is fresh: some tens of
 * fstatat calls, no reads. Two processes at once end with one cache (made under a temporary name, renamed).
 * Old caches are removed when a new one is made, unless a lock on them is held. Works as root and as an
 * ordinary user (who may not read some files: those are left out). */
int pf_host_image_get(const char *state, struct pf_host_image *out, struct pf_error *err);
/* One of the synthetic files of /etc that are the same in every sandbox: "hosts", "hostname", "resolv.conf".
 * NULL: it is none of them. */
const char *pf_host_etc_text(const char *name);

#endif
