/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Build tool: prints redact_tables.h, the patterns of src/guard/redact_patterns_*.c as constant data, so that
 * nothing is compiled or loaded when pinfold starts. A pattern that could be tried in two ways, one that no
 * three bytes announce, and an example that does not do what it should fail the build.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/redact_patterns.h"

#define CLASSES 256u
#define STEPS	8192u
#define RULES	256u
#define ANCHORS 8192u
#define COMBOS	64u

static uint64_t classes[CLASSES][4];
static struct pf__step steps[STEPS];
static struct pf__rule rules[RULES];
static struct pf__anchor anchors[ANCHORS];
static uint16_t heads[1u << 13];
static uint64_t bits[1u << 9], firsts[4], pairs[1u << 10]; /* bytes in lower case */
static unsigned class_count, step_count, rule_count, anchor_count;

static void die(const char *name, const char *why)
{
	fprintf(stderr, "mkrules: %s: %s\n", name, why);
	exit(1);
}

static void set(uint64_t c[4], unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		c[i >> 6] |= 1ull << (i & 63);
}

static bool has(const uint64_t c[4], unsigned i)
{
	return c[i >> 6] >> (i & 63) & 1;
}

static unsigned class_of(const uint64_t c[4])
{
	for (unsigned i = 0; i < class_count; i++) {
		if (memcmp(classes[i], c, sizeof(classes[i])) == 0)
			return i;
	}
	if (class_count == CLASSES)
		die("classes", "too many");
	memcpy(classes[class_count], c, sizeof(classes[0]));
	return class_count++;
}

/* One class at p; returns what is behind it. */
static const char *read_class(const char *name, const char *p, uint64_t c[4])
{
	memset(c, 0, 4 * sizeof(c[0]));
	if (*p == '[') {
		for (p++; *p && *p != ']'; p++) {
			if (p[1] == '-' && p[2] && p[2] != ']') {
				set(c, (unsigned char)p[0], (unsigned char)p[2]);
				p += 2;
			} else {
				set(c, (unsigned char)*p, (unsigned char)*p);
			}
		}
		if (*p != ']')
			die(name, "[ without ]");
		return p + 1;
	}
	if (*p != '\\') {
		set(c, (unsigned char)*p, (unsigned char)*p);
		return p + 1;
	}
	if (!strchr("auxXdlbU", p[1])) {
		set(c, (unsigned char)p[1], (unsigned char)p[1]);
		return p + 2;
	}
	set(c, '0', '9');
	if (strchr("aubl", p[1]))
		set(c, 'a', 'z');
	if (strchr("aubU", p[1]))
		set(c, 'A', 'Z');
	if (strchr("xX", p[1]))
		set(c, 'a', 'f');
	if (p[1] == 'X')
		set(c, 'A', 'F');
	if (p[1] == 'u') {
		set(c, '-', '-');
		set(c, '_', '_');
	}
	if (p[1] == 'b') {
		set(c, '+', '+');
		set(c, '/', '/');
	}
	return p + 2;
}

static bool meet(const uint64_t a[4], const uint64_t b[4])
{
	return (a[0] & b[0]) | (a[1] & b[1]) | (a[2] & b[2]) | (a[3] & b[3]);
}

static void add_anchor(unsigned rule, unsigned back, const uint8_t three[3])
{
	uint32_t h = PF__ANCHOR((uint32_t)three[0] | (uint32_t)three[1] << 8 | (uint32_t)three[2] << 16);

	for (unsigned a = heads[h >> 2]; a; a = anchors[a - 1].next) {
		if (anchors[a - 1].rule == rule && anchors[a - 1].back == back &&
		    (bits[h >> 6] >> (h & 63) & 1))
			return;
	}
	if (anchor_count == ANCHORS)
		die("anchors", "too many");
	anchors[anchor_count] =
		(struct pf__anchor){.rule = (uint16_t)rule, .back = (uint8_t)back, .next = heads[h >> 2]};
	heads[h >> 2] = (uint16_t)++anchor_count;
	bits[h >> 6] |= 1ull << (h & 63);
	set(firsts, three[0] | 0x20, three[0] | 0x20);
	pairs[(three[0] | 0x20) << 2 | (three[1] | 0x20) >> 6] |= 1ull << ((three[1] | 0x20) & 63);
}

/* The first three bytes of the rule that can be few: all of their combinations announce it. */
static void anchor(unsigned rule)
{
	const struct pf__rule *r = &rules[rule];
	const uint64_t *at[64];
	unsigned n = 0;

	for (unsigned k = 0; k < r->step_count && n < 61; k++) {
		const struct pf__step *s = &r->steps[k];

		for (unsigned i = 0; i < s->min && n < 61; i++)
			at[n++] = classes[s->cls];
		if (s->min != s->max)
			break;
	}
	for (unsigned back = 0; back + 3 <= n; back++) {
		unsigned combos = 1;

		for (unsigned k = 0; k < 3; k++) {
			unsigned m = 0;

			for (unsigned c = 0; c < 256; c++)
				m += has(at[back + k], c);
			combos *= m;
		}
		if (combos > COMBOS)
			continue;
		for (unsigned v = 0; v < 1u << 24; v++) {
			uint8_t three[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

			if (has(at[back], three[0]) && has(at[back + 1], three[1]) &&
			    has(at[back + 2], three[2]))
				add_anchor(rule, back, three);
		}
		return;
	}
	die(r->name, "no three bytes announce it");
}

static void finish(const struct pf__pattern *p, struct pf__rule *r)
{
	for (unsigned k = 0; k + 1 < r->step_count; k++) {
		const struct pf__step *a = &r->steps[k], *b = &r->steps[k + 1];

		if (a->min != a->max && (meet(classes[a->cls], classes[b->cls]) || b->min == 0))
			die(p->name, "a run of varying length meets the next");
	}
	if (r->mark_to == 0)
		r->mark_to = r->step_count;
	if (r->step_count == 0 || r->mark_from >= r->mark_to)
		die(p->name, "empty");
	anchor((unsigned)(r - rules));
}

static struct pf__rule *begin(const struct pf__pattern *p)
{
	if (rule_count == RULES)
		die(p->name, "too many rules");
	rules[rule_count] = (struct pf__rule){.name = p->name,
					      .steps = steps + step_count,
					      .check = (uint8_t)p->check,
					      .entropy = p->entropy,
					      .left = !p->open_left,
					      .right = !p->open_right};
	return &rules[rule_count++];
}

static void compile(const struct pf__pattern *p)
{
	struct pf__rule *r = begin(p);
	const char *s = p->pattern;

	while (*s) {
		unsigned min = 1, max = 1;
		uint64_t c[4];
		int used;

		if (*s == '|') {
			finish(p, r);
			r = begin(p);
			s++;
			continue;
		}
		if (*s == '(' || *s == ')') {
			*(*s == '(' ? &r->mark_from : &r->mark_to) = r->step_count;
			s++;
			continue;
		}
		s = read_class(p->name, s, c);
		if (sscanf(s, "{%u,%u}%n", &min, &max, &used) == 2)
			s += used;
		else if (sscanf(s, "{%u}%n", &min, &used) == 1 && *s == '{')
			s += used, max = min;
		if (step_count == STEPS || min > max || max > 65535)
			die(p->name, "a bad or too many runs");
		steps[step_count++] = (struct pf__step){
			.cls = (uint8_t)class_of(c), .min = (uint16_t)min, .max = (uint16_t)max};
		r->step_count++;
	}
	finish(p, r);
}

/* --- examples ------------------------------------------------------------------------------------ */

static uint32_t lot(void)
{
	static uint64_t state = 0x853c49e6748fea9bull;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33);
}

static void draw(char *out, unsigned n, char kind)
{
	const char *from = kind == 'x'	 ? "0123456789abcdef"
			   : kind == 'd' ? "0123456789"
			   : kind == 'l' ? "abcdefghijklmnopqrstuvwxyz0123456789"
			   : kind == 'U' ? "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			   : kind == 'B' ? "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
					 : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	for (unsigned i = 0; i < n; i++)
		*out++ = from[lot() % strlen(from)];
	*out = '\0';
}

static void checksum(char *text)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	char *from = strrchr(text, '_') + 1, *end = text + strlen(text);
	uint32_t v = pf__crc32((uint8_t *)from, strlen(from));

	for (unsigned i = 6; i > 0; i--, v /= 62)
		end[i - 1] = digits[v % 62];
	end[6] = '\0';
}

static void age(char *text)
{
	static const char digits[] = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
	char *end;
	uint32_t sum;

	for (unsigned i = 0; i < 52; i++)
		strncat(text, &digits[lot() % 32], 1);
	end = text + strlen(text);
	strcat(text, "QQQQQQ");
	sum = pf__bech32((uint8_t *)text, strlen(text)) ^ 1;
	for (unsigned i = 0; i < 6; i++)
		end[i] = digits[sum >> 5 * (5 - i) & 31];
}

static void expand(const char *name, const char *s, char *out, size_t cap)
{
	out[0] = '\0';
	while (*s) {
		size_t n = strlen(out);
		unsigned count;
		char kind;
		int used;

		if (n + 1024 > cap)
			die(name, "an example is too long");
		if (strncmp(s, "%c", 2) == 0) {
			checksum(out);
			s += 2;
		} else if (strncmp(s, "%AGE", 4) == 0) {
			age(out);
			s += 4;
		} else if (*s == '%' && sscanf(s, "%%%u%c%n", &count, &kind, &used) == 2 && count < 1000) {
			draw(out + n, count, kind);
			s += used;
		} else {
			out[n] = *s++;
			out[n + 1] = '\0';
		}
	}
}

static bool matches(const char *name, const char *text)
{
	struct pf__text t = {.p = (const uint8_t *)text, .n = strlen(text), .final = true};

	for (unsigned r = 0; r < rule_count; r++) {
		for (size_t i = 0; strcmp(rules[r].name, name) == 0 && i < t.n; i++) {
			size_t from, to;

			if (pf__rule_match(&rules[r], (const uint64_t(*)[4])classes, &t, i, &from, &to) ==
			    PF__YES)
				return true;
		}
	}
	return false;
}

static void try(const struct pf__pattern *p)
{
	char text[8192];

	if (!p->yes[0] || !p->no[0])
		die(p->name, "needs an example of each kind");
	for (unsigned i = 0; i < 3; i++) {
		if (p->yes[i]) {
			expand(p->name, p->yes[i], text, sizeof(text));
			if (!matches(p->name, text))
				die(p->name, text);
		}
		if (p->no[i]) {
			expand(p->name, p->no[i], text, sizeof(text));
			if (matches(p->name, text))
				die(p->name, text);
		}
	}
}

/* --- what no pattern says --------------------------------------------------------------------------- */

static void specials(void)
{
	static const struct {
		const char *three;
		uint8_t which, back;
	} list[] = {
		{"://", PF__URL, 0},
		{"---", PF__PEM, 0},
		{"key", PF__ASSIGNMENT, 0},
		{"oke", PF__ASSIGNMENT, 0},
		{"cre", PF__ASSIGNMENT, 0},
		{"ssw", PF__ASSIGNMENT, 0},
		{"pwd", PF__ASSIGNMENT, 0},
		{"\x1f\x8b\x08", PF__BLOB_RAW, 0},
		{"BZh", PF__BLOB_RAW, 0},
		{"\xfd"
		 "7z",
		 PF__BLOB_RAW, 0},
		{"H4s", PF__BLOB_BASE64, 0},
		{"Qlp", PF__BLOB_BASE64, 0},
		{"/Td", PF__BLOB_BASE64, 0},
		{"eJw", PF__BLOB_BASE64, 0},
		{"eJx", PF__BLOB_BASE64, 0},
		{"eJy", PF__BLOB_BASE64, 0},
		{"eJz", PF__BLOB_BASE64, 0},
		{"eNo", PF__BLOB_BASE64, 0},
		{"eNp", PF__BLOB_BASE64, 0},
		{"eNq", PF__BLOB_BASE64, 0},
		{"eNr", PF__BLOB_BASE64, 0},
		{"1f8", PF__BLOB_HEX, 0},
		{"425", PF__BLOB_HEX, 0},
		{"fd3", PF__BLOB_HEX, 0},
		{"789", PF__BLOB_HEX, 0},
		{"78d", PF__BLOB_HEX, 0},
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		if (list[i].three[2])
			add_anchor(PF__SPECIAL + list[i].which, list[i].back, (const uint8_t *)list[i].three);
	}
}

static void print(void)
{
	printf("/* Generated by tools/mkrules.c from src/guard/redact_patterns_*.c: do not edit. */\n");
	printf("static const uint64_t pf__classes[][4] = {\n");
	for (unsigned i = 0; i < class_count; i++)
		printf("\t{0x%llx, 0x%llx, 0x%llx, 0x%llx},\n", (unsigned long long)classes[i][0],
		       (unsigned long long)classes[i][1], (unsigned long long)classes[i][2],
		       (unsigned long long)classes[i][3]);
	printf("};\nstatic const struct pf__step pf__steps[] = {\n");
	for (unsigned i = 0; i < step_count; i++)
		printf("\t{%u, %u, %u},\n", steps[i].cls, steps[i].min, steps[i].max);
	printf("};\nstatic const struct pf__rule pf__rules[] = {\n");
	for (unsigned i = 0; i < rule_count; i++)
		printf("\t{\"%s\", pf__steps + %u, %u, %u, %u, %u, %u, %d, %d},\n", rules[i].name,
		       (unsigned)(rules[i].steps - steps), rules[i].step_count, rules[i].mark_from,
		       rules[i].mark_to, rules[i].check, rules[i].entropy, rules[i].left, rules[i].right);
	printf("};\nstatic const struct pf__anchor pf__anchors[] = {\n");
	for (unsigned i = 0; i < anchor_count; i++)
		printf("\t{%u, %u, %u},\n", anchors[i].rule, anchors[i].back, anchors[i].next);
	printf("};\nstatic const uint16_t pf__anchor_heads[] = {");
	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		printf("%s%u,", i % 16 ? " " : "\n\t", heads[i]);
	printf("\n};\nstatic const uint64_t pf__anchor_bits[] = {");
	for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		printf("%s0x%llx,", i % 4 ? " " : "\n\t", (unsigned long long)bits[i]);
	printf("\n};\nstatic const uint64_t pf__anchor_firsts[] = {");
	for (unsigned i = 0; i < 4; i++)
		printf("0x%llx, ", (unsigned long long)firsts[i]);
	printf("};\nstatic const uint64_t pf__anchor_pairs[] = {");
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		printf("%s0x%llx,", i % 4 ? " " : "\n\t", (unsigned long long)pairs[i]);
	printf("\n};\n");
}

int main(void)
{
	static const struct {
		const struct pf__pattern *p;
		const size_t *n;
	} all[] = {{pf__patterns_cloud, &pf__patterns_cloud_count},
		   {pf__patterns_forge, &pf__patterns_forge_count},
		   {pf__patterns_service, &pf__patterns_service_count}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		for (size_t k = 0; k < *all[i].n; k++)
			compile(&all[i].p[k]);
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		for (size_t k = 0; k < *all[i].n; k++)
			try(&all[i].p[k]);
	}
	specials();
	print();
	return fflush(stdout) != 0;
}
