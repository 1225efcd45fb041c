/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a plan to what init runs without a shell (PF_OP_LINE in proto/msg.h). Only where that is the same as
 * what every sh would do with the line; the rest is the shell's: expansions, compound commands, what a shell
 * does itself, and the few operands on which shells differ.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "guard/command.h"
#include "proto/msg.h"

/* Done by init as every shell does them. */
static bool ours(const char *name)
{
	static const char *const names[] = {":", "cd", "echo", "exit", "false", "true"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* What dash, bash, busybox or zsh does itself: no program of that name does the same, or there is none. */
static bool of_a_shell(const char *name)
{
	static const char *const names[] = {
		".",	     "[",	"alias",    "bg",      "bind",	    "break",	"builtin",
		"caller",    "chdir",	"command",  "compgen", "complete",  "continue", "coproc",
		"declare",   "dirs",	"disown",   "enable",  "eval",	    "exec",	"export",
		"fc",	     "fg",	"getopts",  "hash",    "help",	    "history",	"jobs",
		"kill",	     "let",	"local",    "logout",  "mapfile",   "newgrp",	"popd",
		"printf",    "pushd",	"pwd",	    "read",    "readarray", "return",	"readonly",
		"set",	     "shift",	"shopt",    "source",  "suspend",   "test",	"time",
		"times",     "trap",	"type",	    "typeset", "ulimit",    "umask",	"unalias",
		"unset",     "wait",	"autoload", "bindkey", "disable",   "emulate",	"integer",
		"limit",     "noglob",	"print",    "pushln",  "rehash",    "sched",	"setopt",
		"unhash",    "unlimit", "vared",    "whence",  "where",	    "which",	"zmodload",
		"zparseopts"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static bool echo_is_plain(const struct pf_command_vector *v)
{
	for (size_t i = 1; i < v->word_count; i++) {
		const char *s = v->words[i].text;

		if (strchr(s, '\\') || (i == 1 && *s == '-' && strcmp(s, "-n") != 0) ||
		    (i == 2 && *s == '-' && strcmp(v->words[1].text, "-n") == 0))
			return false;
	}
	return true;
}

static bool cd_is_plain(const struct pf_command_vector *v, bool piped)
{
	const char *to = v->word_count == 2 ? v->words[1].text : "";

	return *to && *to != '-' && !strstr(to, "..") && !piped && v->then != PF_THEN_PIPE;
}

static bool exit_is_plain(const struct pf_command_vector *v)
{
	const char *n = v->word_count == 2 ? v->words[1].text : "0";

	return v->word_count <= 2 && *n && strlen(n) <= 3 && n[strspn(n, "0123456789")] == '\0' &&
	       atoi(n) <= 255;
}

static bool plain_builtin(const struct pf_command_vector *v, bool piped)
{
	const char *name = v->words[0].text;

	/* a failed redirection of a special one ends some shells, and assignments stay behind there */
	if (v->assign_count || (v->redir_count && strcmp(name, "echo") != 0))
		return false;
	if (strcmp(name, "echo") == 0)
		return echo_is_plain(v);
	if (strcmp(name, "cd") == 0)
		return cd_is_plain(v, piped);
	if (strcmp(name, "exit") == 0)
		return exit_is_plain(v);
	return true;
}

static bool plain_words(const struct pf_command_vector *v)
{
	for (size_t i = 0; i < v->word_count; i++)
		if (v->words[i].expand)
			return false;
	for (size_t i = 0; i < v->assign_count; i++)
		/* in which PATH the command is then looked up, shells do not agree; IFS means something */
		if (v->assigns[i].expand || strncmp(v->assigns[i].text, "PATH=", 5) == 0 ||
		    strncmp(v->assigns[i].text, "IFS=", 4) == 0)
			return false;
	for (size_t i = 0; i < v->redir_count; i++) {
		const struct pf_command_redir *r = &v->redirs[i];

		if (r->target.expand ||
		    (r->kind == PF_REDIR_TEXT && strlen(r->target.text) > PF_LINE_TEXT_MAX))
			return false;
	}
	return true;
}

static bool runnable(const struct pf_command_plan *plan)
{
	bool piped = false;

	if (plan->compound || plan->vector_count > PF_LINE_COMMANDS_MAX)
		return false;
	for (size_t i = 0; i < plan->vector_count; i++) {
		const struct pf_command_vector *v = &plan->vectors[i];

		if (!plain_words(v) || !*v->words[0].text || of_a_shell(v->words[0].text) ||
		    (ours(v->words[0].text) && !plain_builtin(v, piped)))
			return false;
		piped = v->then == PF_THEN_PIPE;
	}
	return true;
}

static int add_redir(struct pf_list *out, const struct pf_command_redir *r)
{
	static const char kinds[] = {
		[PF_REDIR_READ] = PF_LINE_READ,	    [PF_REDIR_WRITE] = PF_LINE_WRITE,
		[PF_REDIR_APPEND] = PF_LINE_APPEND, [PF_REDIR_DUP] = PF_LINE_DUP,
		[PF_REDIR_TEXT] = PF_LINE_TEXT,
	};

	if (r->kind == PF_REDIR_DUP)
		return pf_list_addf(out, "%c%d%d", kinds[r->kind], r->fd, r->from);
	return pf_list_addf(out, "%c%d%s", kinds[r->kind], r->fd, r->target.text);
}

static int add_vector(struct pf_list *out, const struct pf_command_vector *v)
{
	static const char joins[] = {
		[PF_THEN_PIPE] = PF_LINE_PIPE,
		[PF_THEN_AND] = PF_LINE_AND,
		[PF_THEN_OR] = PF_LINE_OR,
		[PF_THEN_SEQ] = PF_LINE_SEQ,
	};
	int r = 0;

	for (size_t i = 0; i < v->assign_count && r == 0; i++)
		r = pf_list_addf(out, "%c%s", PF_LINE_ASSIGN, v->assigns[i].text);
	for (size_t i = 0; i < v->word_count && r == 0; i++)
		r = pf_list_addf(out, "%c%s", PF_LINE_WORD, v->words[i].text);
	for (size_t i = 0; i < v->redir_count && r == 0; i++)
		r = add_redir(out, &v->redirs[i]);
	if (r == 0 && v->then != PF_THEN_END)
		r = pf_list_addf(out, "%c", joins[v->then]);
	return r;
}

int pf_command_tokens(const struct pf_command_plan *plan, struct pf_list *out)
{
	struct pf_list tokens = {0};
	int r = plan->vector_count && runnable(plan) ? 0 : -ENOTSUP;

	for (size_t i = 0; i < plan->vector_count && r == 0; i++)
		r = add_vector(&tokens, &plan->vectors[i]);
	if (r < 0) {
		pf_list_free(&tokens);
		return r;
	}
	*out = tokens;
	return 0;
}
