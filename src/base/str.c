/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, sizes and durations from text and back, in integers only: no double
 * rounds a limit, and no locale changes what a policy means.
 */
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define FRACTION_ONE 1000000000u /* nine digits behind the point at most */

/* Digits at *s, at least one; *s moves behind them. isdigit() asks the locale, this does not. */
static int scan_digits(const char **s, uint64_t *out)
{
	const char *p = *s;
	uint64_t v = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	}
	*s = p;
	*out = v;
	return 0;
}

int pf_parse_u64(const char *s, uint64_t *out)
{
	uint64_t v;
	int r;

	if (!s)
		return -EINVAL;
	/* "99…9x" is malformed before it is too large. */
	if (s[strspn(s, "0123456789")] != '\0')
		return -EINVAL;
	r = scan_digits(&s, &v);
	if (r < 0)
		return r;
	*out = v;
	return 0;
}

int pf_parse_u32(const char *s, uint32_t *out)
{
	uint64_t v;
	int r = pf_parse_u64(s, &v);

	if (r < 0)
		return r;
	if (v > UINT32_MAX)
		return -ERANGE;
	*out = (uint32_t)v;
	return 0;
}

static int size_shift(const char *suffix)
{
	static const char units[] = "KMGT";
	char c = *suffix;
	const char *at;

	if (c == '\0')
		return 0;
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	at = strchr(units, c);
	if (!at || suffix[1] != '\0')
		return -EINVAL;
	return 10 * (int)(at - units + 1);
}

int pf_parse_size(const char *s, uint64_t *bytes)
{
	uint64_t v;
	int r, shift;

	if (!s)
		return -EINVAL;
	shift = size_shift(s + strspn(s, "0123456789"));
	if (shift < 0)
		return shift;
	r = scan_digits(&s, &v);
	if (r < 0)
		return r;
	if (v > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = v << shift;
	return 0;
}

/* What stands behind the point, in units of 1/FRACTION_ONE; *s moves behind it. */
static int scan_fraction(const char **s, uint64_t *out)
{
	const char *p = *s;
	uint64_t v = 0, place = FRACTION_ONE;

	if (*p != '.') {
		*out = 0;
		return 0;
	}
	p++;
	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (place == 1)
			return -EINVAL;
		place /= 10;
		v += (uint64_t)(*p - '0') * place;
	}
	*s = p;
	*out = v;
	return 0;
}

/*
 * whole + fraction, times unit. A remainder rounds up: 0.1 ms as a time limit
 * becomes 1 ms and not 0, which many would read as "none".
 */
static int scale(uint64_t whole, uint64_t fraction, uint64_t unit, uint64_t *out)
{
	uint64_t v, part = (fraction * unit + FRACTION_ONE - 1) / FRACTION_ONE;

	if (__builtin_mul_overflow(whole, unit, &v) || __builtin_add_overflow(v, part, &v))
		return -ERANGE;
	*out = v;
	return 0;
}

int pf_parse_duration(const char *s, uint64_t *ms)
{
	static const struct {
		const char *suffix;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};
	uint64_t whole, fraction;
	int r;

	if (!s)
		return -EINVAL;
	r = scan_digits(&s, &whole);
	if (r == 0)
		r = scan_fraction(&s, &fraction);
	if (r < 0)
		return r;
	for (size_t i = 0; i < PF_ARRAY_SIZE(units); i++) {
		if (strcmp(s, units[i].suffix) == 0)
			return scale(whole, fraction, units[i].ms, ms);
	}
	return -EINVAL;
}

int pf_parse_cpus(const char *s, uint32_t *milli)
{
	uint64_t whole, fraction, v;
	int r;

	if (!s)
		return -EINVAL;
	r = scan_digits(&s, &whole);
	if (r == 0)
		r = scan_fraction(&s, &fraction);
	if (r < 0)
		return r;
	if (*s != '\0')
		return -EINVAL;
	r = scale(whole, fraction, 1000, &v);
	if (r < 0)
		return r;
	if (v == 0 || v > UINT32_MAX)
		return -ERANGE;
	*milli = (uint32_t)v;
	return 0;
}

void pf_format_size(uint64_t bytes, char out[16])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	const unsigned last = PF_ARRAY_SIZE(units) - 1;
	uint64_t whole, tenths, unit;
	unsigned u = 0;

	while (u < last && bytes >> (10 * (u + 1)))
		u++;
	unit = (uint64_t)1 << (10 * u);
	whole = bytes / unit;
	tenths = (bytes % unit * 10 + unit / 2) / unit;
	if (tenths == 10) { /* rounded up to the next whole, perhaps to the next unit */
		tenths = 0;
		whole++;
	}
	if (whole == 1024 && u < last) {
		whole = 1;
		u++;
	}
	if (tenths)
		snprintf(out, 16, "%u.%u %s", (unsigned)whole, (unsigned)tenths, units[u]);
	else
		snprintf(out, 16, "%u %s", (unsigned)whole, units[u]);
}

void pf_format_duration(uint64_t ms, char out[16])
{
	uint64_t s = ms / 1000, h = s / 3600;

	if (ms < 1000)
		snprintf(out, 16, "%u ms", (unsigned)ms);
	else if (s < 60)
		snprintf(out, 16, "%u.%02u s", (unsigned)s, (unsigned)(ms % 1000 / 10));
	else if (h == 0)
		snprintf(out, 16, "%u m %u s", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (h < 10000)
		snprintf(out, 16, "%u h %u m", (unsigned)h, (unsigned)(s / 60 % 60));
	else
		snprintf(out, 16, "%llu d", (unsigned long long)(h / 24));
}

bool pf_streq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}

bool pf_has_prefix(const char *s, const char *prefix)
{
	return s && prefix && strncmp(s, prefix, strlen(prefix)) == 0;
}

char *pf_strdup_or(const char *s, bool *failed)
{
	char *copy = s ? strdup(s) : NULL;

	if (s && !copy)
		*failed = true;
	return copy;
}
