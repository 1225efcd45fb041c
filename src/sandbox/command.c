/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command starts with: its words, its environment, its directory. An image's configuration is one of
 * the sources, as docker has it, below the policy and the caller: ENTRYPOINT, CMD, ENV, WORKDIR.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "sandbox/sandbox.h"

#define IMAGE_ENV_MAX 4096u /* variables of an image; each is looked for among all */

/* Of the image, or NULL. */
static const struct pf_image_config *config(const struct pf_sandbox *s)
{
	return s->image.dir ? &s->image.config : NULL;
}

/* --- words ------------------------------------------------------------------------------ */

static size_t count_words(const char *const *words)
{
	size_t n = 0;

	while (words && words[n])
		n++;
	return n;
}

int pf__command_words(const struct pf_sandbox *s, const struct pf_exec_options *o, const char ***out,
		      struct pf_error *err)
{
	const struct pf_image_config *c = o->from_image && !o->shell ? config(s) : NULL;
	const char *const line[] = {"sh", "-c", o->shell, NULL}, *const *argv = o->shell ? line : o->argv;
	size_t given = count_words(argv), n = 0, i, room = given + 2;
	const char **words;

	if (o->shell && (o->entrypoint || count_words(o->argv)))
		return pf_fail(err, -EINVAL,
			       "a shell's line stands alone: no words and no entrypoint beside it");
	if (!c && o->from_image && o->entrypoint)
		return pf_fail(err, -EINVAL, "an entrypoint is of an image, and this is none");
	words = calloc(room + (c ? c->entrypoint.count + c->cmd.count : 0), sizeof(*words));
	if (!words)
		return pf_fail(err, -ENOMEM, "out of memory");
	if (o->from_image && o->entrypoint && *o->entrypoint)
		words[n++] = o->entrypoint;
	for (i = 0; c && !o->entrypoint && i < c->entrypoint.count; i++)
		words[n++] = c->entrypoint.items[i];
	for (i = 0; i < given; i++)
		words[n++] = argv[i];
	for (i = 0; c && !o->entrypoint && given == 0 && i < c->cmd.count; i++)
		words[n++] = c->cmd.items[i];
	if (n == 0) {
		free(words);
		return pf_fail(err, -EINVAL, "no command was given%s",
			       c ? ", and the image says none itself" : "");
	}
	*out = words;
	return 0;
}

/* --- environment -------------------------------------------------------------------------- */

/* A later one replaces an earlier one, in its place. */
static int put(struct pf_list *env, const char *kv)
{
	size_t n = strcspn(kv, "=") + 1, i;
	char *copy;

	for (i = 0; i < env->count; i++) {
		if (strncmp(env->items[i], kv, n) != 0)
			continue;
		copy = strdup(kv);
		if (!copy)
			return -ENOMEM;
		free(env->items[i]);
		env->items[i] = copy;
		return 0;
	}
	return pf_list_add(env, kv);
}

static int putf(struct pf_list *env, const char *key, const char *value)
{
	PF_AUTO_BUF struct pf_buf kv = {0};

	pf_buf_addf(&kv, "%s=%s", key, value);
	return kv.failed ? -ENOMEM : put(env, kv.data);
}

static const char *find(const struct pf_list *env, const char *key)
{
	size_t n = strlen(key), i;

	for (i = 0; i < env->count; i++)
		if (strncmp(env->items[i], key, n) == 0 && env->items[i][n] == '=')
			return env->items[i] + n + 1;
	return NULL;
}

static int put_image(struct pf_list *env, const struct pf_image_config *c)
{
	int r = 0;
	size_t i;

	if (c && c->env.count > IMAGE_ENV_MAX)
		return -E2BIG;
	for (i = 0; c && i < c->env.count && r == 0; i++)
		if (c->env.items[i][0] != '=' && strchr(c->env.items[i], '='))
			r = put(env, c->env.items[i]);
	return r;
}

/* Both cases: curl reads http_proxy in lower case alone, others upper case first. What is on the sandbox's
 * own loopback needs no proxy. */
static int put_proxy(struct pf_list *env)
{
	static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy",
					    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"};
	char url[40];
	int r = 0;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u", PF_DOOR_PORT);
	for (size_t i = 0; i < PF_ARRAY_SIZE(names) && r == 0; i++)
		r = putf(env, names[i], url);
	if (r == 0)
		r = put(env, "no_proxy=localhost,127.0.0.1,::1");
	return r < 0 ? r : put(env, "NO_PROXY=localhost,127.0.0.1,::1");
}

/* PATH is the image's, or the usual one, behind the tools. HOME is where the command can write. */
static int put_own(const struct pf_sandbox *s, const struct pf_exec_options *o, struct pf_list *env)
{
	const char *usual = s->policy->user_root
				    ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
				    : "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
	const char *path = find(env, "PATH"), *term = getenv("TERM");
	PF_AUTO_BUF struct pf_buf whole = {0}; /* path lies in env, which changes */
	int r;

	if (s->box->tools_path)
		pf_buf_addf(&whole, "%s:", s->box->tools_path);
	pf_buf_adds(&whole, path && *path ? path : usual);
	if (whole.failed)
		return -ENOMEM;
	if ((r = putf(env, "PATH", whole.data)) < 0 || (r = putf(env, "HOME", s->box->home)) < 0 ||
	    (r = putf(env, "USER", s->box->user)) < 0)
		return r;
	if ((r = put_proxy(env)) < 0)
		return r;
	if (!find(env, "LANG") && (r = put(env, "LANG=C.UTF-8")) < 0)
		return r;
	return o->tty ? putf(env, "TERM", term && *term ? term : "xterm") : 0;
}

/* Nothing of the host's; the image's; pinfold's own; the policy's; the call's (DESIGN section 7). Later ones
 * win. */
int pf__command_env(const struct pf_sandbox *s, const struct pf_exec_options *o, struct pf_list *env)
{
	int r = put_image(env, config(s));
	const char *const *k;
	size_t i;

	if (r == 0)
		r = put_own(s, o, env);
	for (i = 0; i < s->policy->env.count && r == 0; i++)
		r = put(env, s->policy->env.items[i]);
	for (k = o->env; k && *k && r == 0; k++)
		r = put(env, *k);
	return r;
}

/* --- directory ------------------------------------------------------------------------------ */

const char *pf__command_cwd(const struct pf_sandbox *s, const struct pf_exec_options *o)
{
	const struct pf_image_config *c = config(s);

	if (o->cwd)
		return o->cwd;
	if (s->policy->cwd)
		return s->policy->cwd;
	if (s->box->workspace_at)
		return s->box->workspace_at;
	return c && c->workdir && c->workdir[0] == '/' ? c->workdir : s->box->home;
}
