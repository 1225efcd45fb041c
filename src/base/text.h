/* SPDX-License-Identifier: Apache-2.0 */
/* Inside base: single characters of UTF-8, for printing and for the JSON writer. */
#ifndef PF_BASE_TEXT_H
#define PF_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at s[0..n), n > 0: its length (1 to 4), or 0 where the first byte begins none. */
unsigned pf__utf8_decode(const char *s, size_t n, uint32_t *cp);

/* Characters that move the cursor, turn the direction or show nothing at all. */
bool pf__cp_hidden(uint32_t cp);

#endif
