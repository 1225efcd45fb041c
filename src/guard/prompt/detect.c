/* SPDX-License-Identifier: Apache-2.0 */
/* The detectors; see detect.h. All of it is state of fixed size, a character at a time. */
#include "guard/prompt/detect.h"

#include <string.h>

#include "base/cleanup.h"

#define TAGS_MIN      4 /* a flag of a region ends its few tags with U+E007F and begins with an emoji */
#define INVISIBLE_MIN 2
#define DISGUISED_MIN 8
#define COMMENT_WORDS 8 /* licence heads and build stamps are longer, and told all the same */

const char *pf__mark_name(enum pf__mark mark)
{
	static const char *const names[PF_MARK_COUNT] = {
		"tag-characters", "terminal-concealed", "bidi-override",     "zero-width",
		"chat-template",  "html-hidden",	"disguised-letters",
	};

	return names[mark];
}

bool pf__mark_strong(enum pf__mark mark)
{
	return mark == PF_MARK_TAGS || mark == PF_MARK_CONCEALED;
}

static void found(struct pf__detector *d, enum pf__mark mark, uint64_t at)
{
	if (!(d->found >> mark & 1))
		d->at[mark] = at;
	d->found |= 1u << mark;
}

/* Do the last bytes, lower case and without blanks, end with this? */
static bool ends_with(const struct pf__detector *d, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		if (d->tail[(d->tail_at - n + i) % sizeof(d->tail)] != text[i])
			return false;
	}
	return true;
}

static bool ends_with_any(const struct pf__detector *d, const char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ends_with(d, texts[i]))
			return true;
	return false;
}

static void closing(struct pf__detector *d, uint8_t byte, uint64_t at)
{
	static const char *const turns[] = {
		"<|im_start|>",	 "<|im_end|>",	      "<|system|>",	     "<|user|>",
		"<|assistant|>", "<|eot_id|>",	      "<|start_header_id|>", "<|end_header_id|>",
		"<|endoftext|>", "<start_of_turn>",   "<end_of_turn>",	     "<<sys>>",
		"<</sys>>",	 "<|begin_of_text|>", "<|channel|>",	     "<|message|>",
	};
	static const char *const marks[] = {"[inst]", "[/inst]", "[system_prompt]", "[available_tools]",
					    "[tool_results]"};

	if (byte == '>' && ends_with_any(d, turns, PF_ARRAY_SIZE(turns)))
		found(d, PF_MARK_CHAT, at);
	if (byte == ']' && ends_with_any(d, marks, PF_ARRAY_SIZE(marks)))
		found(d, PF_MARK_CHAT, at);
}

static void comments(struct pf__detector *d, uint8_t byte, uint64_t at)
{
	if (byte == '-' && !d->comment && ends_with(d, "<!--")) {
		d->comment = true;
		d->comment_words = 0;
		d->comment_at = at;
	} else if (byte == '>' && d->comment && ends_with(d, "-->")) {
		d->comment = false;
		if (d->comment_words >= COMMENT_WORDS)
			found(d, PF_MARK_HTML, d->comment_at);
	}
}

static void styles(struct pf__detector *d, uint64_t at)
{
	static const char *const hiding[] = {"display:none", "visibility:hidden", "font-size:0", "opacity:0"};

	if (ends_with_any(d, hiding, PF_ARRAY_SIZE(hiding)))
		found(d, PF_MARK_HTML, at);
}

/* The final byte of a control sequence: SGR 8 conceals; a line that is erased, or gone over again, was not
 * meant to be seen. Progress bars erase lines too, and have no control sequence for concealing. */
static void control_done(struct pf__detector *d, uint8_t byte, uint64_t at)
{
	if (byte == 'm' && d->param == 8)
		found(d, PF_MARK_CONCEALED, at);
}

/* ECMA-48: ESC [ parameters final; ESC ] number ; text (BEL or ESC \). */
static void escapes(struct pf__detector *d, uint8_t byte, uint64_t at)
{
	enum { NONE, ESC, CONTROL, COMMAND };

	switch (d->escape) {
	case ESC:
		d->escape = byte == '[' ? CONTROL : byte == ']' ? COMMAND : NONE;
		d->param = 0;
		break;
	case CONTROL:
		if (byte >= '0' && byte <= '9') {
			d->param = d->param < 1000 ? d->param * 10 + (byte - '0') : 1000;
		} else if (byte == ';' || byte == ':') {
			control_done(d, 'm', at); /* "0;8m": each of them counts */
			d->param = 0;
		} else if (byte >= 0x40) {
			control_done(d, byte, at);
			d->escape = NONE;
		}
		break;
	case COMMAND:
		if (byte >= '0' && byte <= '9') {
			d->param = d->param < 1000 ? d->param * 10 + (byte - '0') : 1000;
			break;
		}
		if (byte == ';' && d->param == 52) /* writes the clipboard */
			found(d, PF_MARK_CONCEALED, at);
		d->escape = NONE;
		break;
	default:
		break;
	}
	if (byte == 0x1b)
		d->escape = ESC;
}

/* 1: ends a chat token; 2: part of a comment's marks; 4: may end a style that hides; 8: begins an escape;
 * 16: a letter; 32: a blank. */
#define L 16
const uint8_t pf__detect_class[128] = {
	[0x1b] = 8, [' '] = 32, ['\n'] = 32,   ['\t'] = 32,   ['\r'] = 32,   ['-'] = 2,	    ['>'] = 1 | 2,
	[']'] = 1,  ['0'] = 4,	['e'] = 4 | L, ['n'] = 4 | L, ['N'] = 4 | L, ['E'] = 4 | L, ['a'] = L,
	['b'] = L,  ['c'] = L,	['d'] = L,     ['f'] = L,     ['g'] = L,     ['h'] = L,	    ['i'] = L,
	['j'] = L,  ['k'] = L,	['l'] = L,     ['m'] = L,     ['o'] = L,     ['p'] = L,	    ['q'] = L,
	['r'] = L,  ['s'] = L,	['t'] = L,     ['u'] = L,     ['v'] = L,     ['w'] = L,	    ['x'] = L,
	['y'] = L,  ['z'] = L,	['A'] = L,     ['B'] = L,     ['C'] = L,     ['D'] = L,	    ['F'] = L,
	['G'] = L,  ['H'] = L,	['I'] = L,     ['J'] = L,     ['K'] = L,     ['L'] = L,	    ['M'] = L,
	['O'] = L,  ['P'] = L,	['Q'] = L,     ['R'] = L,     ['S'] = L,     ['T'] = L,	    ['U'] = L,
	['V'] = L,  ['W'] = L,	['X'] = L,     ['Y'] = L,     ['Z'] = L,
};
#undef L

void pf__detect_ascii(struct pf__detector *d, uint8_t byte, uint64_t at)
{
	uint8_t class = pf__detect_class[byte];

	if (d->escape || class & 8)
		escapes(d, byte, at);
	if (class & 32) {
		d->comment_words += d->comment;
	} else {
		d->tail[d->tail_at++ % sizeof(d->tail)] =
			(char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
	}
	if (class & 3) {
		closing(d, byte, at);
		comments(d, byte, at);
	}
	if (class & 4)
		styles(d, at);
	if (d->pending) {
		d->pending = false;
		if (class & 16 && ++d->invisible >= INVISIBLE_MIN)
			found(d, PF_MARK_ZERO_WIDTH, at);
	}
	d->before = byte;
}

static bool latin(uint32_t cp)
{
	return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z');
}

void pf__detect_wide(struct pf__detector *d, uint32_t cp, uint64_t at)
{
	/* Trojan Source (CVE-2021-42574): embeddings, overrides and isolates. The plain marks LRM and RLM
	 * are part of ordinary text. */
	if ((cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069))
		found(d, PF_MARK_BIDI, at);
	if ((cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2060 && cp <= 0x2064) || cp == 0xad || cp == 0xfeff ||
	    cp == 0x180e) {
		d->pending = d->pending || latin(d->before);
		return;
	}
	d->pending = false;
	if (cp >= 0xe0020 && cp <= 0xe007e) {
		/* Flags of regions are U+1F3F4 and at most six tags. */
		d->tags = d->before == 0x1f3f4 ? 0 : d->tags + 1;
		if (d->before != 0x1f3f4 && d->tags >= TAGS_MIN)
			found(d, PF_MARK_TAGS, at);
		return;
	}
	if ((cp >= 0xff21 && cp <= 0xff5a) || (cp >= 0x1d400 && cp <= 0x1d6a5) ||
	    (cp >= 0x24b6 && cp <= 0x24e9) || (cp >= 0x1f130 && cp <= 0x1f149)) {
		if (++d->disguised >= DISGUISED_MIN)
			found(d, PF_MARK_DISGUISED, at);
	}
	d->before = cp;
}
