/* SPDX-License-Identifier: Apache-2.0 */
/* The growable byte buffer of buf.h. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64

void pf_buf_free(struct pf_buf *b)
{
	int saved = errno;

	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
	b->failed = false;
	errno = saved;
}

static int refuse(struct pf_buf *b, int code)
{
	b->failed = true;
	return code;
}

int pf_buf_reserve(struct pf_buf *b, size_t extra)
{
	size_t need, cap;
	char *data;

	if (b->limit && (b->len > b->limit || extra > b->limit - b->len))
		return refuse(b, -E2BIG);
	if (extra >= SIZE_MAX / 2 - b->len)
		return refuse(b, -ENOMEM);
	need = b->len + extra + 1; /* and the NUL */
	if (need <= b->cap)
		return 0;
	cap = b->cap < FIRST_CAP / 2 ? FIRST_CAP : b->cap * 2;
	if (b->limit && cap > b->limit + 1)
		cap = b->limit + 1; /* no more than can ever be used */
	if (cap < need)
		cap = need;
	data = realloc(b->data, cap);
	if (!data)
		return refuse(b, -ENOMEM);
	b->data = data;
	b->cap = cap;
	data[b->len] = '\0';
	return 0;
}

int pf_buf_add(struct pf_buf *b, const void *p, size_t n)
{
	int r = pf_buf_reserve(b, n);

	if (r < 0)
		return r;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int pf_buf_adds(struct pf_buf *b, const char *s)
{
	return pf_buf_add(b, s, strlen(s));
}

int pf_buf_addc(struct pf_buf *b, char c)
{
	return pf_buf_add(b, &c, 1);
}

int pf_buf_addf(struct pf_buf *b, const char *fmt, ...)
{
	char small[256];
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0)
		return refuse(b, -ENOMEM);
	if ((size_t)n < sizeof(small))
		return pf_buf_add(b, small, (size_t)n);
	r = pf_buf_reserve(b, (size_t)n);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void pf_buf_consume(struct pf_buf *b, size_t n)
{
	if (n == 0)
		return;
	if (n > b->len)
		n = b->len;
	memmove(b->data, b->data + n, b->len - n + 1);
	b->len -= n;
}

char *pf_buf_steal(struct pf_buf *b)
{
	char *data;

	if (b->failed)
		return NULL;
	if (!b->data)
		return calloc(1, 1);
	data = b->data;
	b->data = NULL;
	b->len = b->cap = 0;
	return data;
}
