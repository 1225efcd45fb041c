/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a manifest line: refused, or a change whose path stays beneath and which is written back the
 * same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "workspace/workspace_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_change c = {0}, again = {0};
	struct pf_buf first = {0}, second = {0};
	struct pf_error err = {0};
	char *line = malloc(size + 1);

	memcpy(line, data, size);
	line[size] = '\0';
	if (pf__manifest_read_line(line, size, &c, &err) < 0) {
		if (err.code >= 0 || !*err.msg || c.path)
			abort();
		free(line);
		return 0;
	}
	if (!pf__ws_path_ok(c.path) || c.path[0] == '/' || strstr(c.path, "/../") ||
	    strncmp(c.path, "../", 3) == 0)
		abort();
	if (c.link_to && (!c.link || !pf__ws_path_ok(c.link_to)))
		abort();
	for (size_t i = 0; i < c.attrs.count; i++) {
		if (strncmp(c.attrs.items[i].name, "user.", 5) != 0 ||
		    (i && strcmp(c.attrs.items[i - 1].name, c.attrs.items[i].name) >= 0))
			abort();
	}
	if (pf__manifest_write_line(&c, &first) < 0 ||
	    pf__manifest_read_line(first.data, first.len - 1, &again, &err) < 0 ||
	    pf__manifest_write_line(&again, &second) < 0 || strcmp(first.data, second.data) != 0 ||
	    strcmp(c.path, again.path) != 0)
		abort();
	pf__change_clear(&c);
	pf__change_clear(&again);
	pf_buf_free(&first);
	pf_buf_free(&second);
	free(line);
	return 0;
}
