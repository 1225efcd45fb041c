/* SPDX-License-Identifier: Apache-2.0 */
/* What doctor found, for people and as JSON. */
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/doctor.h"

static void line(struct pf_buf *out, const char *name)
{
	pf_buf_addf(out, "%-10s ", name);
}

static void place_line(struct pf_buf *out, const char *name, const char *path)
{
	pf_buf_addf(out, "  %-8s ", name);
	pf_cli_name(out, path);
	pf_buf_addc(out, '\n');
}

static void print_host(const struct pf_doctor *d, struct pf_buf *out)
{
	line(out, "kernel");
	pf_buf_addf(out, "%s\n", d->kernel);
	line(out, "user");
	pf_buf_addf(out, "uid %u%s", (unsigned)d->uid, d->uid == 0 ? " (root)" : "");
	if (d->subuids < 0)
		pf_buf_adds(out, ", sub-uids unknown: /etc/subuid cannot be read\n");
	else
		pf_buf_addf(out, ", %lld sub-uids\n", (long long)d->subuids);
	line(out, "cgroup");
	pf_cli_name(out, d->cgroup.text);
	pf_buf_addc(out, '\n');
	line(out, "landlock");
	if (d->landlock_abi > 0)
		pf_buf_addf(out, "ABI %d\n", d->landlock_abi);
	else
		pf_buf_adds(out, "none\n");
	if (d->apparmor.known) {
		line(out, "apparmor");
		pf_buf_addf(out, "user namespaces are %srestricted; ", d->apparmor.restricted ? "" : "not ");
		pf_buf_addf(out, "this program is %s\n",
			    d->apparmor.label[0] ? d->apparmor.label : "of unknown label");
	}
}

/* Where the restriction stands in the way of a tier: what would mend it, to be read before it is written. */
static void print_profile(const struct pf_doctor *d, struct pf_buf *out)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	char *rest, *each;

	if (!d->apparmor.restricted || d->automatic || d->uid == 0)
		return;
	pf_buf_addf(out,
		    "\nAppArmor lets no program use a user namespace here that has no profile for it. \"sudo "
		    "pinfold doctor "
		    "--fix\napparmor\" writes this one to %s, and loads it:\n\n",
		    PF_APPARMOR_FILE);
	pf_apparmor_profile(d->apparmor.program, &text);
	rest = text.data;
	while (rest && (each = strsep(&rest, "\n")) && (rest || *each))
		pf_buf_addf(out, "%s%s\n", *each ? "  " : "", each);
	if (d->apparmor.file)
		pf_buf_addf(out, "\n%s is there already: it is not loaded, or for another path.\n",
			    PF_APPARMOR_FILE);
}

static void print_tiers(const struct pf_doctor *d, struct pf_buf *out)
{
	for (size_t i = 0; i < d->tier_count; i++) {
		const struct pf_probe *p = &d->tiers[i].probe;

		pf_buf_addf(out, "\ntier %s: %s", d->tiers[i].name, p->usable ? "usable" : "NOT usable");
		if (p->why[0]) {
			pf_buf_adds(out, ": ");
			pf_cli_name(out, p->why);
		}
		pf_buf_addc(out, '\n');
		for (unsigned k = 0; k < p->count && k < PF_PROBE_ITEMS; k++) {
			const struct pf_probe_item *item = &p->items[k];

			pf_buf_addf(out, "  %-12s %-3s ", item->name, item->ok ? "ok" : "no");
			pf_cli_name(out, item->detail);
			pf_buf_addc(out, '\n');
			if (item->mend[0]) {
				pf_buf_addf(out, "  %-16s mend: ", "");
				pf_cli_name(out, item->mend);
				pf_buf_addc(out, '\n');
			}
		}
	}
	pf_buf_addf(out, "\nauto takes %s\n",
		    d->automatic ? d->automatic : "nothing: no tier can be used here");
}

static void print_places(const struct pf_doctor *d, struct pf_buf *out)
{
	char size[16];

	pf_buf_adds(out, "\nplaces\n");
	place_line(out, "state", d->dirs.state);
	place_line(out, "runtime", d->dirs.runtime);
	place_line(out, "libexec", d->dirs.libexec);
	if (d->places_error) {
		place_line(out, "problem", d->places_error);
		return;
	}
	pf_format_size(d->kept_bytes, size);
	pf_buf_addf(out, "kept       %llu change sets, %s", (unsigned long long)d->kept, size);
	if (d->half_applied)
		pf_buf_addf(out, ", %llu half applied (pinfold apply ID goes on)",
			    (unsigned long long)d->half_applied);
	pf_buf_addc(out, '\n');
	pf_format_size(d->outputs_bytes, size);
	pf_buf_addf(out, "           %llu long outputs, %s\n", (unsigned long long)d->outputs, size);
	pf_buf_addf(out, "sandboxes  %u live, %u dead%s", d->live, d->dead,
		    d->dead && !d->cleaned ? " (pinfold doctor --clean removes what they left)" : "");
	if (d->elsewhere)
		pf_buf_addf(out, "; %u with another state directory", d->elsewhere);
	pf_buf_addc(out, '\n');
	if (d->cleaned)
		pf_buf_addf(out, "clean      %u removed, %u could not be removed; %u change sets dropped\n",
			    d->sweep.removed, d->sweep.remaining, d->dropped);
}

void pf_doctor_print(const struct pf_doctor *d, struct pf_buf *out)
{
	print_host(d, out);
	print_tiers(d, out);
	print_profile(d, out);
	print_places(d, out);
}

/* --- JSON ------------------------------------------------------------------------------ */

static void kuint(struct pf_jsonw *w, const char *key, uint64_t v)
{
	pf_jsonw_key(w, key);
	pf_jsonw_uint(w, v);
}

static void json_user(const struct pf_doctor *d, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "user");
	pf_jsonw_begin(w, '{');
	kuint(w, "uid", d->uid);
	pf_jsonw_kbool(w, "root", d->uid == 0);
	if (d->subuids < 0)
		pf_jsonw_knull(w, "subuids");
	else
		pf_jsonw_kint(w, "subuids", d->subuids);
	pf_jsonw_end(w, '}');
}

static void json_tiers(const struct pf_doctor *d, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "tiers");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < d->tier_count; i++) {
		const struct pf_probe *p = &d->tiers[i].probe;

		pf_jsonw_begin(w, '{');
		pf_jsonw_kstr(w, "name", d->tiers[i].name);
		pf_jsonw_kbool(w, "usable", p->usable);
		pf_jsonw_kstr(w, "why", p->why);
		pf_jsonw_key(w, "items");
		pf_jsonw_begin(w, '[');
		for (unsigned k = 0; k < p->count && k < PF_PROBE_ITEMS; k++) {
			pf_jsonw_begin(w, '{');
			pf_jsonw_kstr(w, "name", p->items[k].name);
			pf_jsonw_kbool(w, "ok", p->items[k].ok);
			pf_jsonw_kstr(w, "detail", p->items[k].detail);
			pf_jsonw_kstr(w, "mend", p->items[k].mend[0] ? p->items[k].mend : NULL);
			pf_jsonw_end(w, '}');
		}
		pf_jsonw_end(w, ']');
		pf_jsonw_end(w, '}');
	}
	pf_jsonw_end(w, ']');
	pf_jsonw_kstr(w, "auto", d->automatic);
}

static void json_apparmor(const struct pf_apparmor *a, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "apparmor");
	if (!a->known) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '{');
	pf_jsonw_kbool(w, "restricted", a->restricted);
	pf_jsonw_kstr(w, "label", a->label[0] ? a->label : NULL);
	pf_jsonw_kstr(w, "file", a->file ? PF_APPARMOR_FILE : NULL);
	pf_jsonw_end(w, '}');
}

static void json_cgroup(const struct pf_cg_host *c, struct pf_jsonw *w)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {{PF_CG_MEMORY, "memory"}, {PF_CG_PIDS, "pids"}, {PF_CG_CPU, "cpu"}};

	pf_jsonw_key(w, "cgroup");
	pf_jsonw_begin(w, '{');
	pf_jsonw_kbool(w, "v1", c->v1);
	pf_jsonw_kbool(w, "v2", c->v2);
	pf_jsonw_kbool(w, "writable", c->writable);
	pf_jsonw_key(w, "controllers");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (c->controllers & names[i].bit)
			pf_jsonw_str(w, names[i].name);
	}
	pf_jsonw_end(w, ']');
	pf_jsonw_kstr(w, "text", c->text);
	pf_jsonw_end(w, '}');
}

static void json_places(const struct pf_doctor *d, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "places");
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "state", d->dirs.state);
	pf_jsonw_kstr(w, "runtime", d->dirs.runtime);
	pf_jsonw_kstr(w, "libexec", d->dirs.libexec);
	pf_jsonw_kstr(w, "error", d->places_error);
	pf_jsonw_end(w, '}');
	pf_jsonw_key(w, "kept");
	pf_jsonw_begin(w, '{');
	kuint(w, "count", d->kept);
	kuint(w, "bytes", d->kept_bytes);
	kuint(w, "half_applied", d->half_applied);
	kuint(w, "dropped", d->dropped);
	pf_jsonw_end(w, '}');
	pf_jsonw_key(w, "outputs");
	pf_jsonw_begin(w, '{');
	kuint(w, "count", d->outputs);
	kuint(w, "bytes", d->outputs_bytes);
	pf_jsonw_end(w, '}');
	pf_jsonw_key(w, "left");
	pf_jsonw_begin(w, '{');
	kuint(w, "live", d->live);
	kuint(w, "dead", d->dead);
	kuint(w, "elsewhere", d->elsewhere);
	pf_jsonw_kbool(w, "cleaned", d->cleaned);
	kuint(w, "removed", d->sweep.removed);
	kuint(w, "remaining", d->sweep.remaining);
	pf_jsonw_end(w, '}');
}

void pf_doctor_json(const struct pf_doctor *d, struct pf_buf *out)
{
	struct pf_jsonw w;

	pf_jsonw_init(&w, out, 2);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kint(&w, "schema", 1);
	pf_jsonw_kstr(&w, "version", pf_version());
	pf_jsonw_kstr(&w, "kernel", d->kernel);
	json_user(d, &w);
	json_tiers(d, &w);
	json_cgroup(&d->cgroup, &w);
	pf_jsonw_kint(&w, "landlock_abi", d->landlock_abi);
	json_apparmor(&d->apparmor, &w);
	json_places(d, &w);
	pf_jsonw_end(&w, '}');
	pf_buf_addc(out, '\n');
}
