/* SPDX-License-Identifier: Apache-2.0 */
/* Ids that a user may map beside his own. */
#ifndef PF_LINUX_SUBIDS_H
#define PF_LINUX_SUBIDS_H

#include <stdint.h>
#include <sys/types.h>

/* -1: /etc/subuid cannot be read. That there is no such file means none. */
int64_t pf_subuid_count(uid_t uid);

#endif
