/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RUNTIME/ID of a live sandbox: one file, since each costs a run a tenth of a millisecond where /run is on a
 * disk. Its lock is held for as long as the keeper lives; the kernel lets it go when the keeper dies in
 * whatever way, and then, and only then, a sweep may remove what its lines name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/meta.h"
#include "sandbox/sandbox.h"

/* 60 random bits and nothing that could be mistaken for an option. */
static void make_id(char id[40])
{
	static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint8_t r[12];
	int i;

	pf_random(r, sizeof(r));
	for (i = 0; i < 12; i++)
		id[i] = letters[r[i] & 31];
	id[12] = '\0';
}

int pf__rundir_make(struct pf_sandbox *s, struct pf_error *err)
{
	int r;

	s->run_fd = pf_dirs_runtime(&s->dirs, err);
	if (s->run_fd < 0)
		return s->run_fd;
	make_id(s->id);
	s->live_fd = openat(s->run_fd, s->id, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (s->live_fd < 0)
		return pf_fail_errno(err, "cannot make %s/%s", s->dirs.runtime, s->id);
	if (flock(s->live_fd, LOCK_EX | LOCK_NB) < 0) {
		r = pf_fail_errno(err, "cannot lock %s/%s", s->dirs.runtime, s->id);
		pf__rundir_remove(s);
		return r;
	}
	return 0;
}

/* Written as soon as the groups exist. In the moment before, a sweep looks where they would be
 * (pf_cgroup_sweep_id()). */
int pf__rundir_describe(struct pf_sandbox *s, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf lines = {0};
	PF_AUTO_FREE char *real = NULL;
	char text[40];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	pf_meta_add(&lines, "started", text);
	snprintf(text, sizeof(text), "%d", getpid());
	pf_meta_add(&lines, "pid", text);
	pf_meta_add(&lines, "tier", s->tier->name);
	pf_meta_add(&lines, "state", s->dirs.state);
	/* as who lists it from elsewhere can use it */
	if (s->policy->ws_path && (real = realpath(s->policy->ws_path, NULL)))
		pf_meta_add(&lines, "workspace", real);
	else if (s->policy->ws_path)
		pf_meta_add(&lines, "workspace", s->policy->ws_path);
	if (s->policy->ws_path)
		pf_meta_add(&lines, "mode", pf_ws_mode_name(s->policy->ws_mode));
	if (s->image.dir)
		pf_meta_add(&lines, "image", s->image.digest);
	if (s->box->command)
		pf_meta_add(&lines, "command", s->box->command);
	s->tier->describe(s->box, &lines);
	if (lines.failed)
		return pf_fail(err, -ENOMEM, "out of memory");
	/* one write: who was killed in the middle of it left the lines before or the new ones */
	if (pwrite(s->live_fd, lines.data, lines.len, 0) != (ssize_t)lines.len ||
	    ftruncate(s->live_fd, (off_t)lines.len) < 0)
		return pf_fail_errno(err, "cannot write %s/%s", s->dirs.runtime, s->id);
	return 0;
}

void pf__rundir_remove(struct pf_sandbox *s)
{
	if (s->live_fd >= 0) {
		unlinkat(s->run_fd, s->id, 0);
		close(s->live_fd);
	}
	if (s->run_fd >= 0)
		close(s->run_fd);
	s->run_fd = s->live_fd = -1;
}
