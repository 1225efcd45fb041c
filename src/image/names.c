/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images: what may be one, and STATE/images/names, a file for each. A name comes from users,
 * archives and registries, so nothing but a short list of characters is one, and a file name is only ever
 * made from a name that was checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/store_internal.h"

#define NAMES_DIR  "names"
#define TEMPORARY  "%new" /* '%' begins only %2F and %25 in the file of a name */
#define PREFIX_MIN 6	  /* hex digits that say which image is meant */

/* --- what may be a name --------------------------------------------------------- */

bool pf__store_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	}
	return true;
}

bool pf__store_digest(const char *s)
{
	return pf_has_prefix(s, "sha256:") && strlen(s) == 7 + 64 && pf__store_hex(s + 7, 64);
}

bool pf__name_reads_as_digest(const char *name, const char **hex)
{
	const char *digits = pf_has_prefix(name, "sha256:") ? name + 7 : name;
	size_t n = strlen(digits);

	if (n < PREFIX_MIN || n > 64 || !pf__store_hex(digits, n))
		return false;
	*hex = digits;
	return true;
}

static int refuse(struct pf_error *err, const char *name, const char *why)
{
	char shown[128];

	pf_printable(name, strlen(name), shown, sizeof(shown));
	return pf_fail(err, -EINVAL, "\"%s\" cannot be the name of an image: %s", shown, why);
}

static bool bad_component(const char *s, size_t n)
{
	return n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.');
}

/* Bytes of the file's name. */
static size_t encoded_length(const char *name)
{
	size_t n = 0;

	for (; *name; name++)
		n += *name == '/' ? 3 : 1;
	return n;
}

int pf_image_name_check(const char *name, struct pf_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:+@";
	size_t n = strlen(name);
	const char *hex;

	if (n == 0)
		return pf_fail(err, -EINVAL, "the name of an image cannot be empty");
	if (strspn(name, allowed) != n)
		return refuse(err, name, "letters, digits and . _ - / : + @ make a name");
	if (n > PF_IMAGE_NAME_MAX || encoded_length(name) > NAME_MAX)
		return refuse(err, name, "it is too long (200 bytes at most, and each '/' counts three)");
	if (name[0] == '-')
		return refuse(err, name, "it begins with '-'");
	if (strcmp(name, "host") == 0)
		return refuse(err, name, "that is the host's own /usr");
	if (pf__name_reads_as_digest(name, &hex) || pf_has_prefix(name, "sha256:"))
		return refuse(err, name, "it reads as a digest");
	for (const char *part = name;; part = strchr(part, '/') + 1) {
		size_t length = strcspn(part, "/");

		if (bad_component(part, length))
			return refuse(err, name, "no part between '/' may be empty, \".\" or \"..\"");
		if (part[length] == '\0')
			return 0;
	}
}

/* --- their files ------------------------------------------------------------------ */

/* '%' is no part of a name, so that only '/' needs to be written otherwise. */
static void encode(const char *name, char out[NAME_MAX + 1])
{
	for (; *name; name++) {
		if (*name == '/') {
			memcpy(out, "%2F", 3);
			out += 3;
		} else {
			*out++ = *name;
		}
	}
	*out = '\0';
}

/* False for a file that is none of ours: one that pf__name_set() would not have made. */
static bool decode(const char *file, char out[NAME_MAX + 1])
{
	char *p = out;

	for (; *file && (size_t)(p - out) < NAME_MAX; file++) {
		if (strncmp(file, "%2F", 3) == 0) {
			*p++ = '/';
			file += 2;
		} else {
			*p++ = *file;
		}
	}
	*p = '\0';
	return !*file && pf_image_name_check(out, NULL) == 0;
}

static int open_names(int images)
{
	return pf_open_beneath(images, NAMES_DIR, O_RDONLY | O_DIRECTORY, 0);
}

/* -EBADMSG for a file that is anything but one line with a digest. */
static int read_digest(int names, const char *file, char digest[PF_DIGEST_MAX])
{
	PF_AUTO_BUF struct pf_buf text = {0};
	int r = pf__store_read(names, file, &text);

	if (r < 0)
		return r;
	if (text.len == 0 || text.data[text.len - 1] != '\n')
		return -EBADMSG;
	text.data[--text.len] = '\0';
	if (strlen(text.data) != text.len || !pf__store_digest(text.data))
		return -EBADMSG;
	memcpy(digest, text.data, text.len + 1);
	return 0;
}

int pf__name_get(int images, const char *name, char digest[PF_DIGEST_MAX], struct pf_error *err)
{
	PF_AUTO_CLOSE int names = open_names(images);
	char file[NAME_MAX + 1];
	int r = pf_image_name_check(name, err);

	if (r < 0)
		return r;
	encode(name, file);
	r = names < 0 ? names : read_digest(names, file, digest);
	if (r == -ENOENT)
		return pf_fail(err, r, "there is no image \"%s\"", name);
	if (r == -EBADMSG)
		return pf_fail(
			err, r,
			"the name \"%s\" is damaged (its file in images/names): \"pinfold image rm %s\" "
			"forgets it, \"pinfold image tag\" gives it anew",
			name, name);
	if (r < 0)
		return pf_fail(err, r, "cannot read the name \"%s\" in images/names: %s", name, strerror(-r));
	return 0;
}

/* Written whole under another name first: a reader sees the old digest or the new one, also after a crash. */
static int write_name(int names, const char *file, const char *digest)
{
	PF_AUTO_CLOSE int fd = -1;
	char line[PF_DIGEST_MAX + 1];
	size_t n = strlen(digest);
	int r;

	memcpy(line, digest, n);
	line[n++] = '\n';
	if (unlinkat(names, TEMPORARY, 0) < 0 && errno != ENOENT) /* of one that was killed here */
		return -errno;
	fd = openat(names, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = pf_write_full(fd, line, n);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(names, TEMPORARY, names, file) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(names, TEMPORARY, 0);
	else if (fsync(names) < 0)
		r = -errno;
	return r;
}

int pf__name_set(int images, const char *name, const char *digest, struct pf_error *err)
{
	PF_AUTO_CLOSE int names = -1;
	char file[NAME_MAX + 1];
	int r = pf_image_name_check(name, err);

	if (r < 0)
		return r;
	if (mkdirat(images, NAMES_DIR, 0700) < 0 && errno != EEXIST)
		return pf_fail_errno(err, "cannot make images/names");
	names = open_names(images);
	if (names < 0)
		return pf_fail(err, names, "cannot open images/names: %s", strerror(-names));
	encode(name, file);
	r = write_name(names, file, digest);
	return r < 0 ? pf_fail(err, r, "cannot write the name \"%s\": %s", name, strerror(-r)) : 0;
}

void pf__names_sweep(int images)
{
	PF_AUTO_CLOSE int names = open_names(images);

	if (names >= 0)
		unlinkat(names, TEMPORARY, 0);
}

int pf__name_remove(int images, const char *name, struct pf_error *err)
{
	PF_AUTO_CLOSE int names = open_names(images);
	char file[NAME_MAX + 1];
	int r = pf_image_name_check(name, err);

	if (r < 0 || names == -ENOENT)
		return r;
	encode(name, file);
	if (names < 0 || (unlinkat(names, file, 0) < 0 && errno != ENOENT))
		return pf_fail(err, names < 0 ? names : -errno, "cannot remove the name \"%s\": %s", name,
			       strerror(names < 0 ? -names : errno));
	return 0;
}

int pf__name_each(int images, int (*each)(void *user, const char *name, const char *digest), void *user,
		  struct pf_error *err)
{
	PF_AUTO_CLOSE int names = open_names(images);
	PF_AUTO_DIR DIR *dir = NULL;
	struct dirent *e;

	if (names == -ENOENT)
		return 0;
	dir = names < 0 ? NULL : pf__store_dir(names);
	if (!dir)
		return pf_fail(err, names < 0 ? names : -errno, "cannot read images/names: %s",
			       strerror(names < 0 ? -names : errno));
	while ((e = readdir(dir))) {
		char name[NAME_MAX + 1], digest[PF_DIGEST_MAX];
		int r;

		if (!decode(e->d_name, name))
			continue;
		r = read_digest(names, e->d_name, digest);
		if (r == -ENOENT) /* went meanwhile */
			continue;
		r = each(user, name, r < 0 ? NULL : digest);
		if (r)
			return r;
	}
	return 0;
}
