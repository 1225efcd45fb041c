/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold drop: forget change sets and long outputs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cli/cli.h"
#include "sandbox/outputs.h"
#include "workspace/change.h"

enum { OPT_ALL, OPT_FORCE, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_ALL] = {"all", 0, PF_OPT_FLAG, NULL, "every kept change set and output"},
	[OPT_FORCE] = {"force", 'f', PF_OPT_FLAG, NULL, "a change set that is half applied too"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

/* What goes. All are looked up before the first is dropped: "last" and beginnings of ids change their meaning
 * with each. */
struct todo {
	struct pf_dirs dirs;
	int changes, outputs; /* descriptors; outputs -1: there are none */
	bool force;
	struct pf_list sets, longs; /* ids of change sets and of long outputs */
};

static int todo_open(struct todo *t, bool force, struct pf_error *err)
{
	*t = (struct todo){.changes = -1, .outputs = -1, .force = force};
	t->changes = pf_cli_changes(&t->dirs, err);
	if (t->changes < 0)
		return t->changes;
	t->outputs = pf_outputs_open(&t->dirs, false, err);
	return t->outputs < 0 && t->outputs != -ENOENT ? t->outputs : 0;
}

static void todo_free(struct todo *t)
{
	if (t->changes >= 0)
		close(t->changes);
	if (t->outputs >= 0)
		close(t->outputs);
	pf_list_free(&t->sets);
	pf_list_free(&t->longs);
}

static int add(struct pf_list *l, const char *id, struct pf_error *err)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i], id) == 0)
			return 0;
	return pf_list_add(l, id) < 0 ? pf_fail(err, -ENOMEM, "out of memory") : 0;
}

static bool of_box(const char *output, const char *box, size_t n)
{
	return strncmp(output, box, n) == 0 && output[n] == '.';
}

/* Long outputs of one sandbox. word: the id of one, the beginning of one, or that of the sandbox: then all of
 * them. -ENOENT: none, and *err is left alone. */
static int add_outputs(struct todo *t, const struct pf_list *ids, const char *word, struct pf_error *err)
{
	const char *first = NULL;
	int r = 0;

	for (size_t i = 0; i < ids->count; i++)
		if (strcmp(ids->items[i], word) == 0) /* which may be the beginning of others too */
			return add(&t->longs, word, err);
	for (size_t i = 0; i < ids->count && r == 0; i++) {
		const char *id = ids->items[i];

		if (!pf_has_prefix(id, word))
			continue;
		if (first && (strchr(word, '.') || !of_box(id, first, strcspn(first, "."))))
			return pf_fail(err, -ENOTUNIQ, "'%.60s' begins several outputs; write more of the id",
				       word);
		first = id;
		r = add(&t->longs, id, err);
	}
	return r == 0 && !first ? -ENOENT : r;
}

/* A sandbox's change set, and its long outputs with it. */
static int add_set(struct todo *t, const struct pf_list *ids, const char *word, const char *set,
		   struct pf_error *err)
{
	bool whole = strcmp(word, "last") == 0 || strcmp(word, set) == 0;
	int r = add(&t->sets, set, err);

	for (size_t i = 0; i < ids->count && r == 0; i++) {
		if (of_box(ids->items[i], set, strlen(set)))
			r = add(&t->longs, ids->items[i], err);
		else if (!whole && pf_has_prefix(ids->items[i], word))
			r = pf_fail(
				err, -ENOTUNIQ,
				"'%.60s' begins a change set and an output of another sandbox; write more "
				"of the id",
				word);
	}
	return r;
}

static int resolve_one(struct todo *t, const struct pf_list *ids, const char *word, struct pf_error *err)
{
	struct pf_changeset set;
	struct pf_error other = {0};
	int r = pf_cli_load(t->changes, &t->dirs, word, &set, err);

	if (r == 0) {
		r = add_set(t, ids, word, set.id, err);
		pf_change_free(&set);
		return r;
	}
	if (r != -ENOENT || !*word)
		return r;
	r = add_outputs(t, ids, word, &other);
	if (r == -ENOENT && strchr(word, '.'))
		pf_fail(err, r, "no output '%.60s' is kept", word);
	else if (r != -ENOENT)
		*err = other;
	return r;
}

static int resolve(struct todo *t, char *const *words, size_t count, struct pf_error *err)
{
	struct pf_list ids = {0};
	int r = t->outputs < 0 ? 0 : pf_outputs_list(t->outputs, &ids, err);

	for (size_t i = 0; i < count && r == 0; i++)
		r = resolve_one(t, &ids, words[i], err);
	pf_list_free(&ids);
	return r;
}

static int drop_set(const struct todo *t, const char *id)
{
	struct pf_error err = {0};
	char note[PF_ERROR_MAX];
	struct pf_changeset set;
	int code, r = t->force ? pf_change_counts(t->changes, id, &set, &err) : -ENOENT;

	note[0] = '\0';
	if (r == 0) { /* one that is half applied is taken back out of the workspace */
		r = set.half_applied ? pf_live_none_within(&t->dirs, set.workspace, &err) : 0;
		pf_change_free(&set);
		if (r < 0)
			return pf_cli_fail(&err);
	}
	code = pf_change_drop(t->changes, id, t->force, note, &err) < 0 ? pf_cli_fail(&err) : 0;
	if (note[0]) {
		PF_AUTO_BUF struct pf_buf shown = {0};

		pf_cli_name(&shown, note);
		pf_cli_say("%s: %s", id, shown.data ? shown.data : "");
	}
	return code;
}

/* What can be dropped is, whatever becomes of the rest. */
static int drop_all_of(const struct todo *t, size_t *dropped)
{
	struct pf_error err = {0};
	int code = 0;

	*dropped = 0;
	for (size_t i = 0; i < t->sets.count; i++) {
		int one = drop_set(t, t->sets.items[i]);

		code = one ? one : code;
		*dropped += one == 0;
	}
	for (size_t i = 0; i < t->longs.count; i++) {
		if (pf_outputs_drop(t->outputs, t->longs.items[i], &err) < 0)
			code = pf_cli_fail(&err);
		else
			++*dropped;
	}
	return code;
}

static int drop_named(char *const *words, size_t count, bool force)
{
	struct pf_error err = {0};
	struct todo t;
	size_t dropped;
	int code;

	if (todo_open(&t, force, &err) < 0 || resolve(&t, words, count, &err) < 0)
		code = pf_cli_fail(&err);
	else
		code = drop_all_of(&t, &dropped);
	todo_free(&t);
	return code;
}

/* By their names alone, so that those that cannot be read go too. */
static int drop_all(bool force)
{
	struct pf_error err = {0};
	struct todo t;
	size_t dropped;
	int code;

	if (todo_open(&t, force, &err) < 0 || pf_change_list(t.changes, &t.sets, &err) < 0 ||
	    (t.outputs >= 0 && pf_outputs_list(t.outputs, &t.longs, &err) < 0)) {
		code = pf_cli_fail(&err);
	} else {
		code = drop_all_of(&t, &dropped);
		pf_cli_say("%zu dropped", dropped);
	}
	todo_free(&t);
	return code;
}

static int drop_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_error err = {0};
	struct pf_arg arg;
	bool help = false, all = false, force = false;
	int r;

	while ((r = pf_args_next(&args, &arg, &err)) == 1) {
		if (arg.own == &opts[OPT_ALL])
			all = true;
		else if (arg.own == &opts[OPT_FORCE])
			force = true;
		else
			help = true;
	}
	if (help)
		return pf_cli_help(&pf_verb_drop);
	if (r == 0 && all && args.words)
		r = pf_fail(&err, -EINVAL, "--all, or what is kept by its ids");
	if (r == 0 && !all && args.words == 0)
		r = pf_fail(&err, -EINVAL,
			    "what? \"pinfold ls\" lists it; \"last\" is the newest change set");
	if (r < 0)
		return pf_cli_misuse(&pf_verb_drop, &err);
	return all ? drop_all(force) : drop_named(argv, (size_t)args.words, force);
}

const struct pf_verb pf_verb_drop = {
	.name = "drop",
	.summary = "forget a sandbox's changes and long outputs",
	.usage = "drop [--force] ID...\ndrop [--force] --all\n",
	.text = "ID is a change set of \"pinfold ls\", the beginning of one, or \"last\", and the long "
		"outputs of "
		"its\n"
		"sandbox go with it; or it is an output. The workspace is not touched. A set that is half "
		"applied is refused;\n"
		"with --force what was staged for it is removed, and what was written stays.",
	.opts = opts,
	.main = drop_main,
	.words = PF_WORDS_KEPT,
};
