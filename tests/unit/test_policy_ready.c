/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands beside the code and must not drift from it: the ready policies, the schema and the
 * documentation. Runs in the root of the source tree.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "policy/policy.h"

static struct pf_policy loaded(const char *path)
{
	struct pf_error err = {0};
	struct pf_policy p;

	assert_int_equal(pf_policy_defaults(&p, &err), 0);
	if (pf_policy_load(&p, path, &err) < 0 || pf_policy_check(&p, &err) < 0)
		fail_msg("%s", err.msg);
	return p;
}

static void default_json_is_the_default(void **state)
{
	PF_AUTO_BUF struct pf_buf a = {0}, b = {0};
	struct pf_policy p = loaded("policies/default.json"), q;
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf_policy_defaults(&q, &err), 0);
	assert_int_equal(pf_policy_print(&p, 2, &a), 0);
	assert_int_equal(pf_policy_print(&q, 2, &b), 0);
	assert_string_equal(a.data, b.data);
	assert_int_equal(p.limits.written, 0);
	pf_policy_free(&p);
	pf_policy_free(&q);
}

static void tests_json_gives_room(void **state)
{
	struct pf_policy p = loaded("policies/tests.json"), q;
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf_policy_defaults(&q, &err), 0);
	assert_true(p.limits.memory > q.limits.memory);
	assert_true(p.limits.processes > q.limits.processes);
	assert_true(p.limits.wall_ms > q.limits.wall_ms);
	assert_int_equal(p.mask.count, q.mask.count);
	assert_int_equal(p.ws_mode_wanted, PF_WS_COW);
	pf_policy_free(&p);
	pf_policy_free(&q);
}

static void strict_json_requires_everything(void **state)
{
	struct pf_policy p = loaded("policies/strict.json"), q;
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf_policy_defaults(&q, &err), 0);
	for (uint32_t one = PF_REQUIRE_LIMITS; one <= PF_REQUIRE_INIT_UID; one <<= 1)
		assert_true(p.require & one);
	assert_int_equal(p.limits.written, PF_LIMIT_ALL);
	assert_true(p.mask.count > q.mask.count);
	assert_int_equal(p.protect.count, q.protect.count);
	assert_int_equal(p.ws_mode_wanted, PF_WS_RO);
	pf_policy_free(&p);
	pf_policy_free(&q);
}

static bool lists(const struct pf_policy *p, const char *name)
{
	for (size_t i = 0; i < p->commands.count; i++)
		if (strcmp(p->commands.items[i], name) == 0)
			return true;
	return false;
}

static void lists_of_programs_are_what_they_say(void **state)
{
	static const struct {
		const char *path, *has, *lacks;
		bool build;
		enum pf_ws_mode mode;
	} rows[] = {{"policies/read-only.json", "grep", "cp", false, PF_WS_RO},
		    {"policies/python-tests.json", "python3", "gcc", false, PF_WS_COW},
		    {"policies/node-tests.json", "node", "python3", false, PF_WS_COW},
		    {"policies/build.json", "gcc", "python3", true, PF_WS_COW}};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(rows); i++) {
		struct pf_policy p = loaded(rows[i].path);

		assert_true(lists(&p, rows[i].has) && lists(&p, "sh"));
		assert_false(lists(&p, rows[i].lacks));
		assert_int_equal(p.commands_build, rows[i].build);
		assert_int_equal(p.ws_mode_wanted, rows[i].mode);
		pf_policy_free(&p);
	}
}

static struct pf_json_doc *json(const char *text, size_t n)
{
	struct pf_json_doc *doc;
	struct pf_error err = {0};

	if (pf_json_parse(text, n, 0, &doc, &err) < 0)
		fail_msg("%s", err.msg);
	return doc;
}

/* Every key of the printed policy is a property of the schema, and the other way round ("$schema" apart).
 * env's keys are the user's. */
static void same_keys(const struct pf_json *printed, const struct pf_json *schema)
{
	const struct pf_json *properties = pf_json_get(schema, "properties");
	const struct pf_json *closed = pf_json_get(schema, "additionalProperties");

	if (!properties)
		return;
	assert_true(closed && closed->type == PF_JSON_BOOL && !closed->b);
	for (const struct pf_json *k = printed->list.first; k; k = k->next) {
		const struct pf_json *property = pf_json_get(properties, k->key);

		if (!property)
			fail_msg("the schema has no \"%s\"", k->key);
		if (k->type == PF_JSON_OBJECT)
			same_keys(k, property);
	}
	for (const struct pf_json *k = properties->list.first; k; k = k->next) {
		if (k->key[0] != '$' && !pf_json_get(printed, k->key))
			fail_msg("the schema has \"%s\", the policy has not", k->key);
	}
}

static void the_schema_has_every_key(void **state)
{
	PF_AUTO_BUF struct pf_buf text = {0}, file = {0};
	struct pf_json_doc *printed, *schema;
	struct pf_error err = {0};
	struct pf_policy p;

	(void)state;
	assert_int_equal(pf_policy_defaults(&p, &err), 0);
	assert_int_equal(pf_policy_print(&p, 0, &text), 0);
	assert_int_equal(pf_read_file(AT_FDCWD, "docs/policy.schema.json", &file, 1 << 20), 0);
	printed = json(text.data, text.len);
	schema = json(file.data, file.len);
	same_keys(pf_json_root(printed), pf_json_root(schema));
	pf_json_free(printed);
	pf_json_free(schema);
	pf_policy_free(&p);
}

/* "`memory` |" begins a row of a table; keys of workspace and secrets are written in full. */
static void find_rows(const struct pf_json *object, const char *prefix, const char *page)
{
	for (const struct pf_json *k = object->list.first; k; k = k->next) {
		char row[96];

		if (k->type == PF_JSON_OBJECT && strcmp(k->key, "env") != 0) {
			snprintf(row, sizeof(row), "%s%s.", prefix, k->key);
			find_rows(k, strcmp(k->key, "limits") == 0 ? "" : row, page);
			continue;
		}
		snprintf(row, sizeof(row), "| `%s%s` |", prefix, k->key);
		if (!strstr(page, row))
			fail_msg("docs/policy.md has no row \"%s\"", row);
	}
}

static void the_page_has_every_key(void **state)
{
	PF_AUTO_BUF struct pf_buf text = {0}, page = {0};
	struct pf_json_doc *printed;
	struct pf_error err = {0};
	struct pf_policy p;

	(void)state;
	assert_int_equal(pf_policy_defaults(&p, &err), 0);
	assert_int_equal(pf_policy_print(&p, 0, &text), 0);
	assert_int_equal(pf_read_file(AT_FDCWD, "docs/policy.md", &page, 1 << 20), 0);
	printed = json(text.data, text.len);
	find_rows(pf_json_root(printed), "", page.data);
	pf_json_free(printed);
	pf_policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_json_is_the_default),
		cmocka_unit_test(tests_json_gives_room),
		cmocka_unit_test(strict_json_requires_everything),
		cmocka_unit_test(lists_of_programs_are_what_they_say),
		cmocka_unit_test(the_schema_has_every_key),
		cmocka_unit_test(the_page_has_every_key),
	};

	return cmocka_run_group_tests_name("policy_ready", tests, NULL, NULL);
}
