/* SPDX-License-Identifier: Apache-2.0 */
/* What init is told of its sandbox, and what the receipt says of it before any command was looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "linux/landlock.h"
#include "linux/seccomp.h"
#include "proto/frame.h"
#include "tier/container/container.h"

static void add_rule(struct pf_msg_hello *h, uint32_t access, const char *path)
{
	h->rules[h->rule_count].access = access;
	h->rules[h->rule_count++].path = strdup(path);
}

void pf__greet_hello(struct pf_container *c, const struct pf_box_spec *spec)
{
	static char *read_only[] = {(char *)(uintptr_t) "/",	     (char *)(uintptr_t) "/usr",
				    (char *)(uintptr_t) "/etc",	     (char *)(uintptr_t) "/sys",
				    (char *)(uintptr_t) "/proc/sys", NULL};
	/* of an image what is ours: the rest may be a link to wherever it likes. /etc is in the root */
	static char *of_image[] = {(char *)(uintptr_t) "/sys", (char *)(uintptr_t) "/proc/sys",
				   (char *)(uintptr_t) "/", (char *)(uintptr_t) "/etc", NULL};
	static const char *const writable[] = {"/tmp", "/var/tmp", "/run", "/dev/shm"};
	struct pf_msg_hello *h = &c->box.hello;
	unsigned i;

	h->version_min = PF_PROTO_MIN;
	h->version_max = PF_PROTO_MAX;
	h->root = PF_ROOT_READY;
	h->init_uid = h->init_gid = c->who.init;
	h->keep_caps = spec->policy->capabilities;
	add_rule(h, c->image.root_cow ? PF_LL_WRITE : PF_LL_READ, "/");
	add_rule(h, PF_LL_DEVICE, "/dev");
	add_rule(h, PF_LL_WRITE,
		 "/proc"); /* a process may write its own entries; what is the host's is read-only there */
	for (i = 0; i < PF_ARRAY_SIZE(writable); i++)
		add_rule(h, PF_LL_WRITE, writable[i]);
	add_rule(h, PF_LL_WRITE, c->box.home);
	if (pf_ws_has_upper(c->ws.mode) || c->ws.mode == PF_WS_LIVE)
		add_rule(h, PF_LL_WRITE, c->ws.at);
	if (c->ws.mode == PF_WS_LIVE && !pf__broken(spec->breaks, "setid"))
		h->filter_options |= PF_FILTER_NO_SETID;
	if (spec->policy->commands.count && !pf__broken(spec->breaks, "memfd"))
		h->filter_options |= PF_FILTER_NO_MEMFD;
	h->readonly = spec->image ? (struct pf_strs){c->image.root_cow ? 2 : 4, of_image}
				  : (struct pf_strs){5, read_only};
	h->canary = strdup(spec->dirs->runtime);
	h->breaks = strdup(spec->breaks);
	c->box.command_uid = c->who.user;
	c->box.command_gid = c->who.group;
	c->box.host_uid = c->who.host_user;
	c->box.host_gid = c->who.host_group;
}

void pf__greet_receipt(struct pf_container *c, const struct pf_box_spec *spec)
{
	struct pf_receipt *r = &c->box.receipt;
	struct utsname u;

	r->tier = "container";
	r->init_uid = c->who.shared ? "shared" : "separate";
	r->landlock_abi = pf_landlock_abi();
	if (uname(&u) == 0 && asprintf(&r->kernel, "%s %s", u.sysname, u.release) < 0)
		r->kernel = NULL;
	pf_filter_digest(c->box.hello.filter_options, r->filter);
	r->filter_source = "as given";
	pf_policy_digest(spec->policy, r->policy);
	if (spec->image) {
		r->image = strdup(spec->image->digest);
		r->image_by = pf__image_way_name(c->image.way);
		r->image_owners = c->who.host_root ? c->image.owners : "user";
	}
	if (spec->policy->commands.count) {
		r->commands.listed = true;
		r->commands.programs = c->view.programs;
		r->commands.refused = c->view.refused;
		r->commands.build = spec->policy->commands_build;
		snprintf(r->commands.view, sizeof(r->commands.view), "%s", c->view.name);
	}
	r->foreign_owned = c->ws.foreign_owned;
	pf__workspace_tell(&c->ws, r);
}
