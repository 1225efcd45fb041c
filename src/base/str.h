/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict text to number: the whole string or nothing, no sign games, no
 * leading space, no overflow (CVE-2026-30892 was a user id parsed loosely).
 */
#ifndef PF_BASE_STR_H
#define PF_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int pf_parse_u64(const char *s, uint64_t *out); /* decimal; -EINVAL, -ERANGE */
int pf_parse_u32(const char *s, uint32_t *out);
int pf_parse_size(const char *s, uint64_t *bytes); /* 64K 64M 1G 2T, powers of 1024; bare = bytes */
int pf_parse_duration(const char *s,
		      uint64_t *ms); /* 500ms 1s 2m 1h, decimals allowed: 1.5s; bare number refused */
int pf_parse_cpus(const char *s, uint32_t *milli);  /* 0.5, 2: thousandths of a CPU, > 0 */
void pf_format_size(uint64_t bytes, char out[16]);  /* "1 GiB", "1.5 MiB", "812 B" */
void pf_format_duration(uint64_t ms, char out[16]); /* "412 ms", "1.50 s", "2 m 3 s" */

bool pf_streq(const char *a, const char *b); /* NULL equals NULL only */
bool pf_has_prefix(const char *s, const char *prefix);
bool pf_utf8_valid(const char *s, size_t n); /* no surrogates, no overlong forms, <= U+10FFFF */
/* Longest prefix of s[0..n) that does not end inside a UTF-8 sequence. */
size_t pf_utf8_whole(const char *s, size_t n);

/* Lexical path cleaning: "." and "//" go, ".." is refused. Absolute in, absolute out;
 * relative in, relative out ("." for empty). out has room for cap bytes.
 * -EINVAL for "..", NUL or an empty string, -ENAMETOOLONG. */
int pf_path_clean(const char *path, char *out, size_t cap);
/* Is path equal to dir or beneath it (both cleaned)? */
bool pf_path_within(const char *path, const char *dir);

/* Shell-style glob for policy patterns, on bytes: * (not /), ? (not /), [set],
 * double star for any number of whole components. Leading-dot names match like others.
 * Linear in pattern times path; never recursive without bound. */
bool pf_glob_match(const char *pattern, const char *path);
bool pf_glob_is_pattern(const char *s); /* contains * ? or [ */

/* Text of unknown origin for a terminal: every byte that is not printable UTF-8
 * (controls, escapes, bidi overrides and zero-width marks included) is written
 * as \xNN. out is always terminated; the result may be cut with "...". */
void pf_printable(const char *s, size_t n, char *out, size_t cap);

/* strdup() that lets NULL through and sets *failed when there is no memory: for copies of many strings at
 * once. */
char *pf_strdup_or(const char *s, bool *failed);

#endif
