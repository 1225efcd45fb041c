/* SPDX-License-Identifier: Apache-2.0 */
/* guard/command: plans, and verdicts that need more than a line. The corpora are in tests/guard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guard/command.h"

static void every_rule_holds_its_examples(void **state)
{
	struct pf_error err = {0};

	(void)state;
	if (pf_command_rules_check(&err) < 0)
		fail_msg("%s", err.msg);
}

static struct pf_command_plan plan_of(const char *line)
{
	struct pf_command_plan plan = {0};
	struct pf_error err = {0};

	if (pf_command_parse(line, strlen(line), &plan, &err) < 0)
		fail_msg("%s: %s", line, err.msg);
	return plan;
}

static void a_plan_has_all_of_the_line(void **state)
{
	struct pf_command_plan p =
		plan_of("A=1 B='x y' cmd a\\ b \"c$d\" *.c '*' 2>err.txt <in | t >> o 2>&1 && u; v # w");
	const struct pf_command_vector *v = p.vectors;

	(void)state;
	assert_int_equal(p.vector_count, 4);
	assert_false(p.compound);
	assert_int_equal(v[0].assign_count, 2);
	assert_string_equal(v[0].assigns[1].text, "B=x y");
	assert_int_equal(v[0].word_count, 5);
	assert_string_equal(v[0].words[1].text, "a b");
	assert_int_equal(v[0].words[1].expand, 0);
	assert_string_equal(v[0].words[2].text, "c$d");
	assert_int_equal(v[0].words[2].expand, PF_WORD_VAR);
	assert_int_equal(v[0].words[3].expand, PF_WORD_GLOB);
	assert_string_equal(v[0].words[3].pattern, "*.c");
	assert_int_equal(v[0].words[4].expand, 0);
	assert_int_equal(v[0].redir_count, 2);
	assert_int_equal(v[0].redirs[0].fd, 2);
	assert_int_equal(v[0].redirs[0].kind, PF_REDIR_WRITE);
	assert_int_equal(v[0].redirs[1].kind, PF_REDIR_READ);
	assert_int_equal(v[0].then, PF_THEN_PIPE);
	assert_int_equal(v[1].redirs[0].kind, PF_REDIR_APPEND);
	assert_int_equal(v[1].redirs[1].kind, PF_REDIR_DUP);
	assert_int_equal(v[1].redirs[1].from, 1);
	assert_int_equal(v[1].then, PF_THEN_AND);
	assert_int_equal(v[2].then, PF_THEN_SEQ);
	assert_int_equal(v[3].then, PF_THEN_END);
	pf_command_plan_free(&p);
}

static void patterns_keep_what_was_quoted(void **state)
{
	struct pf_command_plan p = plan_of("x '*'*\"?\"\\[a[b-c]");

	(void)state;
	assert_string_equal(p.vectors[0].words[1].text, "**?[a[b-c]");
	assert_string_equal(p.vectors[0].words[1].pattern, "\\**\\?\\[a[b-c]");
	pf_command_plan_free(&p);
}

/* The line as init gets it, tokens joined by blanks; "" where a shell must run it. */
static void assert_tokens(const char *line, const char *expected)
{
	struct pf_command_plan p = plan_of(line);
	struct pf_list tokens = {0};
	char all[512] = "";

	if (pf_command_tokens(&p, &tokens) < 0)
		assert_int_equal(tokens.count, 0);
	for (size_t i = 0; i < tokens.count; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? " " : "", tokens.items[i]);
	if (strcmp(all, expected) != 0)
		fail_msg("%s: %s", line, all);
	pf_list_free(&tokens);
	pf_command_plan_free(&p);
}

static void init_runs_what_is_plain(void **state)
{
	(void)state;
	assert_tokens("a 'b c' | d || e; f && g", "wa wb c | wd / we ; wf & wg");
	assert_tokens("A=1 a <i 2>&1 >>o 2>e", "aA=1 wa <0i d21 +1o >2e");
	assert_tokens("cat <<E\nx\nE", "wcat t0x\n");
	assert_tokens("cd a && echo -n b", "wcd wa & wecho w-n wb");
	assert_tokens("echo '$x' '*' > f", "wecho w$x w* >1f");
	assert_tokens("exit 3; true; :; false", "wexit w3 ; wtrue ; w: ; wfalse");
}

static void the_rest_is_the_shell_s(void **state)
{
	static const char *const lines[] = {
		"echo $x",    "ls *.c",	       "ls ~",	   "if a; then b; fi",
		"test -f a",  "[ -f a ]",      "printf a", "echo 'a\\b'",
		"echo -e a",  "echo -n -n a",  "cd",	   "cd -",
		"cd a/..",    "cd a | b",      "x | cd a", "exit a",
		"exit 256",   "exit 1 2",      "PATH=a b", "IFS=a b",
		"X=1 echo a", ": > a",	       "true > a", "exec ls",
		"eval ls",    "command -v ls", "time ls",  ". a",
		"cd a > b",   "'' a",	       "A=$b c",   "kill 1",
		"read x",     "umask 0",       "type ls",  "which ls",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_tokens(lines[i], "");
}

static void a_here_document_is_data(void **state)
{
	struct pf_command_plan p = plan_of("cat > a <<'E'\n$(x)\n`y`\nE\nls");

	(void)state;
	assert_int_equal(p.vector_count, 2);
	assert_int_equal(p.vectors[0].redirs[1].kind, PF_REDIR_TEXT);
	assert_string_equal(p.vectors[0].redirs[1].target.text, "$(x)\n`y`\n");
	pf_command_plan_free(&p);
}

static void a_failure_leaves_the_plan(void **state)
{
	struct pf_command_plan plan = {.word_count = 7};
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf_command_parse("ls $(x)", 7, &plan, &err), -ENOTSUP);
	assert_int_equal(plan.word_count, 7);
	assert_int_equal(pf_command_parse("ls\0x", 4, &plan, &err), -ENOTSUP);
	assert_int_equal(pf_command_parse("", 0, &plan, &err), -ENOTSUP);
}

static enum pf_path_where inside(void *user, const char *cwd, const char *path)
{
	(void)user;
	(void)cwd;
	(void)path;
	return PF_PATH_INSIDE;
}

static struct pf_command_verdict verdict_of(const struct pf_command_places *places, const char *line)
{
	struct pf_command_policy policy;
	struct pf_command_verdict v;
	struct pf_error err = {0};

	pf_command_policy_defaults(&policy);
	assert_int_equal(pf_command_judge(&policy, places, line, strlen(line), &v, NULL, &err), 0);
	return v;
}

static bool wrote_x(void *user, const char *cwd, const char *path)
{
	(void)user;
	return strstr(path, "x.py") && (strstr(path, "tools/") || strcmp(cwd, "tools") == 0);
}

static void what_the_session_wrote_is_said_so(void **state)
{
	static const char *const said[] = {"python3 ./tools/x.py", "./tools/x.py", "cd tools && ./x.py",
					   "ls; timeout 5 ./tools/x.py"};
	static const char *const unsaid[] = {"python3 tools/y.py", "./x.py", "cat tools/x.py"};
	struct pf_command_places places = {.resolve = inside, .written = wrote_x};

	(void)state;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		struct pf_command_verdict v = verdict_of(&places, said[i]);

		if (!v.would_allow || !strstr(v.written, "x.py") ||
		    !strstr(v.reason, "written by the sandbox"))
			fail_msg("%s: %s", said[i], v.reason);
	}
	for (size_t i = 0; i < sizeof(unsaid) / sizeof(unsaid[0]); i++)
		assert_string_equal(verdict_of(&places, unsaid[i]).written, "");
	assert_string_equal(verdict_of(&places, "./tools/x.py; curl x").written, "");
	assert_int_equal(verdict_of(&places, "echo x > a.py; python3 a.py").verdict, PF_VERDICT_ASK);
}

static void without_places_no_path_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(NULL, "echo a").verdict, PF_VERDICT_ALLOW);
	assert_int_equal(verdict_of(NULL, "cat a.txt").verdict, PF_VERDICT_ASK);
	assert_int_equal(verdict_of(NULL, "ls *.c").verdict, PF_VERDICT_ASK);
	assert_int_equal(verdict_of(NULL, "echo a > a.txt").verdict, PF_VERDICT_ASK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_holds_its_examples),
		cmocka_unit_test(a_plan_has_all_of_the_line),
		cmocka_unit_test(patterns_keep_what_was_quoted),
		cmocka_unit_test(init_runs_what_is_plain),
		cmocka_unit_test(the_rest_is_the_shell_s),
		cmocka_unit_test(a_here_document_is_data),
		cmocka_unit_test(a_failure_leaves_the_plan),
		cmocka_unit_test(what_the_session_wrote_is_said_so),
		cmocka_unit_test(without_places_no_path_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
