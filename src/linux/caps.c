/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities. The kernel calls them by numbers and masks of 64 bits, which it takes as two
 * halves (_LINUX_CAPABILITY_VERSION_3). Only the calling thread is changed.
 */
#include "linux/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

static const char *const names[] = {
	"chown",
	"dac_override",
	"dac_read_search",
	"fowner",
	"fsetid",
	"kill",
	"setgid",
	"setuid",
	"setpcap",
	"linux_immutable",
	"net_bind_service",
	"net_broadcast",
	"net_admin",
	"net_raw",
	"ipc_lock",
	"ipc_owner",
	"sys_module",
	"sys_rawio",
	"sys_chroot",
	"sys_ptrace",
	"sys_pacct",
	"sys_admin",
	"sys_boot",
	"sys_nice",
	"sys_resource",
	"sys_time",
	"sys_tty_config",
	"mknod",
	"lease",
	"audit_write",
	"audit_control",
	"setfcap",
	"mac_override",
	"mac_admin",
	"syslog",
	"wake_alarm",
	"block_suspend",
	"audit_read",
	"perfmon",
	"bpf",
	"checkpoint_restore",
};

int pf_cap_number(const char *name)
{
	if (pf_has_prefix(name, "cap_"))
		name += 4;
	for (size_t i = 0; i < PF_ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -1;
}

const char *pf_cap_name(int cap)
{
	return cap >= 0 && (size_t)cap < PF_ARRAY_SIZE(names) ? names[cap] : NULL;
}

static uint64_t whole(uint32_t low, uint32_t high)
{
	return (uint64_t)high << 32 | low;
}

int pf_caps_get(struct pf_caps *out)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &head, d))
		return -errno;
	out->effective = whole(d[0].effective, d[1].effective);
	out->permitted = whole(d[0].permitted, d[1].permitted);
	out->inheritable = whole(d[0].inheritable, d[1].inheritable);
	return 0;
}

int pf_caps_set(const struct pf_caps *caps, struct pf_error *err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		d[i].effective = (uint32_t)(caps->effective >> (32 * i));
		d[i].permitted = (uint32_t)(caps->permitted >> (32 * i));
		d[i].inheritable = (uint32_t)(caps->inheritable >> (32 * i));
	}
	if (syscall(SYS_capset, &head, d))
		return pf_fail_errno(err, "cannot set capabilities");
	return 0;
}

/* prctl(2) fails for a number that the kernel does not know: that is the end of the set. */
int pf_caps_bound(uint64_t keep, struct pf_error *err)
{
	for (int cap = 0; cap < 64; cap++) {
		int has;

		if (keep >> cap & 1 || !prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			continue;
		/* For want of CAP_SETPCAP, it may be: one that is gone already is as good as dropped. */
		has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (has < 0)
			break;
		if (has)
			return pf_fail(err, -EPERM, "cannot drop capability %d from the bounding set", cap);
	}
	return 0;
}

/*
 * Inheritable capabilities alone give a program nothing (its file would have to name them), and
 * ambient ones must be permitted and inheritable: hence all four. Clearing comes first, and the
 * kernel itself takes from the ambient set what leaves the other two.
 */
int pf_caps_ambient(uint64_t set, struct pf_error *err)
{
	const struct pf_caps caps = {.effective = set, .permitted = set, .inheritable = set};
	int r;

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return pf_fail_errno(err, "cannot clear the ambient capabilities");
	r = pf_caps_set(&caps, err);
	if (r)
		return r;
	for (int cap = 0; cap < 64; cap++) {
		if (!(set >> cap & 1))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
			return pf_fail_errno(err, "cannot make capability %d ambient", cap);
	}
	return 0;
}
