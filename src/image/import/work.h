/* SPDX-License-Identifier: Apache-2.0 */
/* Inside import: the work that runs in a child. */
#ifndef PF_IMPORT_WORK_H
#define PF_IMPORT_WORK_H

#include "image/import/channel.h"

int pf__import_work(void *job, struct pf_error *err);

#endif
