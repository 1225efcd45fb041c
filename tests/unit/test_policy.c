/* SPDX-License-Identifier: Apache-2.0 */
/* The policy document: defaults, every key, every refusal with its line, and the way back by printing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/policy.h"

static struct pf_policy defaults(void)
{
	struct pf_error err = {0};
	struct pf_policy p;

	assert_int_equal(pf_policy_defaults(&p, &err), 0);
	return p;
}

static struct pf_policy parsed(const char *text)
{
	struct pf_policy p = defaults();
	struct pf_error err = {0};

	if (pf_policy_parse(&p, text, strlen(text), "p.json", &err) != 0)
		fail_msg("%s: %s", text, err.msg);
	return p;
}

/* The document must be refused with this in the message, and change nothing. */
static void refuse(const char *text, const char *message)
{
	struct pf_policy p = defaults();
	char before[PF_DIGEST_MAX], after[PF_DIGEST_MAX];
	struct pf_error err = {0};

	assert_int_equal(pf_policy_digest(&p, before), 0);
	if (pf_policy_parse(&p, text, strlen(text), "p.json", &err) == 0)
		fail_msg("taken: %s", text);
	if (!strstr(err.msg, message))
		fail_msg("%s: message \"%s\" has no \"%s\"", text, err.msg, message);
	assert_true(pf_has_prefix(err.msg, "p.json: line "));
	assert_true(err.code < 0);
	assert_int_equal(pf_policy_digest(&p, after), 0);
	assert_string_equal(before, after);
	pf_policy_free(&p);
}

static bool has(const struct pf_list *list, const char *s)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i], s) == 0)
			return true;
	}
	return false;
}

static void defaults_are_safe(void **state)
{
	struct pf_policy p = defaults();
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(p.tier, PF_TIER_AUTO);
	assert_int_equal(p.min_tier, PF_TIER_CONTAINER);
	assert_int_equal(p.limits.memory, 1u << 30);
	assert_int_equal(p.limits.processes, 256);
	assert_int_equal(p.limits.wall_ms, 60000);
	assert_int_equal(p.limits.output, 64u << 20);
	assert_int_equal(p.limits.output_inline, 1u << 20);
	assert_int_equal(p.limits.open_files, 1024);
	assert_int_equal(p.limits.cpu_milli, 0);
	assert_int_equal(p.limits.idle_ms, 0);
	assert_int_equal(p.limits.disk, 0);
	assert_int_equal(p.limits.written, 0);
	assert_string_equal(p.image, "host");
	assert_false(p.root_cow || p.user_root);
	assert_null(p.ws_path);
	assert_int_equal(p.ws_mode, PF_WS_NONE);
	assert_true(has(&p.mask, ".env") && has(&p.protect, ".git/hooks"));
	assert_int_equal(pf_policy_check(&p, &err), 0);
	pf_policy_free(&p);
	assert_null(p.mask.items);
}

/* What the default lists are meant to catch, and what they must leave alone. */
static bool matches(const char *const *list, const char *path)
{
	for (; *list; list++) {
		if (pf_glob_match(*list, path))
			return true;
	}
	return false;
}

static void default_mask_hides_secrets_only(void **state)
{
	static const char *const hidden[] = {
		".env",
		"web/.env",
		".env.local",
		".env.production",
		"a/b/.env.prod",
		".env.alice",
		".env.staging",
		".env.development",
		".env.test.local",
		".envrc",
		".ssh",
		"dot/.ssh",
		".aws",
		"deploy.pem",
		"id_rsa",
		"keys/id_ed25519",
		".git-credentials",
		"infra/terraform.tfstate",
		".netrc",
		".bash_history",
		"service-account-prod.json",
		"config/master.key",
		".docker/config.json",
		".kube",
	};
	static const char *const shown[] = {
		".env.example",
		"web/.env.sample",
		".env.template",
		".env.test",
		".env.dist",
		".env.defaults",
		".env.schema",
		"tests/fixtures/cert.pem",
		"venv/lib/certifi/cacert.pem",
		"tests/server.key",
		"id_rsa.pub",
		".npmrc",
		".git/config",
		"environment.py",
		"src/env.c",
		"package.json",
		".mcp.json",
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(hidden); i++) {
		if (!matches(pf_default_mask, hidden[i]))
			fail_msg("%s is shown", hidden[i]);
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(shown); i++) {
		if (matches(pf_default_mask, shown[i]))
			fail_msg("%s is hidden", shown[i]);
	}
}

static void default_protect_holds_what_runs_unasked(void **state)
{
	static const char *const held[] = {
		".git/hooks",
		".git/config",
		"vendor/x/.git/hooks",
		".git/modules/lib/deep/hooks",
		".claude",
		"CLAUDE.md",
		"sub/AGENTS.md",
		".cursor",
		".vscode",
		".idea",
		".mcp.json",
		".envrc",
		".husky",
		".github/workflows",
		".pre-commit-config.yaml",
		".gitmodules",
		".devcontainer",
		".bashrc",
		".git/config.worktree",
	};
	static const char *const free_to_change[] = {
		".git/HEAD",   ".git/index",	".git/objects",
		".gitignore",  "Makefile",	"package.json",
		"conftest.py", "README.md",	".github/ISSUE_TEMPLATE.md",
		"src/config",  "docs/.profile",
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(held); i++) {
		if (!matches(pf_default_protect, held[i]))
			fail_msg("%s is not protected", held[i]);
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(free_to_change); i++) {
		if (matches(pf_default_protect, free_to_change[i]))
			fail_msg("%s is protected", free_to_change[i]);
	}
}

static const char full[] =
	"// everything\n"
	"{ \"$schema\": \"policy.schema.json\",\n"
	"  \"tier\": \"sentry\", \"min_tier\": \"container\", \"require\": [\"limits\", \"seccomp\"],\n"
	"  \"limits\": {\"memory\": \"2G\", \"cpus\": 1.5, \"processes\": 64, \"wall_time\": \"5m\",\n"
	"    \"idle_time\": \"1.5s\", \"output\": \"10M\", \"output_inline\": 4096, \"disk\": \"512M\",\n"
	"    \"open_files\": 99},\n"
	"  \"network\": \"none\", \"root\": \"cow\", \"image\": \"host\",\n"
	"  \"tools\": [\"/opt/go/\", \"/opt/go\", \"/home/u/.cargo\"],\n"
	"  \"user\": \"root\", \"capabilities\": [\"chown\", \"setuid\"],\n"
	"  \"env\": {\"CI\": \"1\", \"LD_PRELOAD\": \"\", \"Q\": \"a=\\\"\\u00e9\\n\"},\n"
	"  \"workspace\": {\"path\": \"../x\", \"mode\": \"ro\", \"at\": \"/work//x/\"},\n"
	"  \"mounts\": [{\"from\": \"/data\", \"to\": \"/mnt/data\"}],\n"
	"  \"secrets\": {\"mask\": [\"...\", \"./deep//key\"]},\n"
	"  \"protect\": [\"only/this\"], }\n";

static void every_key_is_read(void **state)
{
	struct pf_policy p = parsed(full);
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(p.tier, PF_TIER_SENTRY);
	assert_int_equal(p.require, PF_REQUIRE_LIMITS | PF_REQUIRE_SECCOMP);
	assert_int_equal(p.limits.memory, 2ull << 30);
	assert_int_equal(p.limits.cpu_milli, 1500);
	assert_int_equal(p.limits.processes, 64);
	assert_int_equal(p.limits.wall_ms, 300000);
	assert_int_equal(p.limits.idle_ms, 1500);
	assert_int_equal(p.limits.output, 10u << 20);
	assert_int_equal(p.limits.output_inline, 4096);
	assert_int_equal(p.limits.disk, 512u << 20);
	assert_int_equal(p.limits.open_files, 99);
	assert_int_equal(p.limits.written, PF_LIMIT_ALL);
	assert_true(p.root_cow && p.user_root);
	assert_int_equal(p.tools.count, 2);
	assert_string_equal(p.tools.items[0], "/opt/go");
	assert_int_equal(p.capabilities, 1 << 0 | 1 << 7);
	assert_int_equal(p.env.count, 3);
	assert_string_equal(p.env.items[2], "Q=a=\"\xc3\xa9\n");
	assert_string_equal(p.ws_path, "../x");
	assert_int_equal(p.ws_mode, PF_WS_RO);
	assert_string_equal(p.ws_at, "/work/x");
	assert_int_equal(p.mount_count, 1);
	assert_string_equal(p.mounts[0].to, "/mnt/data");
	assert_true(has(&p.mask, ".env") && has(&p.mask, "deep/key"));
	assert_int_equal(p.protect.count, 1);
	assert_int_equal(pf_policy_check(&p, &err), 0);
	pf_policy_free(&p);
}

static void assert_same_list(const struct pf_list *a, const struct pf_list *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++)
		assert_string_equal(a->items[i], b->items[i]);
}

static void assert_same(const struct pf_policy *a, const struct pf_policy *b)
{
	assert_int_equal(a->tier, b->tier);
	assert_int_equal(a->min_tier, b->min_tier);
	assert_int_equal(a->require, b->require);
	assert_memory_equal(&a->limits, &b->limits, sizeof(a->limits));
	assert_int_equal(a->root_cow, b->root_cow);
	assert_int_equal(a->user_root, b->user_root);
	assert_int_equal(a->capabilities, b->capabilities);
	assert_string_equal(a->image, b->image);
	assert_true(pf_streq(a->user, b->user));
	assert_same_list(&a->tools, &b->tools);
	assert_same_list(&a->env, &b->env);
	assert_true(pf_streq(a->ws_path, b->ws_path));
	assert_true(pf_streq(a->ws_at, b->ws_at));
	assert_int_equal(a->ws_mode, b->ws_mode);
	assert_int_equal(a->ws_mode_wanted, b->ws_mode_wanted);
	assert_int_equal(a->mount_count, b->mount_count);
	for (size_t i = 0; i < a->mount_count; i++) {
		assert_string_equal(a->mounts[i].from, b->mounts[i].from);
		assert_string_equal(a->mounts[i].to, b->mounts[i].to);
	}
	assert_same_list(&a->mask, &b->mask);
	assert_same_list(&a->protect, &b->protect);
}

static void printing_round_trips(void **state)
{
	static const char *const documents[] = {
		"{}",
		full,
		"{\"limits\": {\"memory\": \"1G\"}}", /* written, though it is the default */
		"{\"limits\": {\"wall_time\": null, \"cpus\": 0.001e3, \"disk\": 123456}}",
		"{\"limits\": {\"wall_time\": \"1ms\", \"cpus\": \"999.999\", \"memory\": 4194305}}",
		"{\"limits\": {\"wall_time\": \"8760h\", \"idle_time\": \"61m\", \"output\": \"1023T\"}}",
		"{\"limits\": {\"output\": \"100K\"}}",
		"{\"image\": \"registry.example:5000/a/b@x\", \"user\": \"app:4000\"}",
		"{\"image\": \"base\", \"user\": \"root\", \"root\": \"cow\"}",
		"{\"workspace\": {\"mode\": \"ro\"}, \"secrets\": {\"mask\": []}, \"protect\": []}",
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(documents); i++) {
		for (unsigned indent = 0; indent <= 2; indent += 2) {
			PF_AUTO_BUF struct pf_buf text = {0};
			struct pf_policy p = parsed(documents[i]), q;

			assert_int_equal(pf_policy_print(&p, indent, &text), 0);
			q = parsed(text.data);
			assert_same(&p, &q);
			assert_int_equal(text.data[text.len - 1], indent ? '\n' : '}');
			pf_policy_free(&p);
			pf_policy_free(&q);
		}
	}
}

/* What `policy show` prints marks its defaults, so that using it changes nothing; a number that somebody
 * changes in it is his. */
static void a_printed_default_is_not_written(void **state)
{
	struct pf_policy p =
		parsed("{\"limits\": {\"memory\": \"1G\", \"processes\": 9, \"open_files\": 1024,\n"
		       "\"default\": [\"memory\", \"processes\"]}}");

	(void)state;
	assert_int_equal(p.limits.written, PF_LIMIT_PROCESSES | PF_LIMIT_OPEN_FILES);
	pf_policy_free(&p);
	refuse("{\"limits\": {\n\"default\": [\"seccomp\"]}}",
	       "line 2: limits.default[0]: \"seccomp\" is no limit");
}

static void null_is_no_limit_and_not_written(void **state)
{
	struct pf_policy p = parsed(
		"{\"limits\": {\"wall_time\": null, \"idle_time\": \"none\", \"cpus\": 0, \"disk\": \"0\"}}");

	(void)state;
	assert_int_equal(p.limits.written, 0);
	assert_int_equal(p.limits.wall_ms, 0);
	pf_policy_free(&p);
}

static void the_digest_tells_policies_apart(void **state)
{
	static const char *const documents[] = {
		"{}",
		"{\"limits\": {\"memory\": \"1G\"}}",
		"{\"limits\": {\"memory\": \"2G\"}}",
		"{\"workspace\": {\"path\": \"/a\"}}",
		"{\"workspace\": {\"path\": \"/a\", \"mode\": \"ro\"}}",
		"{\"workspace\": {\"path\": \"/a\", \"at\": \"/b\"}}",
		"{\"env\": {\"A\": \"1\"}}",
		"{\"secrets\": {\"mask\": []}}",
	};
	char digest[PF_ARRAY_SIZE(documents)][PF_DIGEST_MAX], other[PF_DIGEST_MAX];
	struct pf_policy p;

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(documents); i++) {
		p = parsed(documents[i]);
		assert_int_equal(pf_policy_digest(&p, digest[i]), 0);
		pf_policy_free(&p);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(digest[i], digest[j]);
	}
	p = parsed("{\"workspace\": {\"path\": \"/elsewhere\"}}");
	assert_int_equal(pf_policy_digest(&p, other), 0);
	assert_string_equal(other, digest[3]);
	pf_policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_safe),
		cmocka_unit_test(default_mask_hides_secrets_only),
		cmocka_unit_test(default_protect_holds_what_runs_unasked),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(printing_round_trips),
		cmocka_unit_test(a_printed_default_is_not_written),
		cmocka_unit_test(null_is_no_limit_and_not_written),
		cmocka_unit_test(the_digest_tells_policies_apart),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
