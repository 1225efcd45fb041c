/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold doctor: what this host can do, proved by doing it, and what dead sandboxes left on it. Each
 * probe belongs to its tier; here they are only called and shown.
 */
#include "cli/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/store_write.h"
#include "linux/landlock.h"
#include "linux/subids.h"
#include "sandbox/outputs.h"
#include "view/view.h"

enum { OPT_JSON, OPT_CLEAN, OPT_FIX, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_JSON] = {"json", 0, PF_OPT_FLAG, NULL, "the same as a JSON object"},
	[OPT_CLEAN] = {"clean", 0, PF_OPT_FLAG, NULL,
		       "remove what dead sandboxes left, and change sets that are too old"},
	[OPT_FIX] =
		{"fix", 0, PF_OPT_VALUE, "WHAT",
		 "apparmor: as root, write and load the profile that lets users' sandboxes work on Ubuntu"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

/* --- the state directory --------------------------------------------------------------- */

static int look_at_changes(struct pf_doctor *d, bool clean, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	struct pf_list ids = {0};
	int r;

	fd = pf_cli_changes(&d->dirs, err);
	if (fd < 0)
		return fd;
	r = clean ? pf_change_retain(fd, &d->dropped, err) : 0;
	if (r == 0)
		r = pf_change_list(fd, &ids, err);
	if (r < 0)
		return r;
	d->kept = ids.count;
	for (size_t i = 0; i < ids.count; i++) {
		uint64_t bytes;
		bool half;

		if (pf_change_usage(fd, ids.items[i], &bytes, &half) < 0)
			continue; /* `ls` says which cannot be read */
		d->kept_bytes += bytes;
		d->half_applied += half;
	}
	pf_list_free(&ids);
	return 0;
}

static int look_at_outputs(struct pf_doctor *d, bool clean, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = pf_outputs_open(&d->dirs, false, err);
	struct pf_list ids = {0};
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (clean)
		d->sweep.removed += pf_outputs_clean(fd);
	r = pf_outputs_list(fd, &ids, err);
	if (r < 0)
		return r;
	d->outputs = ids.count;
	for (size_t i = 0; i < ids.count; i++)
		d->outputs_bytes += pf_outputs_bytes(fd, ids.items[i]);
	pf_list_free(&ids);
	return 0;
}

static int look_at_sandboxes(struct pf_doctor *d, struct pf_error *err)
{
	struct pf_live *list;
	size_t count;
	int r = pf_live_list(&d->dirs, &list, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		if (list[i].other)
			d->elsewhere++;
		else if (list[i].alive)
			d->live++;
		else
			d->dead++;
	}
	pf_live_free(list, count);
	return 0;
}

static void look_at_places(struct pf_doctor *d, bool clean, struct pf_error *err)
{
	unsigned images = 0, views = 0;
	int r = look_at_changes(d, clean, err);

	if (r == 0 && clean) {
		r = pf_sweep(&d->dirs, &d->sweep, err);
		d->cleaned = r == 0;
	}
	if (r == 0 && clean) {
		r = pf_image_sweep(d->dirs.state, &images, err);
		d->sweep.removed += r == 0 ? images : 0;
	}
	if (r == 0 && clean) {
		r = pf_view_clean(d->dirs.state, &views);
		d->sweep.removed += r == 0 ? views : 0;
		if (r < 0)
			pf_fail(err, r, "cannot remove views of approved programs: %s", strerror(-r));
	}
	if (r == 0)
		r = look_at_outputs(d, clean, err);
	if (r == 0)
		r = look_at_sandboxes(d, err);
	if (r < 0)
		d->places_error = err->msg;
}

/* --- the host --------------------------------------------------------------------------- */

static void look_at_tiers(struct pf_doctor *d)
{
	for (size_t i = 0; pf_tiers[i] && d->tier_count < PF_DOCTOR_TIERS; i++) {
		struct pf_probe *p = &d->tiers[d->tier_count].probe;
		struct pf_error err = {0};

		d->tiers[d->tier_count++].name = pf_tiers[i]->name;
		if (pf_tiers[i]->probe(&d->dirs, p, &err) < 0) {
			p->usable = false;
			snprintf(p->why, sizeof(p->why), "the probe failed: %.180s", err.msg);
		}
		if (p->usable && !d->automatic)
			d->automatic = pf_tiers[i]->name;
	}
}

static void look_at_host(struct pf_doctor *d)
{
	struct utsname u;

	if (uname(&u) == 0)
		snprintf(d->kernel, sizeof(d->kernel), "%s %s %s", u.sysname, u.release, u.machine);
	d->uid = geteuid();
	d->subuids = pf_subuid_count(d->uid);
	pf_cgroup_host(&d->cgroup);
	d->landlock_abi = pf_landlock_abi();
	pf_apparmor_look(&d->apparmor);
	look_at_tiers(d);
}

static int examine(bool json, bool clean)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_doctor *d = calloc(1, sizeof(*d)); /* the probes are some 40 KiB */
	struct pf_error err = {0};
	int code;

	if (!d) {
		pf_fail(&err, -ENOMEM, "out of memory");
		return pf_cli_fail(&err);
	}
	look_at_places(d, clean, &err);
	look_at_host(d);
	if (json)
		pf_doctor_json(d, &out);
	else
		pf_doctor_print(d, &out);
	code = pf_cli_out(&out);
	if (code == 0)
		code = d->automatic ? 0 : 1;
	free(d);
	return code;
}

static int doctor_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	bool given[PF_ARRAY_SIZE(opts)] = {false};
	struct pf_error err = {0};
	struct pf_arg arg;
	int r;

	while ((r = pf_args_next(&args, &arg, &err)) == 1) {
		given[arg.own - opts] = true;
		if (arg.own == &opts[OPT_FIX] && strcmp(arg.value, "apparmor") != 0) {
			r = pf_fail(&err, -EINVAL, "--fix %.40s: what can be fixed is apparmor", arg.value);
			break;
		}
	}
	if (r == 0 && args.words)
		r = pf_fail(&err, -EINVAL, "doctor takes no arguments");
	if (r == 0 && given[OPT_FIX] && (given[OPT_JSON] || given[OPT_CLEAN]))
		r = pf_fail(&err, -EINVAL, "--fix stands alone");
	if (r < 0)
		return pf_cli_misuse(&pf_verb_doctor, &err);
	if (given[OPT_HELP])
		return pf_cli_help(&pf_verb_doctor);
	if (given[OPT_FIX])
		return pf_apparmor_fix(&err) < 0 ? pf_cli_fail(&err) : 0;
	return examine(given[OPT_JSON], given[OPT_CLEAN]);
}

const struct pf_verb pf_verb_doctor = {
	.name = "doctor",
	.summary = "say what this host can do and what would mend it",
	.usage = "doctor [--json] [--clean]\n"
		 "doctor --fix apparmor\n",
	.text = "Each item is tried, not looked up. --clean removes the groups, scratch and directories of "
		"sandboxes\n"
		"whose keeper was killed and views of approved programs that nobody uses, and drops change "
		"sets that are\n"
		"older than a week or, oldest first, beyond 1 GiB in all (never the newest, nor one that is "
		"half\n"
		"applied). Exit code: 0 if some tier can be used, else 1.",
	.opts = opts,
	.main = doctor_main,
};
