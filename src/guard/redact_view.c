/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text, squeezed: its letters and digits, in lower case, and where each stood. Whatever else is between them
 * (spaces, line ends, separators, NULs of UTF-16, marks of no width) is left out, and so hides nothing.
 * Letters and digits that Unicode has twice (full width, mathematical, in circles) count as those they look
 * like.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guard/redact_internal.h"

#define HISTORY (2 * PF__SEQ_MAX) /* characters kept: the longest literal, and as much before it */

#define L(c) [c] = (c) | 0x20
#define S(c) [c] = (c)
const uint8_t pf__squeezed[256] = {
	S('0'), S('1'), S('2'), S('3'), S('4'), S('5'), S('6'), S('7'), S('8'), S('9'), L('A'),
	L('B'), L('C'), L('D'), L('E'), L('F'), L('G'), L('H'), L('I'), L('J'), L('K'), L('L'),
	L('M'), L('N'), L('O'), L('P'), L('Q'), L('R'), L('S'), L('T'), L('U'), L('V'), L('W'),
	L('X'), L('Y'), L('Z'), S('a'), S('b'), S('c'), S('d'), S('e'), S('f'), S('g'), S('h'),
	S('i'), S('j'), S('k'), S('l'), S('m'), S('n'), S('o'), S('p'), S('q'), S('r'), S('s'),
	S('t'), S('u'), S('v'), S('w'), S('x'), S('y'), S('z'),
};

int pf__view_reserve(struct pf__view *v, size_t extra)
{
	size_t need = v->n + extra + 8, cap = v->cap ? v->cap : 4096;
	uint8_t *chars;
	uint32_t *pos;

	if (need <= v->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	chars = realloc(v->chars, cap);
	if (!chars)
		return -ENOMEM;
	v->chars = chars;
	pos = realloc(v->pos, cap * sizeof(*pos));
	if (!pos)
		return -ENOMEM;
	v->pos = pos;
	v->cap = cap;
	return 0;
}

/* What a character looks like; 0: nothing of ours. */
static uint8_t looks_like(uint32_t cp)
{
	static const struct {
		uint32_t first, last;
		char as; /* the first of them; runs of 26 and 10 repeat */
	} ranges[] = {
		{0x2460, 0x2468, '1'},	 {0x24B6, 0x24CF, 'a'},	  {0x24D0, 0x24E9, 'a'},
		{0xFF10, 0xFF19, '0'},	 {0xFF21, 0xFF3A, 'a'},	  {0xFF41, 0xFF5A, 'a'},
		{0x1F130, 0x1F149, 'a'}, {0x1F150, 0x1F169, 'a'}, {0x1F170, 0x1F189, 'a'},
		{0x1D400, 0x1D6A3, 'a'}, {0x1D7CE, 0x1D7FF, '0'}, {0xE0030, 0xE0039, '0'},
		{0xE0041, 0xE005A, 'a'}, {0xE0061, 0xE007A, 'a'}, {0x1F1E6, 0x1F1FF, 'a'},
		{0x249C, 0x24B5, 'a'},
	};
	/* Greek and Cyrillic letters that are Latin ones to the eye. */
	static const struct {
		uint16_t cp;
		char as;
	} twins[] = {
		{0x0391, 'a'}, {0x0392, 'b'}, {0x0395, 'e'}, {0x0396, 'z'}, {0x0397, 'h'}, {0x0399, 'i'},
		{0x039A, 'k'}, {0x039C, 'm'}, {0x039D, 'n'}, {0x039F, 'o'}, {0x03A1, 'p'}, {0x03A4, 't'},
		{0x03A5, 'y'}, {0x03A7, 'x'}, {0x03BF, 'o'}, {0x0405, 's'}, {0x0406, 'i'}, {0x0408, 'j'},
		{0x0410, 'a'}, {0x0412, 'b'}, {0x0415, 'e'}, {0x041A, 'k'}, {0x041C, 'm'}, {0x041D, 'h'},
		{0x041E, 'o'}, {0x0420, 'p'}, {0x0421, 'c'}, {0x0422, 't'}, {0x0425, 'x'}, {0x0430, 'a'},
		{0x0435, 'e'}, {0x043E, 'o'}, {0x0440, 'p'}, {0x0441, 'c'}, {0x0443, 'y'}, {0x0445, 'x'},
		{0x0455, 's'}, {0x0456, 'i'}, {0x0458, 'j'}, {0x04CF, 'l'}, {0x0501, 'd'},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (cp >= ranges[i].first && cp <= ranges[i].last)
			return (uint8_t)(ranges[i].as +
					 (cp - ranges[i].first) % (ranges[i].as == 'a' ? 26u : 10u));
	}
	for (size_t i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
		if (cp == twins[i].cp)
			return (uint8_t)twins[i].as;
	}
	return 0;
}

/* A byte of UTF-8 beyond ASCII; a character may come in pieces. */
static void wide(struct pf__view *v, uint8_t c, uint64_t at)
{
	uint32_t cp;
	uint8_t as;

	if (c >= 0xC0) {
		v->cp_need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
		v->cp[0] = c;
		v->cp_have = 1;
		return;
	}
	if (v->cp_have == 0)
		return;
	v->cp[v->cp_have++] = c;
	if (v->cp_have < v->cp_need)
		return;
	cp = v->cp_need == 2   ? (v->cp[0] & 0x1Fu) << 6 | (v->cp[1] & 0x3Fu)
	     : v->cp_need == 3 ? (v->cp[0] & 0x0Fu) << 12 | (v->cp[1] & 0x3Fu) << 6 | (v->cp[2] & 0x3Fu)
			       : (v->cp[0] & 0x07u) << 18 | (v->cp[1] & 0x3Fu) << 12 |
					 (v->cp[2] & 0x3Fu) << 6 | (v->cp[3] & 0x3Fu);
	v->cp_have = 0;
	as = looks_like(cp);
	v->chars[v->n] = as;
	v->pos[v->n] = (uint32_t)(at - (v->cp_need - 1));
	v->n += as != 0;
}

void pf__view_squeeze(struct pf__view *v, const uint8_t *p, size_t n, uint64_t at)
{
	uint8_t *chars = v->chars;
	uint32_t *pos = v->pos;
	size_t k = v->n, i = 0;

	while (i < n) {
		uint64_t eight;

		if (i + 8 <= n && v->cp_have == 0) {
			memcpy(&eight, p + i, 8);
			if (!(eight & 0x8080808080808080ull)) {
				for (unsigned j = 0; j < 8; j++, i++) {
					uint8_t c = pf__squeezed[p[i]];

					chars[k] = c;
					pos[k] = (uint32_t)(at + i);
					k += c != 0;
				}
				continue;
			}
		}
		if (p[i] < 0x80) {
			uint8_t c = pf__squeezed[p[i]];

			v->cp_have = 0;
			chars[k] = c;
			pos[k] = (uint32_t)(at + i);
			k += c != 0;
		} else {
			v->n = k;
			wide(v, p[i], at + i);
			k = v->n;
		}
		i++;
	}
	v->n = k;
}

void pf__view_forget(struct pf__view *v)
{
	size_t old = v->next > HISTORY ? v->next - HISTORY : 0;

	if (old < 2 * HISTORY)
		return;
	memmove(v->chars, v->chars + old, v->n - old);
	memmove(v->pos, v->pos + old, (v->n - old) * sizeof(*v->pos));
	v->n -= old;
	v->next -= old;
}

void pf__view_free(struct pf__view *v)
{
	if (v->chars)
		explicit_bzero(v->chars, v->n);
	free(v->chars);
	free(v->pos);
	*v = (struct pf__view){0};
}
