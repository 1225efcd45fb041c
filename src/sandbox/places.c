/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where state, run-time files and the programs of libexec are. Directories that others could write or
 * swap are refused: who can write RUNTIME or STATE decides what a sweep removes and what apply writes.
 */
#include "sandbox/places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int join(char out[512], const char *dir, const char *name, struct pf_error *err)
{
	int n = snprintf(out, 512, "%s%s", dir, name);

	if (n < 0 || n >= 512)
		return pf_fail(err, -ENAMETOOLONG, "the path %.64s... is too long (511 bytes at most)", dir);
	return 0;
}

/* An environment variable that is an absolute path, as the XDG base directories have it: others are ignored.
 */
static const char *env_path(const char *name)
{
	const char *v = getenv(name);

	return v && v[0] == '/' ? v : NULL;
}

static int find_state(const char *given, char out[512], struct pf_error *err)
{
	const char *p = given ? given : getenv("PINFOLD_STATE");

	if (p && *p) {
		if (*p != '/')
			return pf_fail(err, -EINVAL, "the state directory %s must be an absolute path", p);
		return join(out, p, "", err);
	}
	if (geteuid() == 0)
		return join(out, "/var/lib/pinfold", "", err);
	p = env_path("XDG_STATE_HOME");
	if (p)
		return join(out, p, "/pinfold", err);
	p = env_path("HOME");
	if (p)
		return join(out, p, "/.local/state/pinfold", err);
	return pf_fail(err, -ENOENT, "no place for state: set PINFOLD_STATE, XDG_STATE_HOME or HOME");
}

static int find_runtime(const char *given, const char *state, char out[512], struct pf_error *err)
{
	const char *p = given;

	if (p)
		return join(out, p, "", err);
	if (geteuid() == 0)
		return join(out, "/run/pinfold", "", err);
	p = env_path("XDG_RUNTIME_DIR");
	if (p)
		return join(out, p, "/pinfold", err);
	/* No session (cron, su, some CI): a private directory that outlives a boot does as well, since what
	 * counts is who holds the lock. */
	return join(out, state, "/run", err);
}

/* Decided by where the program is and never by the environment: what is in libexec becomes PID 1
 * of every sandbox and is trusted to load its filters. */
static int find_libexec(const char *given, char out[512], struct pf_error *err)
{
	char exe[400], probe[512];
	ssize_t n;
	char *slash;

	if (given)
		return join(out, given, "", err);
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n <= 0 || (size_t)n >= sizeof(exe) - 1)
		return join(out, PF_LIBEXEC, "", err);
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (!slash)
		return join(out, PF_LIBEXEC, "", err);
	*slash = '\0';
	snprintf(probe, sizeof(probe), "%s/libexec/pinfold/pinfold-init", exe);
	if (access(probe, F_OK) == 0)
		return join(out, exe, "/libexec/pinfold", err);
	slash = strrchr(exe, '/');
	if (slash && (strcmp(slash, "/bin") == 0 || strcmp(slash, "/sbin") == 0)) {
		*slash = '\0';
		return join(out, exe, "/libexec/pinfold", err);
	}
	return join(out, PF_LIBEXEC, "", err);
}

int pf_dirs_find(const struct pf_places *places, struct pf_dirs *out, struct pf_error *err)
{
	static const struct pf_places none;
	struct pf_dirs d = {0};
	int r;

	if (!places)
		places = &none;
	r = find_state(places->state, d.state, err);
	if (r == 0)
		r = find_runtime(places->runtime, d.state, d.runtime, err);
	if (r == 0)
		r = find_libexec(places->libexec, d.libexec, err);
	if (r == 0)
		*out = d;
	return r;
}

int pf_dirs_changes(const struct pf_dirs *d, struct pf_error *err)
{
	char path[520 + 16];

	snprintf(path, sizeof(path), "%s/changes", d->state);
	return pf_dir_own(path, 0022, err);
}

int pf_dirs_scratch(const struct pf_dirs *d, struct pf_error *err)
{
	char path[520 + 16];

	snprintf(path, sizeof(path), "%s/scratch", d->state);
	return pf_dir_own(path, 0022, err);
}

int pf_dirs_runtime(const struct pf_dirs *d, struct pf_error *err)
{
	return pf_dir_own(d->runtime, 0077, err);
}
