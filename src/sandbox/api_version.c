/* SPDX-License-Identifier: Apache-2.0 */
/* The version of the library, which is the program's. */
#include "pinfold.h"

const char *pf_version(void)
{
	return PF_VERSION;
}
