/* SPDX-License-Identifier: Apache-2.0 */
/* The text of helpers_data.c, apart so that a test can read it. */
#ifndef PF_VIEW_HELPERS_DATA_H
#define PF_VIEW_HELPERS_DATA_H

extern const char pf__helpers_text[];

#endif
