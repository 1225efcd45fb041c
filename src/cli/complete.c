/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand at the cursor of a command line: complete.h. */
#include "cli/complete.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "image/store.h"

/* Where we are in the line. */
struct at {
	const struct pf_complete *all;
	const struct pf_verb *verb;
	char **words; /* behind the verb, the last one being completed */
	size_t count; /* of those before it */
	size_t base;  /* number of words before words[0] in the whole line */
	const char *current;
	struct pf_buf out;
};

/* --- candidates ------------------------------------------------------------------ */

static void put(struct at *a, const char *lead, const char *word, const char *text)
{
	PF_AUTO_BUF struct pf_buf whole = {0};

	pf_buf_addf(&whole, "%s%s", lead, word);
	if (whole.failed || !pf_has_prefix(whole.data, a->current))
		return;
	pf_buf_addf(&a->out, "%s\t%s\n", whole.data, text ? text : "");
}

static void shell(struct at *a, const char *what)
{
	pf_buf_addf(&a->out, "\t%s\n", what);
}

static const char *last_word(const char *name)
{
	const char *space = strrchr(name, ' ');

	return space ? space + 1 : name;
}

static void put_verbs(struct at *a, const struct pf_verb *const *verbs, size_t count)
{
	for (size_t i = 0; i < count && verbs[i]; i++)
		put(a, "", last_word(verbs[i]->name), verbs[i]->summary);
}

/* Names that came from elsewhere stay out if they are not what they seem on a terminal. */
static void put_ids(struct at *a, const char *lead, enum pf_words kind)
{
	struct pf_list ids = {0};
	char shown[1024];

	a->all->ids(kind, &ids);
	for (size_t i = 0; i < ids.count; i++) {
		const char *id = ids.items[i];

		if (strlen(id) >= sizeof(shown) / 4)
			continue;
		pf_printable(id, strlen(id), shown, sizeof(shown));
		if (strcmp(id, shown) == 0)
			put(a, lead, id, NULL);
	}
	pf_list_free(&ids);
}

void pf_complete_images(const char *state, struct pf_list *out)
{
	struct pf_image *list;
	size_t count;

	if (pf_image_list(state, &list, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i].names.count; k++)
			pf_list_add(out, list[i].names.items[k]);
	pf_image_list_free(list, count);
}

/* --- options --------------------------------------------------------------------- */

/* Values that are words; everything else is known by what the help calls it. */
static const char *value_words(const char *name)
{
	static const struct {
		const char *name, *words;
	} known[] = {
		{"tier", "auto container"},
		{"user", "user root"},
		{"json", "stream"},
		{"kind", "dir tar docker oci"},
		{"tls-verify", "true false"},
		{"fix", "apparmor"},
		{"require",
		 "limits memory cpus processes wall_time idle_time output disk open_files userns netns "
		 "seccomp landlock cgroup init_uid"},
	};

	for (size_t i = 0; i < PF_ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].name, name) == 0)
			return known[i].words;
	}
	return NULL;
}

/* lead: "--name=" where the value stands behind that. */
static void put_value(struct at *a, const struct pf_opt *o, const char *lead)
{
	const char *words = value_words(o->name);
	char word[32];

	while (words && *words) {
		size_t n = strcspn(words, " ");

		if (n < sizeof(word)) {
			memcpy(word, words, n);
			word[n] = '\0';
			put(a, lead, word, NULL);
		}
		words += n + (words[n] == ' ');
	}
	if (strcmp(o->name, "image") == 0) {
		put(a, lead, "host", "the host's own tools");
		put_ids(a, lead, PF_WORDS_IMAGES);
	} else if (strcmp(o->name, "entrypoint") == 0 || (o->arg && pf_has_prefix(o->arg, "FILE"))) {
		shell(a, "files");
	} else if (o->arg && pf_has_prefix(o->arg, "DIR")) {
		shell(a, "dirs");
	}
}

static void put_options(struct at *a)
{
	struct pf_opt o;

	for (size_t i = 0; pf_args_row(a->verb->opts, a->verb->policy, i, &o); i++) {
		put(a, "--", o.name, o.help);
		if (o.kind == PF_OPT_MAYBE && value_words(o.name))
			put(a, "--", "json=stream", "lines as things happen");
	}
}

static bool find_long(const struct at *a, const char *name, size_t n, struct pf_opt *out)
{
	for (size_t i = 0; pf_args_row(a->verb->opts, a->verb->policy, i, out); i++) {
		if (strlen(out->name) == n && memcmp(out->name, name, n) == 0)
			return true;
	}
	return false;
}

static bool find_letter(const struct at *a, char letter, struct pf_opt *out)
{
	for (size_t i = 0; pf_args_row(a->verb->opts, a->verb->policy, i, out); i++) {
		if (out->letter == letter)
			return true;
	}
	return false;
}

/* Does this option take the next word? */
static bool wants_next(const struct at *a, const char *word, struct pf_opt *out)
{
	if (word[1] == '-')
		return !strchr(word, '=') && find_long(a, word + 2, strlen(word + 2), out) &&
		       out->kind == PF_OPT_VALUE;
	for (const char *p = word + 1; *p; p++) {
		if (!find_letter(a, *p, out))
			return false;
		if (out->kind == PF_OPT_VALUE)
			return p[1] == '\0';
	}
	return false;
}

/* --- words ------------------------------------------------------------------------ */

static void put_command(struct at *a, size_t index)
{
	pf_buf_addf(&a->out, "\tcommand %zu\n", a->base + index + 1);
}

static void put_words(struct at *a, size_t before)
{
	const struct pf_verb *v = a->verb;

	if (v->actions && before == 0) {
		for (size_t i = 0; v->actions[i]; i++)
			put(a, "", v->actions[i], NULL);
		return;
	}
	switch (v->words) {
	case PF_WORDS_NONE:
	case PF_WORDS_COMMAND:
		break;
	case PF_WORDS_SETS:
	case PF_WORDS_KEPT:
	case PF_WORDS_OUTPUTS:
		put(a, "", "last", "the newest");
		put_ids(a, "", v->words);
		break;
	case PF_WORDS_IMAGES:
		put_ids(a, "", v->words);
		break;
	case PF_WORDS_VERBS:
		put_verbs(a, a->all->verbs, a->all->count);
		break;
	case PF_WORDS_FILES:
		shell(a, "files");
		break;
	}
}

/* words[0..count) were read by the parser of options already: what may the next be? */
static void put_next(struct at *a)
{
	struct pf_opt o;
	bool ended = false, value = false;
	size_t words = 0;
	const char *equals;

	for (size_t i = 0; i < a->count; i++) {
		const char *w = a->words[i];

		if (value)
			value = false;
		else if (!ended && strcmp(w, "--") == 0)
			ended = true;
		else if (!ended && w[0] == '-' && w[1])
			value = wants_next(a, w, &o);
		else if (a->verb->words == PF_WORDS_COMMAND)
			return put_command(a, i);
		else
			words++;
	}
	equals = strchr(a->current, '=');
	if (value) {
		put_value(a, &o, "");
	} else if (!ended && pf_has_prefix(a->current, "--") && equals) {
		char lead[64];
		size_t n = (size_t)(equals - a->current) + 1;

		if (n < sizeof(lead) && find_long(a, a->current + 2, n - 3, &o) && o.kind != PF_OPT_FLAG) {
			memcpy(lead, a->current, n);
			lead[n] = '\0';
			put_value(a, &o, lead);
		}
	} else if (!ended && a->current[0] == '-') {
		put_options(a);
	} else if (a->verb->words == PF_WORDS_COMMAND) {
		put_command(a, a->count);
	} else {
		put_words(a, words);
	}
}

static const struct pf_verb *find(const struct pf_verb *const *verbs, size_t count, const char *word)
{
	for (size_t i = 0; i < count && verbs[i]; i++) {
		if (strcmp(last_word(verbs[i]->name), word) == 0)
			return verbs[i];
	}
	return NULL;
}

static void put_line(struct at *a)
{
	static const struct pf_opt none[] = {PF_OPT_END};
	static const struct pf_verb help = {.opts = none, .words = PF_WORDS_VERBS};
	const struct pf_verb *const *verbs = a->all->verbs;
	size_t count = a->all->count;

	for (;;) {
		const struct pf_verb *v;

		if (a->count == 0)
			return put_verbs(a, verbs, count);
		v = strcmp(a->words[0], "help") == 0 ? &help : find(verbs, count, a->words[0]);
		if (!v)
			return;
		a->verb = v;
		a->words++;
		a->count--;
		a->base++;
		if (!v->parts)
			return put_next(a);
		verbs = v->parts;
		count = SIZE_MAX;
	}
}

int pf_complete(const struct pf_complete *c, char **words)
{
	struct at a = {.all = c, .words = words, .current = ""};
	int code;

	while (words[a.count])
		a.count++;
	if (a.count)
		a.current = words[--a.count];
	put_line(&a);
	code = pf_cli_out(&a.out);
	pf_buf_free(&a.out);
	return code;
}
