/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside image: the parts that the `host` image is made of. host.c keeps the cache, host_key.c names
 * it, host_shown.c chooses what of /etc is shown, host_etc.c copies it and adds what is synthetic,
 * host_sys.c writes the synthetic /sys.
 */
#ifndef PF_IMAGE_HOST_BUILD_H
#define PF_IMAGE_HOST_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/sha256.h"
#include "image/host.h"

/* One file, link or directory of the host's /etc. */
struct pf__source {
	char *path; /* relative to /etc */
	mode_t mode;
	uint64_t size;
};

struct pf__sources {
	struct pf__source *items; /* sorted, parents before what is in them */
	size_t count, cap;
};

/* whole: everything that is shown. Else what decides over it, for the key: closed files too, since they may
 * be opened, but directories of nothing but links (their own times tell every change) are not entered. */
int pf__etc_collect(int etc_fd, bool whole, struct pf__sources *out, struct pf_error *err);
size_t pf__etc_parents(const char *out[], size_t max);
void pf__sources_free(struct pf__sources *s);

/* Root reads everything; the sandbox is shown only what the host shows to all. */
struct stat;
bool pf__for_everybody(const struct stat *st);

/* The name host-<16 hexadecimal digits>. cache: the cache's directory, where the index of what was looked at
 * last time makes this some fstatat calls; it is written anew when it no longer holds. */
#define PF__KEY_MAX 24
int pf__host_key(int etc_fd, int cache, const char *shell, char out[PF__KEY_MAX], struct pf_error *err);

/* Fill the empty directory dest: copies from etc_fd, and the synthetic files. shell: of the accounts. */
int pf__etc_build(int etc_fd, int dest, const char *shell, struct pf_error *err);

/* What /sys tells, as text without a newline; "" where the host does not say. */
struct pf__sys_facts {
	char online[256], possible[256], present[256], kernel_max[32];
	char thp_enabled[64], thp_defrag[96], thp_shmem[96], thp_size[32];
};
void pf__sys_read(struct pf__sys_facts *out);
void pf__sys_hash(struct pf_sha256 *h); /* the facts that change while a host runs */
int pf__sys_build(int dest, const struct pf__sys_facts *facts, struct pf_error *err);

/* Write a file of mode 0644, or make a directory (text NULL) of mode 0755, whatever the umask; parents are
 * made. An existing file is replaced, an existing directory is fine. */
int pf__put(int dest, const char *path, const void *text, size_t n, struct pf_error *err);
int pf__put_text(int dest, const char *path, const char *text, struct pf_error *err);

/* pf_host_image_get() over another directory than /etc, and with another age (seconds) from which on an old
 * cache may be removed: for tests. */
int pf__host_image_get(const char *etc, const char *state, unsigned grace, struct pf_host_image *out,
		       struct pf_error *err);

#endif
