/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling struct pf_error. Nothing here allocates or takes a lock, because set-up code
 * reports through it between clone(2) and execve(2).
 */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* A caller that mixed up the sign, or lost errno, must not turn a failure into success. */
static int negative(int code)
{
	if (code == 0)
		return -EIO;
	return code < 0 ? code : -code;
}

/* Messages carry names from outside; one with a newline in it would forge a second line. */
static void one_line(char *s)
{
	for (; *s; s++) {
		if (*s == '\n' || *s == '\r')
			*s = ' ';
	}
}

/* Cut s to at most max bytes, not inside a character. */
static size_t cut(char *s, size_t max)
{
	size_t n = strnlen(s, max);

	if (s[n])
		n = pf_utf8_whole(s, n);
	s[n] = '\0';
	return n;
}

static void format(char *out, size_t cap, const char *fmt, va_list ap)
{
	int n = vsnprintf(out, cap, fmt, ap);

	if (n < 0)
		out[0] = '\0';
	else if ((size_t)n >= cap)
		out[pf_utf8_whole(out, cap - 1)] = '\0';
	one_line(out);
}

int pf_fail(struct pf_error *err, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	code = negative(code);
	if (err) {
		va_start(ap, fmt);
		format(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
		err->code = code;
	}
	errno = saved;
	return code;
}

int pf_fail_errno(struct pf_error *err, const char *fmt, ...)
{
	int saved = errno, code = negative(saved);
	const char *why = strerror(-code);
	size_t n, tail = strlen(why);
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		format(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
		/* A long name may be cut; the reason may not. */
		if (tail > PF_ERROR_MAX / 2)
			tail = PF_ERROR_MAX / 2;
		n = cut(err->msg, PF_ERROR_MAX - 3 - tail);
		snprintf(err->msg + n, sizeof(err->msg) - n, ": %.*s", (int)tail, why);
		err->code = code;
	}
	errno = saved;
	return code;
}

int pf_wrap(struct pf_error *err, const char *fmt, ...)
{
	char prefix[PF_ERROR_MAX];
	int saved = errno;
	va_list ap;
	size_t n;

	if (!err)
		return -EIO;
	va_start(ap, fmt);
	format(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);
	/* Half of the room at most, so that the cause stays legible behind any prefix. */
	n = cut(prefix, PF_ERROR_MAX / 2 - 2);
	memcpy(prefix + n, ": ", 2);
	n += 2;
	cut(err->msg, PF_ERROR_MAX - 1 - n);
	memmove(err->msg + n, err->msg, strlen(err->msg) + 1);
	memcpy(err->msg, prefix, n);
	err->code = negative(err->code);
	errno = saved;
	return err->code;
}
