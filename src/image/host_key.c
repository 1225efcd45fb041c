/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key of the host image's cache: everything the copy was made from, by name, inode, size and times.
 *
 * Walking /etc takes a millisecond, which is a third of a whole run. So the names that the last
 * walk found are kept in STATE/cache/host.index, and while they hold the key is one fstatat for each.
 * They hold as long as no directory among them, nor any that could get a new entry of the list, was changed:
 * the former changes the key itself, the latter are compared with what the index says of them.
 *
 * Of what lies deeper than /etc itself only directories are looked at: whoever replaces a file there (dpkg,
 * update-alternatives, most editors) renames a new one over it, and that changes the directory's time. A file
 * that is rewritten in place three levels down shows after the next change around it, or the next boot.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "image/host_build.h"

/* Raise it whenever what is written changes: caches of other versions are then old ones. */
#define HOST_FORMAT 1u

#define INDEX	  "host.index"
#define INDEX_MAX (4u << 20)
#define PARENTS	  8

/* One path as it is now; what is not there counts as well. */
static void hash_path(int etc_fd, const char *path, struct pf_sha256 *h)
{
	struct stat st;
	uint64_t numbers[8] = {0};

	if (fstatat(etc_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		numbers[0] = st.st_mode;
		numbers[1] = st.st_dev;
		numbers[2] = st.st_ino;
		numbers[3] = S_ISDIR(st.st_mode) ? 0 : (uint64_t)st.st_size;
		numbers[4] = (uint64_t)st.st_mtim.tv_sec;
		numbers[5] = (uint64_t)st.st_mtim.tv_nsec;
		numbers[6] = (uint64_t)st.st_ctim.tv_sec;
		numbers[7] = (uint64_t)st.st_ctim.tv_nsec;
	}
	pf_sha256_add(h, path, strlen(path) + 1);
	pf_sha256_add(h, numbers, sizeof(numbers));
}

/* Of one boot: nothing is synced, so what a power cut left half-written must not be found again. */
static void hash_boot(struct pf_sha256 *h)
{
	char id[64] = "";
	PF_AUTO_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && pf_read_full(fd, id, sizeof(id) - 1) < 0)
		id[0] = '\0';
	pf_sha256_add(h, id, sizeof(id));
}

/* names: each with its NUL, as the index has them. */
static void make_key(int etc_fd, const char *names, size_t n, const char *shell, char out[PF__KEY_MAX])
{
	static const char HEX[] = "0123456789abcdef";
	const uint32_t numbers[] = {HOST_FORMAT, (uint32_t)geteuid()};
	struct pf_sha256 h;
	uint8_t digest[32];

	pf_sha256_init(&h);
	pf_sha256_add(&h, numbers, sizeof(numbers));
	pf_sha256_add(&h, shell, strlen(shell) + 1);
	hash_boot(&h);
	pf__sys_hash(&h);
	for (size_t at = 0; at < n; at += strlen(names + at) + 1)
		hash_path(etc_fd, names + at, &h);
	pf_sha256_end(&h, digest);
	memcpy(out, "host-", 5);
	for (unsigned i = 0; i < 8; i++) {
		out[5 + 2 * i] = HEX[digest[i] >> 4];
		out[6 + 2 * i] = HEX[digest[i] & 15];
	}
	out[21] = '\0';
}

static void hash_parents(int etc_fd, uint8_t out[32])
{
	const char *parents[PARENTS];
	size_t n = pf__etc_parents(parents, PARENTS);
	struct pf_sha256 h;

	pf_sha256_init(&h);
	for (size_t i = 0; i < n; i++)
		hash_path(etc_fd, parents[i], &h);
	pf_sha256_end(&h, out);
}

static bool has_cache(int cache, const char *name)
{
	return faccessat(cache, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The index is a digest of the parents and then the names. */
static bool key_by_index(int etc_fd, int cache, const uint8_t parents[32], const char *shell,
			 char out[PF__KEY_MAX])
{
	PF_AUTO_BUF struct pf_buf b = {0};
	char name[PF__KEY_MAX];

	if (pf_read_file(cache, INDEX, &b, INDEX_MAX) < 0 || b.len <= 32 || memcmp(b.data, parents, 32) != 0)
		return false;
	if (b.data[b.len - 1] != '\0')
		return false;
	make_key(etc_fd, b.data + 32, b.len - 32, shell, name);
	if (!has_cache(cache, name))
		return false;
	memcpy(out, name, sizeof(name));
	return true;
}

int pf__host_key(int etc_fd, int cache, const char *shell, char out[PF__KEY_MAX], struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf__sources s = {0};
	uint8_t parents[32];
	int r;

	hash_parents(etc_fd, parents);
	if (key_by_index(etc_fd, cache, parents, shell, out))
		return 0;
	r = pf__etc_collect(etc_fd, false, &s, err);
	if (r < 0)
		return r;
	pf_buf_add(&b, parents,
		   sizeof(parents)); /* from before the walk: what changed since then shows next time */
	for (size_t i = 0; i < s.count; i++)
		if (S_ISDIR(s.items[i].mode) || !strchr(s.items[i].path, '/'))
			pf_buf_add(&b, s.items[i].path, strlen(s.items[i].path) + 1);
	pf__sources_free(&s);
	if (b.failed)
		return pf_fail(err, -ENOMEM, "no memory for the index of /etc");
	make_key(etc_fd, b.data + 32, b.len - 32, shell, out);
	r = pf_replace_file(cache, INDEX, b.data, b.len, 0600);
	return r < 0 ? pf_fail(err, r, "cannot write the index of the host image: %s", strerror(-r)) : 0;
}
