/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer. Zero-initialised is empty and valid. `limit` (bytes,
 * 0 = none) caps growth: every byte that an untrusted side makes us keep is
 * counted against one. data is kept NUL-terminated beyond len, so text can be
 * used as a C string. After a failed append (allocation or limit) `failed` is
 * set and stays, so a writer may check once at the end.
 */
#ifndef PF_BASE_BUF_H
#define PF_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pf_buf {
	char *data;
	size_t len, cap, limit;
	bool failed;
};

void pf_buf_free(struct pf_buf *b);			   /* leaves it empty and valid, limit kept */
int pf_buf_reserve(struct pf_buf *b, size_t extra);	   /* 0 or -ENOMEM / -E2BIG */
int pf_buf_add(struct pf_buf *b, const void *p, size_t n); /* 0 or -ENOMEM / -E2BIG */
int pf_buf_adds(struct pf_buf *b, const char *s);
int pf_buf_addc(struct pf_buf *b, char c);
int pf_buf_addf(struct pf_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pf_buf_consume(struct pf_buf *b, size_t n); /* drop the first n bytes (n <= len) */
char *pf_buf_steal(struct pf_buf *b);		 /* caller frees; "" for an empty one; NULL if failed */

#define PF_AUTO_BUF __attribute__((cleanup(pf_buf_free)))

#endif
