/* SPDX-License-Identifier: Apache-2.0 */
/* The option parser of args.h. */
#include "cli/args.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define NAME_MAX_LEN 32 /* longer words are no slips of an option */

/* A row of either table. */
struct row {
	const struct pf_opt *own;
	const struct pf_policy_opt *policy;
	const char *name, *arg, *help;
	char letter;
	enum pf_opt_kind kind;
};

/* Row i of the two tables, the verb's own first. False at the end. */
static bool row_at(const struct pf_opt *own, bool policy, size_t i, struct row *out)
{
	size_t n = 0;

	while (own && own[n].name)
		n++;
	if (i < n) {
		*out = (struct row){.own = &own[i],
				    .name = own[i].name,
				    .arg = own[i].arg,
				    .help = own[i].help,
				    .letter = own[i].letter,
				    .kind = own[i].kind};
		return true;
	}
	if (!policy)
		return false;
	for (size_t k = 0; k <= i - n; k++) {
		if (!pf_policy_opts[k].name)
			return false;
	}
	i -= n;
	*out = (struct row){.policy = &pf_policy_opts[i],
			    .name = pf_policy_opts[i].name,
			    .arg = pf_policy_opts[i].arg,
			    .help = pf_policy_opts[i].help,
			    .letter = pf_policy_opts[i].letter,
			    .kind = PF_OPT_VALUE};
	return true;
}

bool pf_args_row(const struct pf_opt *own, bool policy, size_t i, struct pf_opt *out)
{
	struct row row;

	if (!row_at(own, policy, i, &row))
		return false;
	*out = (struct pf_opt){row.name, row.letter, row.kind, row.arg, row.help};
	return true;
}

static bool find_name(const struct pf_args *a, const char *name, size_t n, struct row *out)
{
	for (size_t i = 0; row_at(a->own, a->policy, i, out); i++) {
		if (strlen(out->name) == n && memcmp(out->name, name, n) == 0)
			return true;
	}
	return false;
}

static bool find_letter(const struct pf_args *a, char letter, struct row *out)
{
	for (size_t i = 0; row_at(a->own, a->policy, i, out); i++) {
		if (out->letter && out->letter == letter)
			return true;
	}
	return false;
}

/* --- near misses -------------------------------------------------------------- */

/* Edits from a to b: insert, delete, replace, swap of neighbours (optimal string alignment). */
static unsigned distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];

	if (n > NAME_MAX_LEN || m > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (unsigned i = 0; i <= n; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

const char *pf_args_near(const char *word, const char *(*name)(const void *user, size_t i), const void *user)
{
	const char *best = NULL, *candidate;
	size_t n = strlen(word);
	unsigned least = n < 6 ? 2 : 3; /* two slips in a short word make any other of it */

	for (size_t i = 0; (candidate = name(user, i)); i++) {
		unsigned d = distance(word, candidate);

		/* What only is cut short counts as near: "--proc", "--out". */
		if (n >= 3 && pf_has_prefix(candidate, word))
			d = 1;
		if (d < least && d < n) {
			least = d;
			best = candidate;
		}
	}
	return best;
}

static const char *row_name(const void *user, size_t i)
{
	const struct pf_args *a = user;
	struct row row;

	return row_at(a->own, a->policy, i, &row) ? row.name : NULL;
}

/* What people bring along from other programs, and where it is here. */
static const char *foreign_hint(const char *name)
{
	static const struct {
		const char *name, *hint;
	} known[] = {
		{"v", "a directory comes in with --workspace DIR, others with \"mounts\" in a policy"},
		{"volume", "a directory comes in with --workspace DIR, others with \"mounts\" in a policy"},
		{"mount", "a directory comes in with --workspace DIR, others with \"mounts\" in a policy"},
		{"m", "memory is --memory SIZE"},
		{"workdir", "the starting directory is --cwd DIR"},
		{"pids-limit", "processes are limited by --processes N"},
		{"network", "there is no network but what --allow HOST:PORT lets through"},
		{"net", "there is no network but what --allow HOST:PORT lets through"},
		{"privileged", "there is no such thing here"},
		{"d", "a sandbox lives only as long as pinfold run"},
		{"detach", "a sandbox lives only as long as pinfold run"},
	};

	for (size_t i = 0; i < PF_ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].name, name) == 0)
			return known[i].hint;
	}
	return NULL;
}

static int unknown_name(const struct pf_args *a, const char *text, size_t n, struct pf_error *err)
{
	char name[64], shown[128];
	const char *hint, *near;

	if (n >= sizeof(name))
		n = sizeof(name) - 1;
	memcpy(name, text, n);
	name[n] = '\0';
	pf_printable(name, n, shown, sizeof(shown));
	hint = foreign_hint(name);
	if (hint)
		return pf_fail(err, -EINVAL, "there is no option --%s: %s", shown, hint);
	near = pf_args_near(name, row_name, a);
	if (near)
		return pf_fail(err, -EINVAL, "there is no option --%s; did you mean --%s?", shown, near);
	return pf_fail(err, -EINVAL, "there is no option --%s", shown);
}

static int unknown_letter(char letter, struct pf_error *err)
{
	char name[2] = {letter, '\0'}, shown[16];
	const char *hint = foreign_hint(name);

	pf_printable(name, 1, shown, sizeof(shown));
	return pf_fail(err, -EINVAL, "there is no option -%s%s%s", shown, hint ? ": " : "", hint ? hint : "");
}

/* --- reading ------------------------------------------------------------------ */

static int take(const struct row *row, const char *value, struct pf_arg *out)
{
	*out = (struct pf_arg){.own = row->own, .policy = row->policy, .value = value};
	return 1;
}

static int read_long(struct pf_args *a, const char *text, struct pf_arg *out, struct pf_error *err)
{
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t)(equals - text) : strlen(text);
	struct row row;

	if (!find_name(a, text, n, &row))
		return unknown_name(a, text, n, err);
	if (row.kind == PF_OPT_FLAG && equals)
		return pf_fail(err, -EINVAL, "--%s takes no value", row.name);
	if (row.kind != PF_OPT_VALUE || equals)
		return take(&row, equals ? equals + 1 : NULL, out);
	if (!a->argv[a->next])
		return pf_fail(err, -EINVAL, "--%s needs a value: --%s %s", row.name, row.name, row.arg);
	return take(&row, a->argv[a->next++], out);
}

static int read_letter(struct pf_args *a, struct pf_arg *out, struct pf_error *err)
{
	char letter = *a->cluster++;
	const char *rest = a->cluster;
	struct row row;

	if (*a->cluster == '\0')
		a->cluster = NULL;
	if (!find_letter(a, letter, &row)) {
		a->cluster = NULL;
		return unknown_letter(letter, err);
	}
	if (row.kind != PF_OPT_VALUE)
		return take(&row, NULL, out);
	a->cluster = NULL;
	if (*rest)
		return take(&row, rest, out);
	if (!a->argv[a->next])
		return pf_fail(err, -EINVAL, "-%c needs a value: -%c %s", letter, letter, row.arg);
	return take(&row, a->argv[a->next++], out);
}

/* Is the next argument an option? Steps over "--", and with words_between over words, which it collects at
 * the front of argv: what stood there was read already. */
static bool at_option(struct pf_args *a)
{
	char *word;

	while ((word = a->argv[a->next])) {
		if (!a->ended && strcmp(word, "--") == 0) {
			a->ended = true;
			a->next++;
		} else if (!a->ended && word[0] == '-' && word[1] != '\0') {
			return true;
		} else if (a->words_between) {
			a->argv[a->words++] = word;
			a->next++;
		} else {
			a->ended = true;
			return false;
		}
	}
	if (a->words_between)
		a->argv[a->words] = NULL;
	return false;
}

int pf_args_next(struct pf_args *a, struct pf_arg *out, struct pf_error *err)
{
	const char *word;

	if (a->cluster)
		return read_letter(a, out, err);
	if (!at_option(a))
		return 0;
	word = a->argv[a->next++];
	if (word[1] == '-')
		return read_long(a, word + 2, out, err);
	a->cluster = word + 1;
	return read_letter(a, out, err);
}

/* --- help --------------------------------------------------------------------- */

static void row_left(const struct row *row, char *out, size_t cap)
{
	struct pf_buf b = {.limit = cap - 1};

	if (row->letter)
		pf_buf_addf(&b, "  -%c, --%s", row->letter, row->name);
	else
		pf_buf_addf(&b, "      --%s", row->name);
	if (row->arg && row->kind == PF_OPT_MAYBE)
		pf_buf_addf(&b, "[=%s]", row->arg);
	else if (row->arg)
		pf_buf_addf(&b, " %s", row->arg);
	memcpy(out, b.data ? b.data : "", b.len + 1);
	pf_buf_free(&b);
}

void pf_args_help(const struct pf_opt *own, bool policy, struct pf_buf *out)
{
	struct row row;
	char left[96];

	for (size_t i = 0; row_at(own, policy, i, &row); i++) {
		row_left(&row, left, sizeof(left));
		if (strlen(left) < 31)
			pf_buf_addf(out, "%-31s %s\n", left, row.help);
		else
			pf_buf_addf(out, "%s\n%32s%s\n", left, "", row.help);
	}
}
