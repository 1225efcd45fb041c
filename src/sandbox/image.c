/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image of a sandbox: found by the name or digest of its policy, made first if it is `base` and was not
 * yet, and held so that nobody removes it while the sandbox lives.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image/program.h"
#include "sandbox/sandbox.h"

/* DESIGN section 8: what an agent's commands need, made of Debian's packages on first need. */
static const char made_on_need[] = "base";

static int find_or_make(struct pf_sandbox *s, struct pf_image *out, struct pf_error *err)
{
	const char *name = s->policy->image;
	int r = pf_image_find(s->dirs.state, name, out, err);

	if (r != -ENOENT || strcmp(name, made_on_need) != 0)
		return r;
	r = pf_image_program(&s->dirs, "ensure", name, s->progress, err);
	return r < 0 ? r : pf_image_find(s->dirs.state, name, out, err);
}

int pf__image_take(struct pf_sandbox *s, struct pf_error *err)
{
	struct pf_image image = {0};
	int r;

	if (strcmp(s->policy->image, "host") == 0)
		return 0;
	r = find_or_make(s, &image, err);
	if (r < 0)
		return r;
	r = pf_image_hold(&image, err);
	if (r < 0) {
		pf_image_free(&image);
		return r;
	}
	s->image = image;
	s->image_hold = r;
	return 0;
}

void pf__image_drop(struct pf_sandbox *s)
{
	if (s->image_hold >= 0)
		close(pf_take_fd(&s->image_hold));
	pf_image_free(&s->image);
}
