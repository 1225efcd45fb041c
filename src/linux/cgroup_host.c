/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where this host has its control groups: own group from /proc/self/cgroup, mounts from
 * /proc/self/mountinfo (proc_pid_cgroup(5), proc_pid_mountinfo(5), kernel
 * Documentation/admin-guide/cgroup-v1/cgroups.rst and cgroup-v2.rst).
 *
 * v1 and v2 are told apart for each controller, not for the host: a controller that a v1
 * hierarchy holds is named in /proc/self/cgroup, everything else can only be v2's.
 */
#include "linux/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

/* A host of 4,000 mounts has half a MiB; beyond this something is wrong. */
#define MOUNTINFO_MAX (8u << 20)
#define SELF_MAX      (256u << 10)

static const char *const controller_names[PF__CG_SLOTS - 1] = {"memory", "pids", "cpu", "cpuacct", "freezer"};

/* Mask of the controllers in a list that is separated by any of `sep`; other words are ignored. */
static unsigned controllers_in(const char *list, const char *sep)
{
	unsigned mask = 0;

	while (*list) {
		size_t n = strcspn(list, sep);

		for (unsigned i = 0; i < PF_ARRAY_SIZE(controller_names); i++) {
			if (strlen(controller_names[i]) == n && memcmp(list, controller_names[i], n) == 0)
				mask |= 1u << i;
		}
		list += n;
		list += strspn(list, sep);
	}
	return mask;
}

unsigned pf__cg_parse_controllers(const char *text)
{
	return controllers_in(text, " \n");
}

const char *pf__cg_limit_names(unsigned mask, char out[48])
{
	snprintf(out, 48, "%s%s%s%s%s", mask & PF_CG_MEMORY ? "memory" : "",
		 mask & PF_CG_MEMORY && mask & (PF_CG_PIDS | PF_CG_CPU) ? ", " : "",
		 mask & PF_CG_PIDS ? "processes" : "", mask & PF_CG_PIDS && mask & PF_CG_CPU ? ", " : "",
		 mask & PF_CG_CPU ? "cpus" : "");
	return out;
}

struct pf__cg_slot *pf__cg_slot(struct pf__cg_host *h, unsigned bit)
{
	return &h->slot[__builtin_ctz(bit)];
}

/* One line "ID:CONTROLLERS:PATH". Only the first two colons separate: a path may hold more,
 * but no newline (cgroup_mkdir() refuses one for the sake of this file). */
static void self_line(char *line, struct pf__cg_host *h)
{
	char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
	unsigned mask;
	uint32_t id;

	if (!path)
		return;
	*list++ = '\0';
	*path++ = '\0';
	if (*path != '/' || pf_parse_u32(line, &id) < 0)
		return;
	if (id == 0)
		mask = *list ? 0 : PF__CG_V2;
	else
		mask = controllers_in(list, ",");
	for (unsigned i = 0; i < PF__CG_SLOTS; i++) {
		if (!(mask & (1u << i)) || h->slot[i].path)
			continue;
		h->slot[i].path = path;
		h->slot[i].id = id;
	}
}

void pf__cg_parse_self(char *text, struct pf__cg_host *h)
{
	char *line;

	while ((line = strsep(&text, "\n")))
		self_line(line, h);
}

/* mountinfo writes space, tab, newline and backslash as \ooo. In place; false for anything else
 * behind a backslash, which the kernel does not write. */
static bool unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (*s != '\\') {
			*out++ = *s;
			continue;
		}
		if (s[1] < '0' || s[1] > '3' || s[2] < '0' || s[2] > '7' || s[3] < '0' || s[3] > '7')
			return false;
		*out = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
		if (*out++ == '\0')
			return false;
		s += 3;
	}
	*out = '\0';
	return true;
}

/* What of path lies below root: "" or "/...", NULL if it is not within. */
static const char *below(const char *path, const char *root)
{
	size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	return strcmp(path + n, "/") == 0 ? "" : path + n;
}

static bool has_option(const char *options, const char *name)
{
	size_t want = strlen(name);

	for (;;) {
		size_t n = strcspn(options, ",");

		if (n == want && memcmp(options, name, n) == 0)
			return true;
		if (!options[n])
			return false;
		options += n + 1;
	}
}

/* Of several mounts of one hierarchy the first that shows own group serves, a writable one before
 * a read-only one (containers often see both). A later one at the same place hides the earlier. */
static void offer_mount(struct pf__cg_slot *s, const char *point, const char *root, bool ro)
{
	if (s->point && strcmp(s->point, point) == 0)
		s->point = s->root = NULL;
	if (!s->path || !below(s->path, root))
		return;
	if (s->point && (ro || !s->ro))
		return;
	s->point = point;
	s->root = root;
	s->ro = ro;
}

/* id parent major:minor ROOT POINT OPTIONS [tag[:value]...] - TYPE source SUPER-OPTIONS */
static void mount_line(char *line, struct pf__cg_host *h)
{
	char *field[6], *word, *type, *super;
	unsigned mask;
	bool ro;

	for (unsigned i = 0; i < PF_ARRAY_SIZE(field); i++) {
		field[i] = strsep(&line, " ");
		if (!field[i])
			return;
	}
	do
		word = strsep(&line, " ");
	while (word && strcmp(word, "-") != 0);
	type = strsep(&line, " ");
	if (!type || strncmp(type, "cgroup", 6) != 0 || !strsep(&line, " "))
		return;
	super = strsep(&line, " ");
	if (!super || field[3][0] != '/' || field[4][0] != '/' || !unescape(field[3]) || !unescape(field[4]))
		return;
	if (strcmp(type, "cgroup2") == 0)
		mask = PF__CG_V2;
	else
		mask = strcmp(type, "cgroup") == 0 ? controllers_in(super, ",") : 0;
	ro = has_option(field[5], "ro") || has_option(super, "ro");
	for (unsigned i = 0; i < PF__CG_SLOTS; i++) {
		if (mask & (1u << i))
			offer_mount(&h->slot[i], field[4], field[3], ro);
	}
}

void pf__cg_parse_mounts(char *text, struct pf__cg_host *h)
{
	char *line;

	while ((line = strsep(&text, "\n")))
		mount_line(line, h);
}

static int read_text(const char *path, struct pf_buf *b, size_t max, struct pf_error *err)
{
	int r = pf_read_file(AT_FDCWD, path, b, max);

	/* No such file: a kernel without cgroups, which is an answer. */
	if (r == 0 || r == -ENOENT)
		return pf_buf_adds(b, "") < 0 ? pf_fail(err, -ENOMEM, "no memory for %s", path) : 0;
	return pf_fail(err, r, "cannot read %s (is /proc mounted?)", path);
}

int pf__cg_host_read(struct pf__cg_host *h, struct pf_error *err)
{
	int r;

	memset(h, 0, sizeof(*h));
	r = read_text("/proc/self/cgroup", &h->self, SELF_MAX, err);
	if (r == 0)
		r = read_text("/proc/self/mountinfo", &h->mounts, MOUNTINFO_MAX, err);
	if (r < 0) {
		pf__cg_host_free(h);
		return r;
	}
	if (h->self.data)
		pf__cg_parse_self(h->self.data, h);
	if (h->mounts.data)
		pf__cg_parse_mounts(h->mounts.data, h);
	return 0;
}

unsigned pf__cg_wanted(const struct pf_cg_limits *limits)
{
	return PF__CG_MEMORY | PF__CG_PIDS | PF__CG_CPUACCT | (limits->cpu_milli ? PF__CG_CPU : 0);
}

unsigned pf__cg_only_v2(struct pf__cg_host *h, unsigned wanted)
{
	wanted &= PF__CG_LIMITS;
	for (unsigned bit = 1; bit < PF__CG_CPUACCT; bit <<= 1) {
		if (pf__cg_slot(h, bit)->path)
			wanted &= ~bit;
	}
	return pf__cg_slot(h, PF__CG_V2)->path ? wanted : 0;
}

bool pf_cgroup_wants_v2(const struct pf_cg_limits *limits)
{
	struct pf__cg_host h = {0};
	bool wants = true;

	if (read_text("/proc/self/cgroup", &h.self, SELF_MAX, NULL) == 0 && h.self.data) {
		pf__cg_parse_self(h.self.data, &h);
		wants = pf__cg_only_v2(&h, pf__cg_wanted(limits)) != 0;
	}
	pf__cg_host_free(&h);
	return wants;
}

void pf__cg_host_free(struct pf__cg_host *h)
{
	pf_buf_free(&h->self);
	pf_buf_free(&h->mounts);
	memset(h->slot, 0, sizeof(h->slot));
}

/* A process outside of its cgroup namespace's root is shown with "/..": such a path leads nowhere. */
static bool climbs(const char *path)
{
	const char *p = path;

	while ((p = strstr(p, "/.."))) {
		if (p[3] == '\0' || p[3] == '/')
			return true;
		p += 3;
	}
	return false;
}

int pf__cg_slot_dir(const struct pf__cg_slot *s, char out[PATH_MAX])
{
	const char *rest;
	int n;

	if (!s->path || !s->point)
		return s->path && climbs(s->path) ? -EXDEV : -ENOENT;
	rest = below(s->path, s->root);
	if (!rest || climbs(s->path))
		return -EXDEV;
	n = snprintf(out, PATH_MAX, "%s%s", strcmp(s->point, "/") == 0 && *rest ? "" : s->point, rest);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* --- for doctor --- */

static bool v1_writable(const struct pf__cg_slot *s)
{
	char dir[PATH_MAX];

	return !s->ro && pf__cg_slot_dir(s, dir) == 0 &&
	       faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0;
}

static void host_v1(struct pf__cg_host *h, struct pf_cg_host *out)
{
	bool writable = true;

	for (unsigned i = 0; i < 3; i++) {
		if (!h->slot[i].path || !h->slot[i].point)
			continue;
		out->v1 = true;
		out->controllers |= 1u << i;
		writable = writable && v1_writable(&h->slot[i]);
	}
	out->writable = out->v1 && writable;
}

void pf_cgroup_host(struct pf_cg_host *out)
{
	struct pf__cg_host h;
	unsigned v2 = 0;
	char step[160] = "", names[48];
	bool place = false;

	memset(out, 0, sizeof(*out));
	if (pf__cg_host_read(&h, NULL) < 0) {
		snprintf(out->text, sizeof(out->text), "cgroups: /proc/self/cgroup cannot be read");
		return;
	}
	host_v1(&h, out);
	if (pf__cg_slot(&h, PF__CG_V2)->point)
		place = pf__cg_v2_probe(&h, &v2, step, sizeof(step));
	v2 &= PF__CG_LIMITS & ~out->controllers;
	out->v2 = v2 != 0;
	out->writable = (out->v1 || out->v2) && (!out->v1 || out->writable) && (!out->v2 || place);
	out->controllers |= v2;
	pf__cg_host_free(&h);
	if (!out->controllers) {
		snprintf(out->text, sizeof(out->text),
			 "no cgroups with memory, pids or cpu controllers are mounted");
		return;
	}
	snprintf(out->text, sizeof(out->text), "cgroup %s: %s; %s%s%s",
		 out->v1 && out->v2 ? "v1+v2"
		 : out->v2	    ? "v2"
				    : "v1",
		 pf__cg_limit_names(out->controllers, names),
		 out->writable ? "limits can be held" : "not writable", out->v2 ? "; " : "",
		 out->v2 ? step : "");
}
