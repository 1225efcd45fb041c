/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold image ensure: what "pinfold run --image NAME" asks for before it starts. An image that is there is
 * there; base is made if it is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "image/tool/tool.h"

enum { OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

/* Many that need it at once make it once. */
static int lock_making(const struct pf_dirs *dirs, struct pf_error *err)
{
	PF_AUTO_CLOSE int images = pf_images_dir(dirs->state, err), fd = -1;

	if (images < 0)
		return images;
	fd = pf_open_beneath(images, "base.lock", O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return pf_fail(err, fd, "cannot open images/base.lock: %s", strerror(-fd));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return pf_take_fd(&fd);
	pf_cli_say("another process makes the image base: waiting for it");
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return pf_fail_errno(err, "cannot lock images/base.lock");
	}
	return pf_take_fd(&fd);
}

static int make_base(const struct pf_dirs *dirs, struct pf_error *err)
{
	static const struct pf_list none;
	struct pf__saved saved;
	int r;

	pf_cli_say("making the image base of Debian packages; this happens once and takes a minute or two");
	r = pf__base_build(dirs, NULL, &none, &saved, err);
	if (r == 0)
		pf__saved_free(&saved);
	return r;
}

static int find(const struct pf_dirs *dirs, const char *word, struct pf_error *err)
{
	struct pf_image image;
	int r = pf_image_find(dirs->state, word, &image, err);

	if (r == 0)
		pf_image_free(&image);
	return r;
}

static int ensure(const char *word)
{
	PF_AUTO_CLOSE int lock = -1;
	struct pf_error err = {0};
	struct pf_dirs dirs;
	int r = pf__tool_begin(&dirs, &err);

	if (r == 0)
		r = find(&dirs, word, &err);
	if (r == -ENOENT && strcmp(word, "base") == 0) {
		lock = lock_making(&dirs, &err);
		r = lock < 0 ? lock : find(&dirs, word, &err);
		if (r == -ENOENT)
			r = make_base(&dirs, &err);
	}
	return r < 0 ? pf_cli_fail(&err) : 0;
}

static int ensure_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_error err = {0};
	struct pf_arg arg;
	int r = pf_args_next(&args, &arg, &err);

	if (r == 1)
		return pf_cli_help(&pf__tool_ensure);
	if (r == 0 && args.words != 1)
		r = pf_fail(&err, -EINVAL, "one image, by name or digest");
	if (r < 0)
		return pf_cli_misuse(&pf__tool_ensure, &err);
	return ensure(argv[0]);
}

const struct pf_verb pf__tool_ensure = {
	.name = "image ensure",
	.summary = "make base if it is not there yet",
	.usage = "image ensure IMAGE\n",
	.text = "Ends with 0 if the image is there and whole; base is made if it is missing. \"pinfold run\" "
		"does\n"
		"this by itself.",
	.opts = opts,
	.main = ensure_main,
	.words = PF_WORDS_IMAGES,
};
