/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The /etc of the `host` image: copies of what is shown, without private keys, and the files that are
 * written here, so that neither users nor names nor network of the host show.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "image/host_build.h"

#define ETC_FILE_MAX  (8u << 20) /* a larger one is left out */
#define ETC_TOTAL_MAX (64u << 20)

static bool holds_private_key(const struct pf_buf *b)
{
	static const char MARK[] = "PRIVATE KEY-----";

	return b->len > 0 && memmem(b->data, b->len, MARK, sizeof(MARK) - 1);
}

/* A file that vanished, grew or closed itself since it was listed is left out: the next key differs. */
static int copy_file(int etc_fd, const struct pf__source *s, int dest, uint64_t *total, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	PF_AUTO_CLOSE int fd = -1;
	struct stat st;
	int r;

	if (s->size > ETC_FILE_MAX)
		return 0;
	fd = pf_open_beneath(etc_fd, s->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !pf__for_everybody(&st))
		return 0;
	r = pf_read_fd(fd, &b, ETC_FILE_MAX);
	if (r == -ENOMEM)
		return pf_fail(err, r, "no memory for /etc/%s", s->path);
	if (r < 0 || holds_private_key(&b))
		return 0;
	*total += b.len;
	if (*total > ETC_TOTAL_MAX)
		return pf_fail(err, -EFBIG, "what /etc would show is more than %u MiB", ETC_TOTAL_MAX >> 20);
	r = pf__put(dest, s->path, b.len ? b.data : "", b.len, err);
	if (r < 0 || !(s->mode & S_IXOTH))
		return r;
	return fchmodat(dest, s->path, 0755, 0) < 0 ? pf_fail_errno(err, "cannot set the mode of %s", s->path)
						    : 0;
}

static int copy_link(int etc_fd, const struct pf__source *s, int dest, struct pf_error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(etc_fd, s->path, target, sizeof(target));
	PF_AUTO_CLOSE int parent = -1;
	const char *leaf;

	if (n <= 0 || n == (ssize_t)sizeof(target))
		return 0;
	target[n] = '\0';
	parent = pf_open_parent(dest, s->path, &leaf);
	if (parent < 0)
		return pf_fail(err, parent, "cannot make a link for /etc/%s: %s", s->path, strerror(-parent));
	if (symlinkat(target, parent, leaf) < 0 && errno != EEXIST)
		return pf_fail_errno(err, "cannot make a link for /etc/%s", s->path);
	return 0;
}

/* The way to a nested entry of the allow-list ("pki/tls" of "pki/tls/certs"), which is no entry itself. */
static int put_parents(int dest, const char *path, struct pf_error *err)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (!slash)
		return 0;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	return pf__put(dest, parent, NULL, 0, err);
}

static int copy_shown(int etc_fd, int dest, struct pf_error *err)
{
	struct pf__sources s = {0};
	uint64_t total = 0;
	int r = pf__etc_collect(etc_fd, true, &s, err);

	for (size_t i = 0; r == 0 && i < s.count; i++) {
		const struct pf__source *one = &s.items[i];

		if (S_ISDIR(one->mode)) {
			r = pf__put(dest, one->path, NULL, 0, err);
			continue;
		}
		r = put_parents(dest, one->path, err);
		if (r == 0 && S_ISREG(one->mode))
			r = copy_file(etc_fd, one, dest, &total, err);
		else if (r == 0)
			r = copy_link(etc_fd, one, dest, err);
	}
	pf__sources_free(&s);
	return r;
}

/* Everything that is the same in every sandbox. The machine's id is nobody's: programs want one, and want it
 * not empty. */
static const struct {
	const char *path, *text;
} SYNTHETIC[] = {
	{"hostname", "pinfold\n"},
	{"hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tpinfold\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
	{"resolv.conf", "# A sandbox has no network, and no name server is reached from it.\n"},
	{"nsswitch.conf",
	 "passwd: files\ngroup: files\nshadow: files\ngshadow: files\nhosts: files\nnetworks: files\n"
	 "protocols: files\nservices: files\nethers: files\nrpc: files\nnetgroup: files\n"},
	{"host.conf", "multi on\n"},
	{"shells", "/bin/sh\n/usr/bin/sh\n/bin/bash\n/usr/bin/bash\n/bin/dash\n/usr/bin/dash\n"},
	{"machine-id", "70696e666f6c642073616e64626f7800\n"},
	{"fstab", ""},
	{"group",
	 "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nmail:x:8:\nutmp:x:43:\n"
	 "staff:x:50:\nusers:x:100:\nuser:x:1000:\npinfold-init:x:65533:\nnogroup:x:65534:\n"},
};

const char *pf_host_etc_text(const char *name)
{
	for (size_t i = 0; i < PF_ARRAY_SIZE(SYNTHETIC); i++)
		if (strcmp(SYNTHETIC[i].path, name) == 0)
			return SYNTHETIC[i].text;
	return NULL;
}

static int put_passwd(int dest, const char *shell, struct pf_error *err)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "root:x:0:0:root:/root:%s\n"
		 "user:x:1000:1000:user:/home/user:%s\n"
		 "pinfold-init:x:65533:65533:PID 1 of the sandbox:/:/usr/sbin/nologin\n"
		 "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		 shell, shell);
	return pf__put_text(dest, "passwd", text, err);
}

int pf__etc_build(int etc_fd, int dest, const char *shell, struct pf_error *err)
{
	int r = copy_shown(etc_fd, dest, err);

	for (size_t i = 0; r == 0 && i < PF_ARRAY_SIZE(SYNTHETIC); i++)
		r = pf__put_text(dest, SYNTHETIC[i].path, SYNTHETIC[i].text, err);
	if (r == 0)
		r = put_passwd(dest, shell, err);
	if (r == 0 && symlinkat("../proc/self/mounts", dest, "mtab") < 0)
		r = pf_fail_errno(err, "cannot make mtab");
	return r;
}
