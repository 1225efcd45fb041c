/* SPDX-License-Identifier: Apache-2.0 */
/* pf_policy_*: the policy as an object of the public API, and its options by name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "guard/secret.h"
#include "sandbox/policy_options.h"

#include "pinfold.h"

static int set_tier(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	(void)name;
	return pf_policy_set_tier(p, value, err);
}

static int set_workspace(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	(void)name;
	return pf_policy_set_workspace(p, value, err);
}

static int add_tools(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	(void)name;
	return pf_policy_add_tools(p, value, err);
}

static int add_commands(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	(void)name;
	return pf_policy_add_commands(p, value, err);
}

static int set_env(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	(void)name;
	return pf_policy_set_env(p, value, err);
}

static int set_user(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	(void)name;
	return pf_policy_set_user(p, value, err);
}

static int set_image(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	(void)name;
	return pf_policy_set_image(p, value, err);
}

static int add_allow(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	(void)name;
	return pf_policy_allow(p, value, err);
}

/* The directory is one of the inside, so it cannot be looked at here: only its form is checked. */
static int set_cwd(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	char clean[4096], *copy;

	(void)name;
	if (value[0] != '/' || pf_path_clean(value, clean, sizeof(clean)) < 0)
		return pf_fail(err, -EINVAL,
			       "cwd must be an absolute path without \"..\": a directory of the inside");
	copy = strdup(clean);
	if (!copy)
		return pf_fail(err, -ENOMEM, "out of memory");
	free(p->cwd);
	p->cwd = copy;
	return 0;
}

static int add_secret(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	int r = pf_secret_check(value, err);

	(void)name;
	if (r == 0 && pf_list_add(&p->secret_values, value) < 0)
		r = pf_fail(err, -ENOMEM, "out of memory");
	return r;
}

/* One word or several with commas between them. */
static int set_require(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	PF_AUTO_FREE char *copy = strdup(value);
	uint32_t all = 0;
	char *rest = copy, *word;

	(void)name;
	if (!copy)
		return pf_fail(err, -ENOMEM, "out of memory");
	while ((word = strsep(&rest, ","))) {
		uint32_t bit;
		int r = pf_require_parse(word, &bit, err);

		if (r < 0)
			return pf_wrap(err, "--require");
		all |= bit;
	}
	p->require |= all;
	return 0;
}

const struct pf_policy_opt pf_policy_opts[] = {
	{"tier", 0, "TIER", "how strong the wall is: auto, container", set_tier},
	{"image", 0, "NAME", "the root: an image by name or digest, or host (default): the host's own tools",
	 set_image},
	{"workspace", 0, "DIR[:ro|:cow|:rw|:rw,live][:path=P]",
	 "your directory inside; cow (default) keeps changes apart", set_workspace},
	{"tools", 0, "DIR", "a tool tree, read-only at its own path, its bin on PATH (again for more)",
	 add_tools},
	{"allow", 0, "HOST:PORT", "let the command reach this through the proxy (again for more; none)",
	 add_allow},
	{"commands", 0, "NAME[,NAME]",
	 "approved programs: no other of the image can be started (again for more)", add_commands},
	{"env", 'e', "NAME[=VALUE]", "an environment variable; without =VALUE the caller's own", set_env},
	{"secret", 0, "NAME=@FILE|env:VAR", "a value that no output may show (again for more)", add_secret},
	{"cwd", 'w', "DIR", "where the command starts (workspace, else HOME)", set_cwd},
	{"user", 'u', "USER", "user (default), root (uid 0 of the sandbox alone), or an account of the image",
	 set_user},
	{"require", 0, "WHAT[,WHAT]",
	 "refuse to run unless proved: limits userns netns seccomp landlock cgroup ...", set_require},
	{"memory", 0, "SIZE", "memory of the whole sandbox, tmpfs included (1G)", pf_policy_set_limit},
	{"cpus", 0, "N", "CPUs, 0.5 for half of one (no limit)", pf_policy_set_limit},
	{"processes", 0, "N", "processes and threads (256)", pf_policy_set_limit},
	{"timeout", 0, "TIME", "end the command after so long: 500ms 10s 2m 1h (60s)", pf_policy_set_limit},
	{"idle-timeout", 0, "TIME", "end it after so long without a byte on any stream (none)",
	 pf_policy_set_limit},
	{"output-limit", 0, "SIZE", "end it after so much output (64M)", pf_policy_set_limit},
	{"disk", 0, "SIZE", "what the workspace's changes may take (3/8 of the memory)", pf_policy_set_limit},
	{"open-files", 0, "N", "open files of each process (1024)", pf_policy_set_limit},
	{NULL, 0, NULL, NULL, NULL},
};

int pf_policy_option(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	for (const struct pf_policy_opt *o = pf_policy_opts; o->name; o++) {
		if (strcmp(o->name, name) == 0)
			return o->set(p, name, value, err);
	}
	return pf_fail(err, -EINVAL, "there is no policy option \"%.60s\"", name);
}

int pf_policy_new(struct pf_policy **out, struct pf_error *err)
{
	struct pf_policy *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return pf_fail(err, -ENOMEM, "out of memory");
	r = pf_policy_defaults(p, err);
	if (r < 0) {
		free(p);
		return r;
	}
	*out = p;
	return 0;
}

void pf_policy_destroy(struct pf_policy *p)
{
	if (!p)
		return;
	pf_policy_free(p);
	free(p);
}
