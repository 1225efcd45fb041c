/* SPDX-License-Identifier: Apache-2.0 */
/* Inside linux/: the reader of the text of /proc/PID/status, apart so that it can be tested and fuzzed. */
#ifndef PF_LINUX_PROC_STATUS_H
#define PF_LINUX_PROC_STATUS_H

#include <stddef.h>

#include "linux/caps.h"

/* 0; -EBADMSG for a malformed, a repeated or a missing line. out is untouched on failure. */
int pf__proc_status_parse(const char *text, size_t len, struct pf_proc_status *out, struct pf_error *err);

#endif
