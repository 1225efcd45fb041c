/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of RUNTIME/ID/meta: any bytes are read or refused; and a value that pf_meta_add() wrote comes
 * back as it was, adding nothing else, whatever is in it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_buf lines = {0};
	struct pf_meta m;
	char *text = malloc(size + 1);

	CHECK(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (pf_meta_parse(text, size, &m) == 0) {
		CHECK(strlen(m.tier) < sizeof(m.tier) && strlen(m.started) < sizeof(m.started));
		CHECK(m.pid >= 0);
		CHECK(!m.cgroups.len || m.cgroups.data[m.cgroups.len - 1] == '\n');
	}
	pf_meta_free(&m);
	if (size < PF_META_MAX / 4) {
		CHECK(pf_meta_add(&lines, "workspace", text) == 0);
		CHECK(pf_meta_parse(lines.data, lines.len, &m) == 0);
		CHECK(m.workspace && strcmp(m.workspace, text) == 0);
		CHECK(!m.cgroups.len && !m.scratch.count && !m.command && !m.tier[0] && !m.pid);
		pf_meta_free(&m);
	}
	pf_buf_free(&lines);
	free(text);
	return 0;
}
