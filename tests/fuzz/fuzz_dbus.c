/* SPDX-License-Identifier: Apache-2.0 */
/* linux/dbus_wire: what a bus answers, and what the environment says where it is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/dbus_scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

/* A string of the message lies in it with its end, or is the empty one. */
static void check_text(const char *s, const uint8_t *p, size_t n)
{
	const char *end = (const char *)p + n;

	CHECK(s);
	if (*s)
		CHECK(s > (const char *)p && s < end && s + strlen(s) < end);
}

/* As the caller reads: the first 16 bytes tell the length, then exactly so many are parsed. */
static void message(const uint8_t *data, size_t size)
{
	struct pf__dbus_msg m;
	ssize_t n = pf__dbus_length(data, size);
	uint8_t *exact;

	CHECK(n == 0 || n == -EPROTO || (n >= 16 && n <= PF__DBUS_MESSAGE_MAX));
	CHECK(size < 16 || n != 0);
	if (n <= 0 || (size_t)n > size)
		n = (ssize_t)size;
	exact = malloc(n ? (size_t)n : 1);
	CHECK(exact);
	if (n)
		memcpy(exact, data, (size_t)n);
	if (pf__dbus_parse(exact, (size_t)n, &m) == 0) {
		CHECK(m.type != 0 && m.serial != 0);
		check_text(m.error, exact, (size_t)n);
		check_text(m.signature, exact, (size_t)n);
		check_text(m.text, exact, (size_t)n);
	}
	free(exact);
}

static void address(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), out[108];
	int n;

	CHECK(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	memset(out, 'x', sizeof(out));
	n = pf__dbus_address(text, out, sizeof(out));
	CHECK(n == -EINVAL || (n > 0 && n < (int)sizeof(out)));
	if (n > 0)
		CHECK(out[n] == '\0' && !memchr(out + 1, '\0', (size_t)n - 1));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	message(data, size);
	address(data, size);
	return 0;
}
