/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors. Every fallible function returns 0 (or a count) on success and a
 * negative errno on failure, and fills the caller's struct pf_error. The struct
 * lives on the caller's stack, allocates nothing and is therefore usable
 * between clone(2) and execve(2). On failure a function leaves its outputs
 * untouched. Nothing below cli/ logs or exits.
 */
#ifndef PF_BASE_ERROR_H
#define PF_BASE_ERROR_H

#include <stdarg.h>

#define PF_ERROR_MAX 512

struct pf_error {
	int code;		/* negative errno; 0 while nothing failed */
	char msg[PF_ERROR_MAX]; /* one line without a newline, says what to do */
};

/* Set *err (which may be NULL) and return code, so that `return pf_fail(...)`
 * reads well. code is a negative errno. The message names what failed; where
 * strerror(-code) adds something, write it with %m-less text through
 * pf_fail_errno(). */
int pf_fail(struct pf_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As pf_fail() with ": strerror(errno)" appended; returns -errno. */
int pf_fail_errno(struct pf_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put "prefix: " before the message that is already in *err. Returns err->code. */
int pf_wrap(struct pf_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
