/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of /proc/PID/status: it accepts or refuses, and what it accepts it accepts from a copy too. */
#include <stdlib.h>
#include <string.h>

#include "linux/proc_status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_proc_status a, b;
	char *copy = malloc(size ? size : 1); /* exactly as long, so that ASan sees a byte too far */
	int r, again;

	if (!copy)
		abort();
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	if (size)
		memcpy(copy, data, size);
	r = pf__proc_status_parse(copy, size, &a, NULL);
	again = pf__proc_status_parse((const char *)data, size, &b, NULL);
	if (r != again || memcmp(&a, &b, sizeof(a)))
		abort();
	if (!r && (a.nspid < -1 || a.seccomp < -1 || a.state <= ' '))
		abort();
	free(copy);
	return 0;
}
