/* SPDX-License-Identifier: Apache-2.0 */
/* view/look: the first bytes of any file of an image. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "view/look.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

struct file {
	const uint8_t *p;
	size_t n;
	unsigned reads;
	unsigned fails; /* which read fails; 0: none */
};

static long give(void *ctx, void *p, size_t n, uint64_t at)
{
	struct file *f = ctx;

	if (++f->reads == f->fails)
		return -EIO;
	if (at >= f->n)
		return 0;
	if (n > f->n - at)
		n = f->n - (size_t)at;
	memcpy(p, f->p + at, n);
	return (long)n;
}

/* Is it whole, and does it say the same again? */
static void look(const uint8_t *data, size_t size)
{
	struct pf_file_look once, again;
	struct file f = {data, size, 0, 0};
	char buf[PF_INTERP_MAX];
	const char *env;

	CHECK(pf_look(give, &f, &once) == 0);
	/* the header, 2,048 program headers (64 KiB of the small ones), and for each an interpreter or 4,096
	 * entries in chunks of 512 bytes */
	CHECK(f.reads <= 1 + 2048 * (1 + 4096 * 16 / 512 + 1));
	CHECK(once.kind <= PF_FILE_FOREIGN);
	CHECK(memchr(once.interp, '\0', sizeof(once.interp)) && memchr(once.args, '\0', sizeof(once.args)));
	if (size >= 2 && memcmp(data, "#!", 2) == 0)
		CHECK(once.kind == PF_FILE_SCRIPT);
	if (once.kind == PF_FILE_DATA || once.kind == PF_FILE_FOREIGN)
		CHECK(once.args[0] == '\0');
	env = pf_look_env(&once, buf);
	CHECK(!env || (*env && env >= buf && env + strlen(env) < buf + sizeof(buf)));
	f.reads = 0;
	CHECK(pf_look(give, &f, &again) == 0 && memcmp(&once, &again, sizeof(once)) == 0);
}

static void failing(const uint8_t *data, size_t size, unsigned which)
{
	struct pf_file_look l, untouched;
	struct file f = {data, size, 0, which};

	memset(&l, 0x5a, sizeof(l));
	untouched = l;
	if (pf_look(give, &f, &l) < 0)
		CHECK(memcmp(&l, &untouched, sizeof(l)) == 0);
	else
		CHECK(f.reads < which);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	look(data + 1, size - 1);
	failing(data + 1, size - 1, 1u + data[0]);
	return 0;
}
