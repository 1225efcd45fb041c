/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the verb doctor: what was found, and its two forms. */
#ifndef PF_CLI_DOCTOR_H
#define PF_CLI_DOCTOR_H

#include <stdint.h>
#include <sys/types.h>

#include "cli/apparmor.h"
#include "cli/cli.h"
#include "linux/cgroup.h"
#include "sandbox/places.h"
#include "tier/tier.h"

#define PF_DOCTOR_TIERS 4

struct pf_doctor {
	char kernel[200];
	uid_t uid;
	int64_t subuids; /* how many the caller may map; -1: /etc/subuid cannot be read */
	struct {
		const char *name;
		struct pf_probe probe;
	} tiers[PF_DOCTOR_TIERS];
	size_t tier_count;
	const char *automatic; /* the tier that auto takes; NULL: none */
	struct pf_cg_host cgroup;
	int landlock_abi;
	struct pf_apparmor apparmor;
	struct pf_dirs dirs;
	const char *places_error;  /* NULL: the directories can be used */
	uint64_t kept, kept_bytes; /* change sets */
	uint64_t half_applied;	   /* of them */
	unsigned dropped;	   /* by --clean, for their age or their size */
	uint64_t outputs, outputs_bytes;
	unsigned live, dead; /* sandboxes in RUNTIME whose changes are kept in STATE */
	unsigned elsewhere;  /* and those of other state directories */
	bool cleaned;
	struct pf_sweep sweep;
};

void pf_doctor_print(const struct pf_doctor *d, struct pf_buf *out);
void pf_doctor_json(const struct pf_doctor *d, struct pf_buf *out);

#endif
