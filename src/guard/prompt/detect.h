/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the prompt classifier: what is found without weights. Each find is a reason by itself. Strong ones
 * hide text from a person who looks and have next to no honest use: they make a text suspect. The others are
 * told and change no level.
 */
#ifndef PF_GUARD_PROMPT_DETECT_H
#define PF_GUARD_PROMPT_DETECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pf__mark {
	PF_MARK_TAGS,	   /* tag characters that spell something; strong */
	PF_MARK_CONCEALED, /* terminal: concealed text, clipboard writes, lines overwritten at once; strong */
	PF_MARK_BIDI,	   /* overrides and isolates of direction */
	PF_MARK_ZERO_WIDTH, /* invisible marks between Latin letters */
	PF_MARK_CHAT,	    /* tokens that separate the turns of a chat template */
	PF_MARK_HTML,	    /* prose in HTML that is not shown */
	PF_MARK_DISGUISED,  /* words in letters of full width, mathematical, circled */
	PF_MARK_COUNT
};

const char *pf__mark_name(enum pf__mark mark);
bool pf__mark_strong(enum pf__mark mark);

struct pf__detector {
	uint32_t found;		    /* bits of enum pf__mark */
	uint64_t at[PF_MARK_COUNT]; /* where first, bytes of the input */
	uint32_t before;	    /* the character before, marks of no width not counted */
	unsigned tags, invisible, disguised;
	bool pending; /* an invisible mark behind a Latin letter */
	uint8_t escape, param_count;
	unsigned param;
	char tail[32]; /* the last bytes, lower case, a ring */
	unsigned tail_at;
	bool comment; /* inside an HTML comment */
	unsigned comment_words;
	uint64_t comment_at;
};

/* Of a byte below 0x80: has it a part in what is looked for? */
extern const uint8_t pf__detect_class[128];
void pf__detect_ascii(struct pf__detector *d, uint8_t byte, uint64_t at);
void pf__detect_wide(struct pf__detector *d, uint32_t cp, uint64_t at);

#endif
