/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of control messages. Each message is described once, by a function that walks its fields
 * in order; the walk then writes, measures or reads. So what is written and what is read cannot
 * differ, and one check of a range holds for both.
 *
 * A body from the peer is walked twice: the first walk finds every violation and how much memory
 * the strings take, the second fills the message with pointers into one allocation. Nothing is
 * allocated for a body that is refused.
 */
#ifndef PF_PROTO_WIRE_H
#define PF_PROTO_WIRE_H

#include "base/buf.h"
#include "base/error.h"
#include "proto/msg.h"

enum pf__wire_mode { PF__WIRE_PUT, PF__WIRE_MEASURE, PF__WIRE_FILL };

struct pf__wire {
	enum pf__wire_mode mode;
	bool failed;
	struct pf_error why; /* of the first failure */
	/* put */
	struct pf_buf *out;
	size_t out_start; /* where this body begins: a failed one is taken back */
	/* get */
	const uint8_t *body, *p;
	size_t size, left;
	size_t pointers, chars; /* measured: pointers in lists of strings, bytes of strings with their NUL */
	char **next_pointer;	/* in one allocation: the lists first, then the strings */
	char *next_char;
};

/* Walkers. They read *v when they put and write it when they fill; after a failure they do nothing. */
void pf__wire_u8(struct pf__wire *w, uint8_t *v);
void pf__wire_u16(struct pf__wire *w, uint16_t *v);
void pf__wire_u32(struct pf__wire *w, uint32_t *v);
void pf__wire_u64(struct pf__wire *w, uint64_t *v);
void pf__wire_errno(struct pf__wire *w, int32_t *v, const char *field); /* 0 or an errno, either sign */
void pf__wire_exec(struct pf__wire *w, uint32_t *v);			/* 1..PF_EXEC_MAX */
void pf__wire_bool(struct pf__wire *w, uint8_t *v, const char *field);	/* 0 or 1 */
/* A string of at most max bytes; NULL is written as "". */
void pf__wire_str(struct pf__wire *w, char **v, size_t max, const char *field);
void pf__wire_strs(struct pf__wire *w, struct pf_strs *v, uint32_t max_count, size_t max, const char *field);
/* The count of a list, whose items take at least `item` bytes each. */
void pf__wire_count(struct pf__wire *w, uint32_t *v, uint32_t max, size_t item, const char *field);
void pf__wire_range(struct pf__wire *w, uint64_t v, uint64_t min, uint64_t max, const char *field);
void pf__wire_fail(struct pf__wire *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void pf__wire_put_begin(struct pf__wire *w, struct pf_buf *out);
/* 0, -EINVAL for a value that no decoder takes, or the buffer's error. */
int pf__wire_put_end(struct pf__wire *w);
void pf__wire_get_begin(struct pf__wire *w, const uint8_t *p, size_t n);
/* After the first walk: has everything been right and used up? Then *mem is the memory for the second, which
 * cannot fail. mem may be NULL for a message without strings. 0, -EPROTO, -ENOMEM. */
int pf__wire_get_middle(struct pf__wire *w, const char *message, void **mem, struct pf_error *err);

/* pf_msg_NAME_put() and pf_msg_NAME_get() from walk_NAME(). The walk does not write to *m when it puts. */
#define PF__WIRE_DEFINE(name)                                                                                \
	int pf_msg_##name##_put(struct pf_buf *out, const struct pf_msg_##name *m)                           \
	{                                                                                                    \
		struct pf__wire w;                                                                           \
                                                                                                             \
		pf__wire_put_begin(&w, out);                                                                 \
		walk_##name(&w, (struct pf_msg_##name *)m);                                                  \
		return pf__wire_put_end(&w);                                                                 \
	}                                                                                                    \
	int pf_msg_##name##_get(const uint8_t *p, size_t n, struct pf_msg_##name *m, void **mem,             \
				struct pf_error *err)                                                        \
	{                                                                                                    \
		struct pf_msg_##name got = {0};                                                              \
		struct pf__wire w;                                                                           \
		int r;                                                                                       \
                                                                                                             \
		pf__wire_get_begin(&w, p, n);                                                                \
		walk_##name(&w, &got);                                                                       \
		r = pf__wire_get_middle(&w, #name, mem, err);                                                \
		if (r < 0)                                                                                   \
			return r;                                                                            \
		walk_##name(&w, &got);                                                                       \
		*m = got;                                                                                    \
		return 0;                                                                                    \
	}

#endif
