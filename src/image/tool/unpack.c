/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold image unpack: the tree of an image as a directory, for hosts that may not mount its file. It is
 * made under another name and moved into place whole, by one process at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "erofs/read.h"
#include "image/tool/tool.h"

enum { OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

#define MAKING ".root" /* under root.lock: whatever has this name when we come is left of a dead one */

/* The file is mapped: where the disk cannot read it, or somebody cut it short, the kernel has no other word.
 */
static void on_bus(int signo)
{
	static const char text[] =
		"pinfold: the image's file cannot be read (an error of the disk, or it was cut "
		"short): \"pinfold image inspect --verify\" tells more\n";

	(void)signo;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(PF_EXIT_ERROR);
}

static int map(int dir, const struct pf_image *i, struct pf_erofs *fs, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = pf_open_beneath(dir, "image.erofs", O_RDONLY | O_NONBLOCK, 0);
	void *data;

	if (fd < 0)
		return pf_fail(err, fd, "cannot open %s/image.erofs: %s", i->dir, strerror(-fd));
	data = mmap(NULL, i->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return pf_fail_errno(err, "cannot map %s/image.erofs", i->dir);
	if (pf_erofs_open(fs, data, i->size, err) < 0) {
		munmap(data, i->size);
		return pf_wrap(err, "%s/image.erofs", i->dir);
	}
	return 0;
}

static void on_progress(void *user, uint64_t done, uint64_t total)
{
	pf__progress_bytes(user, "unpacking", done, total);
}

static int write_root_json(int dir, const struct pf_unpack *how)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	int r = pf_image_root_print(how->owners_kept, how->left_out, &text);

	return r < 0 ? r : pf_replace_file(dir, "root.json", text.data, text.len, 0444);
}

/* Whole after a crash as well: the files reach the disk before the name does. */
static int finish(int dir, int root, const struct pf_unpack *how)
{
	int r = write_root_json(dir, how);

	if (r == 0 && syncfs(root) < 0)
		r = -errno;
	if (r == 0 && renameat(dir, MAKING, dir, "root") < 0)
		r = -errno;
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	return r;
}

static int make_root(int dir, const struct pf_image *i, const struct pf_erofs *fs, struct pf__progress *p,
		     struct pf_error *err)
{
	struct pf_unpack how = {.owners = geteuid() == 0, .progress = on_progress, .user = p};
	PF_AUTO_CLOSE int root = -1;
	int r = pf_remove_tree(dir, MAKING);

	if (r == 0 && mkdirat(dir, MAKING, 0700) < 0)
		r = -errno;
	if (r < 0)
		return pf_fail(err, r, "cannot make %s/" MAKING ": %s", i->dir, strerror(-r));
	root = pf_open_beneath(dir, MAKING, O_RDONLY | O_DIRECTORY, 0);
	if (root < 0)
		return pf_fail(err, root, "cannot open %s/" MAKING ": %s", i->dir, strerror(-root));
	r = pf_erofs_unpack(fs, root, &how, err);
	if (r == 0) {
		r = finish(dir, root, &how);
		if (r < 0)
			pf_fail(err, r, "cannot complete %s/root: %s", i->dir, strerror(-r));
	}
	if (r < 0)
		pf_remove_tree(dir, MAKING);
	return r;
}

/* One at a time; who waited finds it done. */
static int lock_root(int dir, struct pf__progress *p, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = pf_open_beneath(dir, "root.lock", O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		return pf_fail(err, fd, "cannot open root.lock: %s", strerror(-fd));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return pf_take_fd(&fd);
	if (p->terminal)
		pf_cli_say("another process unpacks this image: waiting for it");
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return pf_fail_errno(err, "cannot lock root.lock");
	}
	return pf_take_fd(&fd);
}

static bool is_there(int dir)
{
	struct stat st;

	return fstatat(dir, "root", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int unpack_image(const struct pf_image *i, struct pf__progress *p, struct pf_error *err)
{
	PF_AUTO_CLOSE int held = pf_image_hold(i, err), dir = -1, lock = -1;
	struct pf_erofs fs;
	int r;

	if (held < 0)
		return held;
	dir = open(i->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return pf_fail_errno(err, "cannot open %s", i->dir);
	lock = lock_root(dir, p, err);
	if (lock < 0)
		return lock;
	if (is_there(dir))
		return 0;
	r = map(dir, i, &fs, err);
	if (r < 0)
		return r;
	r = make_root(dir, i, &fs, p, err);
	munmap((void *)(uintptr_t)fs.data, i->size);
	return r;
}

static int unpack(const char *word)
{
	struct pf__progress progress;
	struct pf_error err = {0};
	struct pf_image image;
	struct pf_dirs dirs;
	int r;

	if (pf__tool_begin(&dirs, &err) < 0 || pf_image_find(dirs.state, word, &image, &err) < 0)
		return pf_cli_fail(&err);
	signal(SIGBUS, on_bus);
	pf__progress_begin(&progress, "unpack");
	r = unpack_image(&image, &progress, &err);
	pf__progress_end(&progress);
	pf_image_free(&image);
	return r < 0 ? pf_cli_fail(&err) : 0;
}

static int unpack_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_error err = {0};
	struct pf_arg arg;
	int r = pf_args_next(&args, &arg, &err);

	if (r == 1)
		return pf_cli_help(&pf__tool_unpack);
	if (r == 0 && args.words != 1)
		r = pf_fail(&err, -EINVAL,
			    args.words ? "one image at a time"
				       : "which image? \"pinfold image ls\" lists them");
	if (r < 0)
		return pf_cli_misuse(&pf__tool_unpack, &err);
	return unpack(argv[0]);
}

const struct pf_verb pf__tool_unpack = {
	.name = "image unpack",
	.summary = "unpack an image, for a host that cannot mount it",
	.usage = "image unpack IMAGE\n",
	.text = "\"pinfold run\" does this by itself where it must; done beforehand, the first run need not "
		"wait. An\n"
		"image that is unpacked already stays as it is. Without the rights of root all files are "
		"the\n"
		"caller's, and device nodes are left out.",
	.opts = opts,
	.main = unpack_main,
	.words = PF_WORDS_IMAGES,
};
