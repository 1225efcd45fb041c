/* SPDX-License-Identifier: Apache-2.0 */
/* How far the guard goes; each of its parts has one, by the policy's keys guard.*. */
#ifndef PF_GUARD_MODE_H
#define PF_GUARD_MODE_H

enum pf_guard_mode {
	PF_GUARD_OFF,	 /* it does not look */
	PF_GUARD_AUDIT,	 /* it tells, and changes nothing */
	PF_GUARD_ENFORCE /* it acts */
};

#endif
