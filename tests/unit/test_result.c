/* SPDX-License-Identifier: Apache-2.0 */
/* Results: the JSON against docs/result.schema.json's own lists of fields, ownership, exit codes, signal
 * names. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/json.h"
#include "sandbox/result_net.h"

#include "pinfold.h"

/* --- a result with everything in it ---------------------------------------------------- */

static void fill_receipt(struct pf_receipt *r)
{
	static char tmp[] = "/usr", none[] = "";
	struct pf_msg_ready *m = &r->inside.ready;

	r->tier = "container";
	r->why = "auto";
	r->kernel = strdup("Linux 6.18.44");
	r->inside.valid = r->outside.valid = r->agree = true;
	m->uid = m->gid = 1000;
	m->ns[0] = 4026531837;
	m->try_count = 3;
	m->tries[0].attempt = PF_TRY_SOCKET_UNIX;
	m->tries[0].detail = none;
	m->tries[1].attempt = PF_TRY_WRITE_READONLY;
	m->tries[1].err = EROFS;
	m->tries[1].detail = tmp;
	m->tries[2].attempt = PF_TRY_BPF;
	m->tries[2].err = 12345;
	m->tries[2].detail = none;
	r->outside.pid = 4711;
	r->outside.cap_bnd = 1 | 1ull << 63;
	r->outside.ns[0] = 4026531837;
	r->outside.ns_own[0] = true;
	r->outside.cgroup = strdup("/pinfold-x/box/execs/1");
	r->outside.memory_max = 1 << 30;
	r->outside.cpu_milli = 1500;
	r->outside.root_fs = strdup("overlay");
	strcpy(r->filter, "sha256:0000000000000000000000000000000000000000000000000000000000000000");
	r->filter_source = "as given";
	strcpy(r->policy, r->filter);
	r->init_uid = "shared";
	r->limits_by = "cgroup v1";
	r->unenforced[0].limit = "cpus";
	r->unenforced[0].why = strdup("no controller");
	r->unenforced_count = 1;
	r->ws_mode = "cow";
	r->ws_upper = "tmpfs";
	r->ws_lower = "idmapped";
	r->unprotected.items = calloc(1, sizeof(char *));
	r->unprotected.items[0] = strdup("secrets: a/.env (no such directory)");
	r->unprotected.count = 1;
	r->foreign_owned = 0;
}

static void fill(struct pf_result *r)
{
	const struct pf_connection connection = {.id = 3,
						 .request = 1,
						 .target = (char *)(uintptr_t) "a.org:443",
						 .protocol = "connect",
						 .verdict = "allowed",
						 .sent = 3,
						 .received = -1,
						 .duration_ms = 0};
	static const char *const argv[] = {"printf", "a\tb", NULL};

	pf_result_init(r);
	strcpy(r->id, "20261125-abc");
	assert_int_equal(pf_result_argv(r, argv), 0);
	r->cause = PF_CAUSE_SIGNALLED;
	r->signal = SIGSEGV;
	pf_result_hit(r, "pids", 2);
	pf_result_hit(r, "oom", 1);
	pf_result_hit(r, "pids", 3);
	assert_int_equal(pf_result_deny(r, "net", "pypi.org:443", "network.default=deny", NULL), 1);
	assert_int_equal(pf_result_deny(r, "net", "pypi.org:443", "network.default=deny", NULL), 0);
	assert_int_equal(pf__result_connect(r, &connection), 1);
	pf_buf_adds(&r->out, "h\xc3\xa9");
	pf_buf_add(&r->err, "\xff\xfe", 2);
	r->out_bytes = 3;
	r->err_bytes = 2;
	strcpy(r->started_at, "2026-11-25T00:00:00.000Z");
	r->duration_ms = 12;
	r->cpu_ms = 0;
	r->usage_source = "cgroup";
	r->has_changes = true;
	r->added = 1;
	r->applied.state = PF_APPLIED_SOME;
	r->applied.entries = 3;
	r->applied.why = strdup("1 conflict");
	pf_list_add(&r->applied.conflicts, "a\xff: has changed");
	pf_list_add(&r->applied.held, ".git/hooks/x");
	fill_receipt(&r->receipt);
}

static struct pf_json_doc *to_doc(const struct pf_result *r, unsigned indent)
{
	struct pf_buf text = {0};
	struct pf_error err = {0};
	struct pf_json_doc *doc;

	assert_int_equal(pf_result_json(r, indent, &text), 0);
	if (indent == 0)
		assert_null(strchr(text.data, '\n'));
	if (pf_json_parse(text.data, text.len, 0, &doc, &err) < 0)
		fail_msg("%s", err.msg);
	pf_buf_free(&text);
	return doc;
}

/* --- the schema -------------------------------------------------------------------------- */

static struct pf_json_doc *load_schema(void)
{
	struct pf_buf text = {0};
	struct pf_error err = {0};
	struct pf_json_doc *doc;

	if (pf_read_file(AT_FDCWD, "docs/result.schema.json", &text, 1 << 20) < 0)
		fail_msg("docs/result.schema.json cannot be read; unit tests run in the repository's root");
	if (pf_json_parse(text.data, text.len, 0, &doc, &err) < 0)
		fail_msg("schema: %s", err.msg);
	pf_buf_free(&text);
	return doc;
}

/* $ref, and the object's branch of anyOf. */
static const struct pf_json *resolve(const struct pf_json *root, const struct pf_json *s, bool want_object)
{
	const struct pf_json *ref, *any = pf_json_get(s, "anyOf");

	if (any)
		s = want_object ? any->list.first : any->list.first->next;
	ref = pf_json_get(s, "$ref");
	if (ref)
		s = pf_json_get(pf_json_get(root, "$defs"), ref->str.s + strlen("#/$defs/"));
	return s;
}

static bool type_allowed(const struct pf_json *schema, const char *name)
{
	const struct pf_json *t = pf_json_get(schema, "type");

	if (!t) /* const and enum */
		return true;
	if (t->type == PF_JSON_STRING)
		return strcmp(t->str.s, name) == 0 ||
		       (strcmp(t->str.s, "number") == 0 && strcmp(name, "integer") == 0);
	for (t = t->list.first; t; t = t->next) {
		if (strcmp(t->str.s, name) == 0 ||
		    (strcmp(t->str.s, "number") == 0 && strcmp(name, "integer") == 0))
			return true;
	}
	return false;
}

static void check(const struct pf_json *root, const struct pf_json *schema, const struct pf_json *v,
		  const char *where)
{
	static const char *const names[] = {"null",   "boolean", "integer", "number",
					    "string", "array",	 "object"};
	const struct pf_json *props, *child;
	size_t n = 0;

	schema = resolve(root, schema, v->type != PF_JSON_NULL);
	if (!type_allowed(schema, names[v->type]))
		fail_msg("%s: %s is not allowed here", where, names[v->type]);
	if (v->type == PF_JSON_ARRAY && pf_json_get(schema, "items")) {
		for (child = v->list.first; child; child = child->next)
			check(root, pf_json_get(schema, "items"), child, where);
	}
	if (v->type != PF_JSON_OBJECT)
		return;
	props = pf_json_get(schema, "properties");
	for (child = v->list.first; child; child = child->next, n++) {
		if (!pf_json_get(props, child->key))
			fail_msg("%s has \"%s\", which the schema does not know", where, child->key);
		check(root, pf_json_get(props, child->key), child, child->key);
	}
	assert_int_equal(pf_json_get(schema, "required")->list.count, props->list.count);
	if (n != props->list.count)
		fail_msg("%s has %zu members, the schema %zu", where, n, props->list.count);
}

static void check_schema(const struct pf_result *r)
{
	struct pf_json_doc *schema = load_schema(), *doc = to_doc(r, 0);

	check(pf_json_root(schema), pf_json_root(schema), pf_json_root(doc), "the result");
	pf_json_free(doc);
	pf_json_free(schema);
}

static void test_schema_full(void **state)
{
	struct pf_result r;

	(void)state;
	fill(&r);
	check_schema(&r);
	pf_result_free(&r);
}

static void test_schema_empty(void **state)
{
	struct pf_result r;

	(void)state;
	pf_result_init(&r);
	r.cause = PF_CAUSE_ERROR;
	check_schema(&r);
	r.receipt.tier = "container"; /* a receipt that knows nothing else */
	check_schema(&r);
	pf_result_free(&r);
}

/* --- values -------------------------------------------------------------------------------- */

static const struct pf_json *at(const struct pf_json_doc *doc, const char *a, const char *b)
{
	const struct pf_json *v = pf_json_get(pf_json_root(doc), a);

	return b ? pf_json_get(v, b) : v;
}

static void test_unknown_is_null(void **state)
{
	static const char *const null_fields[] = {
		"id",	       "tier",	  "exit_code", "signal", "error",   "started_at",
		"duration_ms", "changes", "policy",    "image",	 "receipt", "secrets_in_changes"};
	struct pf_json_doc *doc;
	struct pf_result r;

	(void)state;
	pf_result_init(&r);
	doc = to_doc(&r, 2);
	for (size_t i = 0; i < sizeof(null_fields) / sizeof(null_fields[0]); i++)
		assert_int_equal(at(doc, null_fields[i], NULL)->type, PF_JSON_NULL);
	assert_int_equal(at(doc, "usage", "cpu_ms")->type, PF_JSON_NULL);
	assert_int_equal(at(doc, "stdout_bytes", NULL)->i, 0);
	pf_json_free(doc);
	pf_result_free(&r);
}

static void test_values(void **state)
{
	const struct pf_json *v;
	struct pf_json_doc *doc;
	struct pf_result r;

	(void)state;
	fill(&r);
	doc = to_doc(&r, 2);
	assert_string_equal(at(doc, "signal", NULL)->str.s, "SIGSEGV");
	assert_int_equal(at(doc, "exit_code", NULL)->type, PF_JSON_NULL);
	assert_string_equal(at(doc, "stdout", NULL)->str.s, "h\xc3\xa9");
	assert_string_equal(at(doc, "stdout_encoding", NULL)->str.s, "utf-8");
	assert_string_equal(at(doc, "stderr", NULL)->str.s, "//4=");
	assert_string_equal(at(doc, "stderr_encoding", NULL)->str.s, "base64");
	v = at(doc, "limits_hit", NULL);
	assert_int_equal(v->list.count, 2);
	assert_int_equal(pf_json_get(v->list.first, "count")->i, 5);
	assert_int_equal(at(doc, "usage", "cpu_ms")->i, 0);
	assert_int_equal(at(doc, "changes", "id")->type, PF_JSON_NULL);
	v = pf_json_get(at(doc, "receipt", "inside"), "attempts");
	assert_int_equal(v->list.count, 3);
	assert_true(pf_json_get(v->list.first, "succeeded")->b);
	v = v->list.first->next;
	assert_string_equal(pf_json_get(v, "error")->str.s, "EROFS");
	assert_string_equal(pf_json_get(v, "detail")->str.s, "/usr");
	assert_string_equal(pf_json_get(v->next, "error")->str.s, "errno 12345");
	v = pf_json_get(pf_json_get(at(doc, "receipt", "outside"), "capabilities"), "bounding");
	assert_int_equal(v->list.count, 2);
	assert_string_equal(v->list.first->str.s, "chown");
	assert_string_equal(v->list.first->next->str.s, "cap_63");
	pf_json_free(doc);
	pf_result_free(&r);
}

static void test_nul_in_output(void **state)
{
	struct pf_buf text = {0};
	struct pf_result r;

	(void)state;
	pf_result_init(&r); /* our own reader refuses NUL in strings, but commands write it */
	pf_buf_add(&r.out, "h\0i", 3);
	pf_result_json(&r, 0, &text);
	assert_non_null(strstr(text.data, "\"stdout\":\"h\\u0000i\""));
	pf_buf_free(&text);
	pf_result_free(&r);
}

/* --- ownership: the sanitizers judge --------------------------------------------------------- */

static void test_take(void **state)
{
	struct pf_result from, to;
	char *tier = strdup("container"), *before, *after;

	(void)state;
	fill(&from);
	from.receipt.tier = tier; /* the sandbox's, and gone before the result is */
	before = pf_result_to_json(&from, 0);
	assert_int_equal(pf_result_take(&to, &from), 0);
	assert_int_equal(from.argv.count, 0);
	pf_result_free(&from);
	memset(tier, 'x', strlen(tier));
	free(tier);
	after = pf_result_to_json(&to, 0);
	assert_string_equal(before, after);
	free(before);
	free(after);
	pf_result_free(&to);
}

static void test_receipt_copy(void **state)
{
	struct pf_result from, to;
	char *before, *after;

	(void)state;
	fill(&from);
	pf_result_init(&to);
	assert_int_equal(pf_receipt_copy(&to.receipt, &from.receipt), 0);
	pf_receipt_free(&to.receipt);
	assert_int_equal(pf_receipt_copy(&to.receipt, &from.receipt), 0);
	pf_result_free(&from);
	pf_receipt_free(&from.receipt);
	before = pf_result_to_json(&to, 0);
	assert_non_null(strstr(before, "secrets: a/.env"));
	assert_non_null(strstr(before, "\"limits_by\":\"cgroup v1\""));
	assert_int_equal(pf_result_take(&from, &to), 0);
	after = pf_result_to_json(&from, 0);
	assert_string_equal(before, after);
	free(before);
	free(after);
	pf_result_free(&from);
}

static void test_denials_are_bounded(void **state)
{
	struct pf_result r;

	(void)state;
	pf_result_init(&r);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pf_result_deny(&r, "path", "/x", "r", "h"), i == 0);
	assert_int_equal(r.denial_count, 1);
	assert_int_equal(r.denials[0].count, 1000);
	for (int i = 0; i < 1000; i++) {
		char target[16];

		snprintf(target, sizeof(target), "/%d", i);
		assert_int_equal(pf_result_deny(&r, "path", target, NULL, NULL), i < 255);
		assert_int_equal(pf__result_connect(&r, &(struct pf_connection){.id = (uint64_t)i}), i < 256);
	}
	assert_int_equal(r.denial_count, 256);
	assert_int_equal(r.denials_left_out, 745);
	assert_int_equal(r.connection_count, 256);
	assert_int_equal(r.connections_left_out, 744);
	pf_result_free(&r);
	pf_result_destroy(NULL);
}

/* --- codes and names --------------------------------------------------------------------------- */

static void test_cli_codes(void **state)
{
	static const struct {
		enum pf_cause cause;
		int exit_code, signal, code;
	} table[] = {
		{PF_CAUSE_EXITED, 0, 0, 0},
		{PF_CAUSE_EXITED, 127, 0, 127},
		{PF_CAUSE_SIGNALLED, -1, SIGSEGV, 139},
		{PF_CAUSE_TIMEOUT, -1, SIGKILL, 124},
		{PF_CAUSE_IDLE_TIMEOUT, -1, SIGKILL, 124},
		{PF_CAUSE_OUTPUT_LIMIT, -1, SIGKILL, 124},
		{PF_CAUSE_OOM, -1, SIGKILL, 137},
		{PF_CAUSE_PIDS, 2, 0, 2},
		{PF_CAUSE_DISK_LIMIT, 1, 0, 1},
		{PF_CAUSE_KILLED, -1, SIGKILL, 137},
		{PF_CAUSE_DENIED, -1, 0, 126},
		{PF_CAUSE_BOUNDARY, -1, 0, 125},
		{PF_CAUSE_ERROR, -1, 0, 125},
		{PF_CAUSE_NONE, -1, 0, 125},
	};
	struct pf_result r;

	(void)state;
	pf_result_init(&r);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		r.cause = table[i].cause;
		r.exit_code = table[i].exit_code;
		r.signal = table[i].signal;
		assert_int_equal(pf_result_cli_code(&r), table[i].code);
	}
	assert_string_equal(pf_cause_name(PF_CAUSE_DISK_LIMIT), "disk_limit");
	assert_string_equal(pf_cause_name((enum pf_cause)99), "error");
}

static void test_signal_names(void **state)
{
	char buf[16];

	(void)state;
	assert_string_equal(pf_signal_name(9, buf), "SIGKILL");
	assert_string_equal(pf_signal_name(31, buf), "SIGSYS");
	assert_string_equal(pf_signal_name(34, buf), "SIGRTMIN");
	assert_string_equal(pf_signal_name(37, buf), "SIGRTMIN+3");
	assert_string_equal(pf_signal_name(64, buf), "SIGRTMIN+30");
	assert_string_equal(pf_signal_name(32, buf), "SIG32");
	assert_string_equal(pf_signal_name(0, buf), "SIG0");
	assert_string_equal(pf_signal_name(-5, buf), "SIG-5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schema_full),	cmocka_unit_test(test_schema_empty),
		cmocka_unit_test(test_unknown_is_null), cmocka_unit_test(test_values),
		cmocka_unit_test(test_nul_in_output),	cmocka_unit_test(test_take),
		cmocka_unit_test(test_receipt_copy),	cmocka_unit_test(test_denials_are_bounded),
		cmocka_unit_test(test_cli_codes),	cmocka_unit_test(test_signal_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
