/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option parser: the input is an argument vector with NUL between the words, its first byte the flags.
 * Whatever comes, the parser ends, every value is one of the words or lies inside one, and words that it
 * collects are words that were given.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS_MAX 64

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static const struct pf_opt opts[] = {
	{"interactive", 'i', PF_OPT_FLAG, NULL, "a flag"},
	{"name", 'n', PF_OPT_VALUE, "NAME", "a value"},
	{"json", 'j', PF_OPT_MAYBE, "stream", "perhaps a value"},
	{NULL, 0, PF_OPT_FLAG, NULL, NULL},
};

/* Each word is a block of its own, so that the sanitizer sees a step too far. */
static int split(const uint8_t *p, size_t n, char **words)
{
	int count = 0;

	while (n && count < WORDS_MAX) {
		const uint8_t *nul = memchr(p, 0, n);
		size_t len = nul ? (size_t)(nul - p) : n;

		words[count] = malloc(len + 1);
		CHECK(words[count]);
		memcpy(words[count], p, len);
		words[count++][len] = '\0';
		len += nul != NULL;
		p += len;
		n -= len;
	}
	words[count] = NULL;
	return count;
}

static bool inside(char *const *words, int count, const char *value)
{
	for (int i = 0; i < count; i++) {
		if (value >= words[i] && value <= words[i] + strlen(words[i]))
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[WORDS_MAX + 1], *argv[WORDS_MAX + 1];
	struct pf_args a = {.argv = argv, .own = opts};
	struct pf_arg arg;
	struct pf_error err;
	size_t total = size + 2;
	int count, r;

	if (size == 0)
		return 0;
	a.policy = data[0] & 1;
	a.words_between = data[0] & 2;
	count = split(data + 1, size - 1, words);
	memcpy(argv, words, sizeof(*argv) * ((size_t)count + 1));
	/* Errors do not stop it: run goes on to look for --json. */
	while ((r = pf_args_next(&a, &arg, &err)) != 0) {
		CHECK(total-- > 0); /* at least one byte each */
		if (r < 0) {
			CHECK(err.msg[0]);
			continue;
		}
		CHECK((arg.own != NULL) != (arg.policy != NULL));
		CHECK(!arg.value || inside(words, count, arg.value));
	}
	CHECK(a.next <= count && a.words <= count);
	for (int i = 0; i < a.words; i++)
		CHECK(inside(words, count, argv[i]));
	for (int i = 0; i < count; i++)
		free(words[i]);
	return 0;
}
