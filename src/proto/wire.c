/* SPDX-License-Identifier: Apache-2.0 */
/* Integers, strings and lists of control messages: written, measured and read. See wire.h. */
#include "proto/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/le.h"

#define BODY_MAX  (PF_CONTROL_MAX - 2) /* the type stands before it */
#define ERRNO_MAX 4095		       /* what the kernel's IS_ERR_VALUE() allows */

void pf__wire_fail(struct pf__wire *w, const char *fmt, ...)
{
	va_list ap;
	char text[256];

	if (w->failed)
		return;
	w->failed = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pf_fail(&w->why, w->mode == PF__WIRE_PUT ? -EINVAL : -EPROTO, "%s", text);
}

/* The next n bytes of the body; NULL after a failure. */
static const uint8_t *take(struct pf__wire *w, size_t n)
{
	const uint8_t *p = w->p;

	if (w->failed)
		return NULL;
	if (n > w->left) {
		pf__wire_fail(w, "it ends after %zu bytes, inside a field", w->size);
		return NULL;
	}
	w->p += n;
	w->left -= n;
	return p;
}

static void put(struct pf__wire *w, const void *p, size_t n)
{
	int r;

	if (w->failed)
		return;
	r = pf_buf_add(w->out, p, n);
	if (r < 0) {
		w->failed = true;
		w->why.code = r;
	}
}

/* v is what to write; the result what stands in *v afterwards (0 after a failure). */
static uint64_t integer(struct pf__wire *w, uint64_t v, unsigned bytes)
{
	uint8_t raw[8];
	const uint8_t *p;

	if (w->mode == PF__WIRE_PUT) {
		pf__le_put(raw, v, bytes);
		put(w, raw, bytes);
		return v;
	}
	p = take(w, bytes);
	return p ? pf__le_get(p, bytes) : 0;
}

/* --- integers ------------------------------------------------------------ */

#define DEFINE_INTEGER(type, name)                                                                           \
	void pf__wire_##name(struct pf__wire *w, type *v)                                                    \
	{                                                                                                    \
		type got = (type)integer(w, (uint64_t)*v, sizeof(*v));                                       \
                                                                                                             \
		if (w->mode != PF__WIRE_PUT)                                                                 \
			*v = got;                                                                            \
	}
DEFINE_INTEGER(uint8_t, u8)
DEFINE_INTEGER(uint16_t, u16)
DEFINE_INTEGER(uint32_t, u32)
DEFINE_INTEGER(uint64_t, u64)

void pf__wire_range(struct pf__wire *w, uint64_t v, uint64_t min, uint64_t max, const char *field)
{
	if (v < min || v > max)
		pf__wire_fail(w, "%s is %llu, not within %llu..%llu", field, (unsigned long long)v,
			      (unsigned long long)min, (unsigned long long)max);
}

void pf__wire_errno(struct pf__wire *w, int32_t *v, const char *field)
{
	uint32_t got = (uint32_t)integer(w, (uint32_t)*v, sizeof(*v));

	if (w->mode != PF__WIRE_PUT)
		*v = (int32_t)got;
	if (*v < -ERRNO_MAX || *v > ERRNO_MAX)
		pf__wire_fail(w, "%s is %d, which is no errno", field, (int)*v);
}

void pf__wire_exec(struct pf__wire *w, uint32_t *v)
{
	pf__wire_u32(w, v);
	pf__wire_range(w, *v, 1, PF_EXEC_MAX, "exec");
}

void pf__wire_bool(struct pf__wire *w, uint8_t *v, const char *field)
{
	pf__wire_u8(w, v);
	pf__wire_range(w, *v, 0, 1, field);
}

/* --- strings and lists --------------------------------------------------- */

static void put_str(struct pf__wire *w, const char *s, size_t max, const char *field)
{
	size_t n = s ? strlen(s) : 0;

	if (n > max) {
		pf__wire_fail(w, "%s is longer than %zu bytes", field, max);
		return;
	}
	integer(w, n, 4);
	put(w, s ? s : "", n);
}

void pf__wire_str(struct pf__wire *w, char **v, size_t max, const char *field)
{
	const uint8_t *p;
	size_t n;

	if (w->mode == PF__WIRE_PUT) {
		put_str(w, *v, max, field);
		return;
	}
	n = (size_t)integer(w, 0, 4);
	if (n > max)
		pf__wire_fail(w, "%s is longer than %zu bytes", field, max);
	p = take(w, n);
	if (!p)
		return;
	if (memchr(p, 0, n)) {
		pf__wire_fail(w, "%s contains a NUL", field);
		return;
	}
	if (w->mode == PF__WIRE_MEASURE) {
		w->chars += n + 1;
		return;
	}
	*v = w->next_char;
	memcpy(w->next_char, p, n);
	w->next_char[n] = 0;
	w->next_char += n + 1;
}

void pf__wire_count(struct pf__wire *w, uint32_t *v, uint32_t max, size_t item, const char *field)
{
	uint32_t got = (uint32_t)integer(w, *v, 4);

	pf__wire_range(w, got, 0, max, field);
	if (w->mode == PF__WIRE_PUT)
		return;
	/* Before any loop over it: a count that the body cannot hold costs nothing. */
	if (!w->failed && got > w->left / item)
		pf__wire_fail(w, "%s is %u, more than the message can hold", field, got);
	*v = w->failed ? 0 : got;
}

void pf__wire_strs(struct pf__wire *w, struct pf_strs *v, uint32_t max_count, size_t max, const char *field)
{
	char *ignored = NULL;

	pf__wire_count(w, &v->count, max_count, 4, field);
	if (w->mode == PF__WIRE_MEASURE)
		w->pointers += (size_t)v->count + 1;
	if (w->mode == PF__WIRE_FILL) {
		v->strings = w->next_pointer;
		w->next_pointer += (size_t)v->count + 1;
		v->strings[v->count] = NULL;
	}
	for (uint32_t i = 0; i < v->count && !w->failed; i++)
		pf__wire_str(w, w->mode == PF__WIRE_MEASURE ? &ignored : &v->strings[i], max, field);
}

/* --- a whole body -------------------------------------------------------- */

void pf__wire_put_begin(struct pf__wire *w, struct pf_buf *out)
{
	memset(w, 0, sizeof(*w));
	w->mode = PF__WIRE_PUT;
	w->out = out;
	w->out_start = out->len;
}

int pf__wire_put_end(struct pf__wire *w)
{
	if (!w->failed && w->out->len - w->out_start > BODY_MAX)
		pf__wire_fail(w, "it is longer than a control message can be");
	if (!w->failed)
		return 0;
	if (w->out->data && w->out->len > w->out_start) {
		w->out->len = w->out_start;
		w->out->data[w->out_start] = 0;
	}
	return w->why.code;
}

void pf__wire_get_begin(struct pf__wire *w, const uint8_t *p, size_t n)
{
	memset(w, 0, sizeof(*w));
	w->mode = PF__WIRE_MEASURE;
	w->body = w->p = p;
	w->size = w->left = n;
	if (n > BODY_MAX) /* a connection cannot deliver it; the sums below rest on it */
		pf__wire_fail(w, "it has %zu bytes", n);
}

int pf__wire_get_middle(struct pf__wire *w, const char *message, void **mem, struct pf_error *err)
{
	size_t lists = w->pointers * sizeof(char *);
	void *got = NULL;

	if (!w->failed && w->left)
		pf__wire_fail(w, "%zu bytes follow its last field", w->left);
	if (w->failed)
		return pf_fail(err, w->why.code, "malformed %s message: %s", message, w->why.msg);
	if (lists + w->chars) {
		if (!mem)
			return pf_fail(err, -EINVAL, "a %s message has strings: mem must not be NULL",
				       message);
		got = malloc(lists + w->chars);
		if (!got)
			return pf_fail(err, -ENOMEM, "no memory for a %s message", message);
		w->next_pointer = got;
		w->next_char = (char *)got + lists;
	}
	if (mem)
		*mem = got;
	w->mode = PF__WIRE_FILL;
	w->p = w->body;
	w->left = w->size;
	return 0;
}
