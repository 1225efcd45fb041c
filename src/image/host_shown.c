/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the host's /etc is shown. An allow-list: a file that nobody thought of is not shown. What is
 * on it must still be readable by everybody on the host (the command could have read it as any
 * ordinary user) and must not be called like a secret; host_etc.c also looks for private keys in it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/host_build.h"

#define ETC_DEPTH	8
#define ETC_ENTRIES_MAX 20000

/*
 * Left out on purpose, though tools read them: pip.conf, npmrc, gitconfig, wgetrc, maven's settings.xml
 * (credentials of package servers, and there is no network for them), profile and profile.d (exported
 * tokens), ssh, ssl/private, sudoers, shadow, machine-id, networks, fstab, X11, apt.
 */
/* clang-format off: a list to be read by its kinds */
static const char *const SHOWN[] = {
	/* loader and links */
	"alternatives",
	"ld.so.cache",
	"ld.so.conf",
	"ld.so.conf.d",
	"ld-musl-x86_64.path",
	"ld-musl-x86_64.d",
	/* certificates: trust, not keys */
	"ssl/certs",
	"ssl/cert.pem",
	"ssl/openssl.cnf",
	"ca-certificates",
	"ca-certificates.conf",
	"pki/ca-trust",
	"pki/tls/certs",
	"pki/tls/cert.pem",
	"pki/tls/openssl.cnf",
	"pki/java",
	"crypto-policies",
	/* time, names of numbers */
	"localtime",
	"timezone",
	"services",
	"protocols",
	"rpc",
	"ethertypes",
	"netconfig",
	"bindresvport.blacklist",
	"gai.conf",
	"locale.alias",
	"locale.conf",
	/* which system this is */
	"os-release",
	"debian_version",
	"lsb-release",
	"redhat-release",
	"system-release",
	"fedora-release",
	"centos-release",
	"alpine-release",
	"arch-release",
	"SuSE-release",
	"dpkg/origins",
	"static",
	/* kinds of files, terminals, shells, editors, pagers */
	"mime.types",
	"mailcap",
	"magic",
	"magic.mime",
	"inputrc",
	"terminfo",
	"bash.bashrc",
	"vim",
	"nanorc",
	"emacs",
	"less",
	"groff",
	"manpath.config",
	"fonts",
	"xml",
	"sgml",
	"texmf",
	"papersize",
	/* runtimes and tools that do not start, or start otherwise, without */
	"perl",
	"R",
	"nodejs",
	"dotnet",
	"maven/m2.conf",
	"maven/logging",
	"gdb",
	"gprofng.rc",
	"glvnd",
	"OpenCL",
	"mke2fs.conf",
	"xattr.conf",
};
/* clang-format on */

/* Names with a version in them. */
static const char *const SHOWN_PREFIX[] = {"java", "python3", "ruby", "php", "ImageMagick-"};

/* These hold links, which are replaced and never written into: the directory's times tell all. */
static const char *const LINK_DIRS[] = {"alternatives", "ssl/certs"};

static const char *const SECRET_ENDINGS[] = {".key", ".p12", ".pfx", ".pwd", ".kdbx", ".keytab", ".netrc"};
static const char *const SECRET_WORDS[] = {"passw", "secret", "credential", "private"};

static bool secret_name(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < PF_ARRAY_SIZE(SECRET_ENDINGS); i++) {
		size_t e = strlen(SECRET_ENDINGS[i]);

		if (n >= e && strcasecmp(name + n - e, SECRET_ENDINGS[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(SECRET_WORDS); i++) {
		if (strcasestr(name, SECRET_WORDS[i]))
			return true;
	}
	return false;
}

static bool is_plain(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode);
}

bool pf__for_everybody(const struct stat *st)
{
	if (S_ISREG(st->st_mode))
		return (st->st_mode & S_IROTH) != 0;
	if (S_ISDIR(st->st_mode))
		return (st->st_mode & (S_IROTH | S_IXOTH)) == (S_IROTH | S_IXOTH);
	return S_ISLNK(st->st_mode);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct pf__source *)a)->path, ((const struct pf__source *)b)->path);
}

static void free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* The names in a directory, sorted: the order of a directory is no property of what is in it. */
static int read_names(int dir, char ***out, size_t *count)
{
	PF_AUTO_DIR DIR *d = NULL;
	char **names = NULL;
	size_t n = 0, cap = 0;
	struct dirent *e;
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a dup would share the position */

	if (copy < 0)
		return -errno;
	d = fdopendir(copy);
	if (!d) {
		close(copy);
		return -ENOMEM;
	}
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (n == cap) {
			char **more = reallocarray(names, cap ? cap * 2 : 64, sizeof(*names));

			if (!more)
				break;
			names = more;
			cap = cap ? cap * 2 : 64;
		}
		names[n] = strdup(e->d_name);
		if (!names[n])
			break;
		n++;
	}
	if (e) {
		free_names(names, n);
		return -ENOMEM;
	}
	if (n > 1)
		qsort(names, n, sizeof(*names), by_name);
	*out = names;
	*count = n;
	return 0;
}

static int add_source(struct pf__sources *s, const char *path, const struct stat *st)
{
	struct pf__source *one;

	if (s->count == ETC_ENTRIES_MAX)
		return -E2BIG;
	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 128;

		one = reallocarray(s->items, cap, sizeof(*one));
		if (!one)
			return -ENOMEM;
		s->items = one;
		s->cap = cap;
	}
	one = &s->items[s->count];
	*one = (struct pf__source){.path = strdup(path), .mode = st->st_mode, .size = (uint64_t)st->st_size};
	if (!one->path)
		return -ENOMEM;
	s->count++;
	return 0;
}

static bool is_link_dir(const char *path)
{
	for (size_t i = 0; i < PF_ARRAY_SIZE(LINK_DIRS); i++) {
		if (strcmp(path, LINK_DIRS[i]) == 0)
			return true;
	}
	return false;
}

/* Add parent/name, whose path from /etc is path, and what is in it. What cannot be read is left out. */
static int add_tree(int parent, const char *name, const char *path, bool whole, unsigned depth,
		    struct pf__sources *out)
{
	PF_AUTO_CLOSE int fd = -1;
	char **names = NULL;
	size_t count = 0;
	struct stat st;
	int r;

	if (secret_name(name) || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !is_plain(&st))
		return 0;
	if (whole && !pf__for_everybody(&st))
		return 0;
	r = add_source(out, path, &st);
	if (r < 0 || !S_ISDIR(st.st_mode) || depth == ETC_DEPTH || (!whole && is_link_dir(path)))
		return r;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	r = read_names(fd, &names, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		char below[PATH_MAX];

		if (snprintf(below, sizeof(below), "%s/%s", path, names[i]) < (int)sizeof(below))
			r = add_tree(fd, names[i], below, whole, depth + 1, out);
	}
	free_names(names, count);
	return r;
}

/* A path of the allow-list. Above it only real directories count: `ssl` as a link elsewhere is not ours to
 * follow. */
static int add_shown(int etc_fd, const char *path, bool whole, struct pf__sources *out)
{
	PF_AUTO_CLOSE int parent = -1;
	const char *leaf = path;

	if (!strchr(path, '/'))
		return add_tree(etc_fd, path, path, whole, 0, out);
	parent = pf_open_parent(etc_fd, path, &leaf);
	return parent < 0 ? 0 : add_tree(parent, leaf, path, whole, 0, out);
}

static int add_prefixed(int etc_fd, bool whole, struct pf__sources *out)
{
	char **names;
	size_t count;
	int r = read_names(etc_fd, &names, &count);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		for (size_t k = 0; k < PF_ARRAY_SIZE(SHOWN_PREFIX); k++) {
			if (pf_has_prefix(names[i], SHOWN_PREFIX[k])) {
				r = add_tree(etc_fd, names[i], names[i], whole, 0, out);
				break;
			}
		}
	}
	free_names(names, count);
	return r;
}

int pf__etc_collect(int etc_fd, bool whole, struct pf__sources *out, struct pf_error *err)
{
	struct pf__sources found = {0};
	int r = add_prefixed(etc_fd, whole, &found);

	for (size_t i = 0; r == 0 && i < PF_ARRAY_SIZE(SHOWN); i++)
		r = add_shown(etc_fd, SHOWN[i], whole, &found);
	if (r < 0) {
		pf__sources_free(&found);
		return r == -E2BIG
			       ? pf_fail(err, r, "more than %d files of /etc would be shown", ETC_ENTRIES_MAX)
			       : pf_fail(err, r, "cannot list /etc: %s", strerror(-r));
	}
	if (found.count > 1)
		qsort(found.items, found.count, sizeof(*found.items), by_path);
	*out = found;
	return 0;
}

void pf__sources_free(struct pf__sources *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i].path);
	free(s->items);
	*s = (struct pf__sources){0};
}

/* Directories that are no entries but hold some: an entry that appears there changes their times alone. */
size_t pf__etc_parents(const char *out[], size_t max)
{
	static const char *const PARENTS[] = {".", "ssl", "pki", "pki/tls", "dpkg", "maven"};
	size_t n = 0;

	for (; n < PF_ARRAY_SIZE(PARENTS) && n < max; n++)
		out[n] = PARENTS[n];
	return n;
}
