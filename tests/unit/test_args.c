/* SPDX-License-Identifier: Apache-2.0 */
/* The option parser of the program: forms, ends, near misses, help. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* cli/ is the program and no part of the library: its parser comes in as text. */
#include "cli/args.c"

enum { FLAG, VALUE, MAYBE };

static const struct pf_opt opts[] = {
	[FLAG] = {"interactive", 'i', PF_OPT_FLAG, NULL, "a flag"},
	[VALUE] = {"name", 'n', PF_OPT_VALUE, "NAME", "a value"},
	[MAYBE] = {"json", 'j', PF_OPT_MAYBE, "stream", "perhaps a value"},
	{NULL, 0, PF_OPT_FLAG, NULL, NULL},
};

static char *words[16];

static struct pf_args parse(bool policy, bool between, int n, ...)
{
	va_list ap;

	va_start(ap, n);
	for (int i = 0; i < n; i++)
		words[i] = va_arg(ap, char *);
	words[n] = NULL;
	va_end(ap);
	return (struct pf_args){.argv = words, .own = opts, .policy = policy, .words_between = between};
}

static void expect(struct pf_args *a, int opt, const char *value)
{
	struct pf_error err = {0};
	struct pf_arg arg;

	assert_int_equal(pf_args_next(a, &arg, &err), 1);
	assert_ptr_equal(arg.own, &opts[opt]);
	assert_null(arg.policy);
	if (value)
		assert_string_equal(arg.value, value);
	else
		assert_null(arg.value);
}

static void expect_policy(struct pf_args *a, const char *name, const char *value)
{
	struct pf_error err = {0};
	struct pf_arg arg;

	assert_int_equal(pf_args_next(a, &arg, &err), 1);
	assert_null(arg.own);
	assert_string_equal(arg.policy->name, name);
	assert_string_equal(arg.value, value);
}

static void expect_end(struct pf_args *a, int next)
{
	struct pf_error err = {0};
	struct pf_arg arg;

	assert_int_equal(pf_args_next(a, &arg, &err), 0);
	assert_int_equal(pf_args_next(a, &arg, &err), 0); /* and stays there */
	assert_int_equal(a->next, next);
}

static void expect_error(struct pf_args *a, const char *part)
{
	struct pf_error err = {0};
	struct pf_arg arg;

	assert_int_equal(pf_args_next(a, &arg, &err), -EINVAL);
	if (!strstr(err.msg, part))
		fail_msg("\"%s\" is not in \"%s\"", part, err.msg);
}

static void test_forms(void **state)
{
	struct pf_args a = parse(false, false, 8, "--name", "x", "--name=y", "-n", "z", "-nw",
				 "--name=", "--json=stream");

	(void)state;
	expect(&a, VALUE, "x");
	expect(&a, VALUE, "y");
	expect(&a, VALUE, "z");
	expect(&a, VALUE, "w");
	expect(&a, VALUE, "");
	expect(&a, MAYBE, "stream");
	expect_end(&a, 8);
}

static void test_maybe_takes_no_next_word(void **state)
{
	struct pf_args a = parse(false, false, 2, "--json", "stream");

	(void)state;
	expect(&a, MAYBE, NULL);
	expect_end(&a, 1);
}

static void test_cluster(void **state)
{
	struct pf_args a = parse(false, false, 3, "-ijin", "v", "-in=v");

	(void)state;
	expect(&a, FLAG, NULL);
	expect(&a, MAYBE, NULL);
	expect(&a, FLAG, NULL);
	expect(&a, VALUE, "v");
	expect(&a, FLAG, NULL);
	expect(&a, VALUE, "=v"); /* as getopt(3) */
	expect_end(&a, 3);
}

static void test_options_end_at_first_word(void **state)
{
	struct pf_args a = parse(false, false, 4, "-i", "echo", "-i", "--bogus");

	(void)state;
	expect(&a, FLAG, NULL);
	expect_end(&a, 1);
}

static void test_dashes_end_options(void **state)
{
	struct pf_args a = parse(false, false, 3, "-i", "--", "-n");

	(void)state;
	expect(&a, FLAG, NULL);
	expect_end(&a, 2);
}

static void test_single_dash_is_a_word(void **state)
{
	struct pf_args a = parse(false, false, 2, "-", "-i");

	(void)state;
	expect_end(&a, 0);
}

static void test_words_between(void **state)
{
	struct pf_args a = parse(false, true, 7, "one", "-n", "v", "two", "--", "-i", "--");

	(void)state;
	expect(&a, VALUE, "v");
	expect_end(&a, 7);
	assert_int_equal(a.words, 4);
	assert_string_equal(words[0], "one");
	assert_string_equal(words[1], "two");
	assert_string_equal(words[2], "-i");
	assert_string_equal(words[3], "--");
	assert_null(words[4]);
}

static void test_policy_options(void **state)
{
	struct pf_args a =
		parse(true, false, 7, "--memory", "1G", "-e", "A=B", "-w/tmp", "--user=root", "true");

	(void)state;
	expect_policy(&a, "memory", "1G");
	expect_policy(&a, "env", "A=B");
	expect_policy(&a, "cwd", "/tmp");
	expect_policy(&a, "user", "root");
	expect_end(&a, 6);
}

static void test_errors(void **state)
{
	struct pf_args a;

	(void)state;
	a = parse(true, false, 1, "--memroy=1G");
	expect_error(&a, "there is no option --memroy; did you mean --memory?");
	a = parse(true, false, 1, "--proc");
	expect_error(&a, "did you mean --processes?");
	a = parse(false, false, 1, "--memory");
	expect_error(&a, "there is no option --memory");
	a = parse(true, false, 1, "--qqqqqq");
	expect_error(&a, "there is no option --qqqqqq");
	a = parse(true, false, 2, "-v", "/a:/b");
	expect_error(&a, "--workspace");
	a = parse(true, false, 1, "--network=none");
	expect_error(&a, "--allow HOST:PORT");
	a = parse(true, false, 1, "--name");
	expect_error(&a, "--name needs a value");
	a = parse(true, false, 1, "-in");
	expect(&a, FLAG, NULL);
	expect_error(&a, "-n needs a value");
	a = parse(true, false, 1, "--interactive=1");
	expect_error(&a, "takes no value");
	a = parse(true, false, 1, "-z");
	expect_error(&a, "there is no option -z");
	a = parse(true, false, 1, "--\x1b[31m");
	expect_error(&a, "\\x1b[31m");
}

/* After an error the rest can still be read: run looks for --json there. */
static void test_goes_on_after_error(void **state)
{
	struct pf_args a = parse(false, false, 3, "-zi", "--bogus", "--json");

	(void)state;
	expect_error(&a, "-z");
	expect_error(&a, "--bogus");
	expect(&a, MAYBE, NULL);
	expect_end(&a, 3);
}

static void test_every_policy_option_is_known_to_the_api(void **state)
{
	(void)state;
	for (const struct pf_policy_opt *o = pf_policy_opts; o->name; o++) {
		char text[64];
		struct pf_args a;

		snprintf(text, sizeof(text), "--%s=x", o->name);
		a = parse(true, false, 1, text);
		expect_policy(&a, o->name, "x");
		assert_non_null(o->set);
		assert_non_null(o->help);
		/* no letter twice, none of ours */
		for (const struct pf_policy_opt *p = o + 1; p->name; p++)
			assert_true(!o->letter || o->letter != p->letter);
	}
}

static void test_help(void **state)
{
	struct pf_buf out = {0};

	(void)state;
	pf_args_help(opts, true, &out);
	assert_false(out.failed);
	assert_non_null(strstr(out.data, "  -i, --interactive             a flag\n"));
	assert_non_null(strstr(out.data, "  -j, --json[=stream]           perhaps a value\n"));
	for (const struct pf_policy_opt *o = pf_policy_opts; o->name; o++)
		assert_non_null(strstr(out.data, o->name));
	pf_buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_maybe_takes_no_next_word),
		cmocka_unit_test(test_cluster),
		cmocka_unit_test(test_options_end_at_first_word),
		cmocka_unit_test(test_dashes_end_options),
		cmocka_unit_test(test_single_dash_is_a_word),
		cmocka_unit_test(test_words_between),
		cmocka_unit_test(test_policy_options),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_goes_on_after_error),
		cmocka_unit_test(test_every_policy_option_is_known_to_the_api),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
