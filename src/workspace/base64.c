/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648), strictly: one text for each value. The writer is in base/json_write.c. */
#include <stdlib.h>

#include "base/base64.h"
#include "workspace/workspace_internal.h"

/* Four characters; -1 or how many bytes. */
static int decode_quad(const char *s, unsigned have, unsigned char out[3])
{
	unsigned quad = 0;

	for (unsigned k = 0; k < 4; k++) {
		int v = k < have ? pf_base64_digit((unsigned char)s[k]) : 0;

		if (v < 0)
			return -1;
		quad = quad << 6 | (unsigned)v;
	}
	/* bits behind the last byte must be 0 */
	if ((have == 2 && (quad & 0xffff)) || (have == 3 && (quad & 0xff)))
		return -1;
	for (unsigned k = 0; k < 3; k++)
		out[k] = (unsigned char)(quad >> (16 - 8 * k));
	return (int)have - 1;
}

void *pf__base64_bytes(const char *s, size_t n, size_t *size)
{
	size_t pad = n && s[n - 1] == '=' ? (n > 1 && s[n - 2] == '=' ? 2 : 1) : 0;
	unsigned char *out = n % 4 == 0 ? malloc(n / 4 * 3 + 1) : NULL, three[3];
	size_t at = 0;

	for (size_t i = 0; out && i < n; i += 4) {
		int k = decode_quad(s + i, i + 4 == n ? 4 - (unsigned)pad : 4, three);

		if (k < 0) {
			free(out);
			return NULL;
		}
		memcpy(out + at, three, (size_t)k);
		at += (size_t)k;
	}
	if (!out)
		return NULL;
	out[at] = '\0';
	*size = at;
	return out;
}

char *pf__base64_decode(const char *s, size_t n)
{
	size_t size;
	char *out = pf__base64_bytes(s, n, &size);

	if (out && strlen(out) != size) { /* no name has a NUL */
		free(out);
		return NULL;
	}
	return out;
}
