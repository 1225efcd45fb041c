/* SPDX-License-Identifier: Apache-2.0 */
/* guard/secret: a hidden file of any content is read or passed over; what it gives stands in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);
	struct pf_redact *r;
	bool full = false;

	if (!copy || pf_redact_new(&r) < 0)
		abort();
	memcpy(copy, data, size);
	copy[size] = '\0';
	if (pf_secret_file(r, size % 2 ? "dir/.env" : "token", copy, size, &full) < 0)
		abort();
	if (pf_redact_values(r) > PF_REDACT_VALUES || (full && pf_redact_values(r) < PF_REDACT_VALUES)) {
		fprintf(stderr, "%zu values, full: %d\n", pf_redact_values(r), full);
		abort();
	}
	pf_redact_free(r);
	free(copy);
	return 0;
}
