/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy document may not say: each refusal names the file, the line, the key and what is allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/policy.h"

struct refusal {
	const char *text, *message;
};

static void refuse(const struct refusal *r)
{
	char before[PF_DIGEST_MAX], after[PF_DIGEST_MAX];
	struct pf_error err = {0};
	struct pf_policy p;

	assert_int_equal(pf_policy_defaults(&p, &err), 0);
	assert_int_equal(pf_policy_digest(&p, before), 0);
	if (pf_policy_parse(&p, r->text, strlen(r->text), "p.json", &err) == 0)
		fail_msg("taken: %s", r->text);
	if (!strstr(err.msg, r->message) || !pf_has_prefix(err.msg, "p.json: line "))
		fail_msg("%s: message \"%s\" has no \"%s\"", r->text, err.msg, r->message);
	/* a document is taken whole or not at all */
	assert_int_equal(pf_policy_digest(&p, after), 0);
	assert_string_equal(before, after);
	pf_policy_free(&p);
}

static void refuse_all(const struct refusal *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		refuse(&r[i]);
}

/* Every key with a value of a type that it cannot have, in line 3 of its document. */
static void wrong_types_name_key_and_line(void **state)
{
	static const struct refusal keys[] = {
		{"\"$schema\": 1", "$schema: expected a string, found integer"},
		{"\"tier\": 1",
		 "tier: expected one of \"auto\", \"container\", \"sentry\", \"microvm\", found integer"},
		{"\"min_tier\": null", "min_tier: expected one of \"container\""},
		{"\"require\": \"limits\"", "require: expected a list of words, found string"},
		{"\"require\": [true]", "require[0]: expected one of \"memory\""},
		{"\"limits\": []", "limits: expected an object, found array"},
		{"\"limits\": {\"memory\": true}",
		 "limits.memory: expected a size such as \"512M\" or \"2G\", found"},
		{"\"limits\": {\"memory\": 1.5e10}", "limits.memory: expected a size"},
		{"\"limits\": {\"memory\": null}", "limits.memory: cannot be none: without it a command can"},
		{"\"limits\": {\"cpus\": []}",
		 "limits.cpus: expected a number of CPUs such as 0.5 or 2, or null"},
		{"\"limits\": {\"processes\": \"12\"}",
		 "limits.processes: expected a whole number, found string"},
		{"\"limits\": {\"processes\": 1.5}", "limits.processes: expected a whole number"},
		{"\"limits\": {\"wall_time\": 60}", "limits.wall_time: a number has no unit: write a time"},
		{"\"limits\": {\"idle_time\": {}}", "limits.idle_time: expected a time such as"},
		{"\"limits\": {\"output\": null}", "limits.output: cannot be none"},
		{"\"limits\": {\"output_inline\": false}", "limits.output_inline: expected a size"},
		{"\"limits\": {\"disk\": [1]}",
		 "limits.disk: expected a size such as \"512M\" or \"2G\", or null"},
		{"\"limits\": {\"open_files\": null}", "limits.open_files: cannot be none"},
		{"\"limits\": {\"default\": {}}", "limits.default: expected a list of limits"},
		{"\"network\": null",
		 "network: expected \"none\" or {\"allow\": [\"HOST:PORT\"]}, found null"},
		{"\"network\": [\"pypi.org:443\"]", "network: expected \"none\" or"},
		{"\"network\": {\"allow\": \"pypi.org:443\"}", "network.allow: expected a list of rules"},
		{"\"network\": {\"allow\": [443]}",
		 "network.allow[0]: expected a rule such as \"pypi.org:443\""},
		{"\"network\": {\"allow\": [\"a.org:1\"], \"connections\": null}",
		 "network.connections: cannot be none"},
		{"\"network\": {\"allow\": [\"a.org:1\"], \"idle_time\": 60}",
		 "network.idle_time: a number has no unit"},
		{"\"root\": true", "root: expected one of \"ro\", \"cow\""},
		{"\"image\": null", "image: expected \"host\" or the name or digest of an image, found null"},
		{"\"tools\": \"/opt\"", "tools: expected a list of absolute directories"},
		{"\"tools\": [7]", "tools[0]: expected an absolute path, found integer"},
		{"\"user\": 0",
		 "user: expected \"user\", \"root\" or an account of the image, found integer"},
		{"\"capabilities\": {}", "capabilities: expected a list of words"},
		{"\"env\": [\"A=1\"]", "env: expected an object of strings, found array"},
		{"\"env\": {\"A\": 1}", "env: \"A\": expected a string, found integer"},
		{"\"workspace\": \".\"", "workspace: expected an object, found string"},
		{"\"workspace\": {\"path\": 1}", "workspace.path: expected a directory or null"},
		{"\"workspace\": {\"path\": \"\"}", "workspace.path: expected a directory or null"},
		{"\"workspace\": {\"mode\": null}", "workspace.mode: expected \"ro\" or \"cow\", found null"},
		{"\"workspace\": {\"at\": 1}", "workspace.at: expected an absolute path"},
		{"\"mounts\": {}", "mounts: expected a list of mounts"},
		{"\"mounts\": [\"/a\"]", "mounts[0]: expected an object, found string"},
		{"\"mounts\": [{\"from\": 1, \"to\": \"/a\"}]", "mounts[0].from: expected an absolute path"},
		{"\"secrets\": []", "secrets: expected an object"},
		{"\"secrets\": {\"mask\": \".env\"}",
		 "secrets.mask: expected a list of patterns, found string"},
		{"\"guard\": {\"output\": \"on\"}", "guard.output: \"on\" is not one of off, audit, enforce"},
		{"\"secrets\": {\"values\": []}",
		 "secrets.values: expected an object of references, found array"},
		{"\"secrets\": {\"values\": {\"K\": \"v\"}}",
		 "secrets.values: a secret is NAME=@FILE or NAME=env:VARIABLE, never the value"},
		{"\"secrets\": {\"mask\": [null]}", "secrets.mask[0]: expected a pattern, found null"},
		{"\"protect\": [\"...\", 1]", "protect[1]: expected a pattern, found integer"},
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(keys); i++) {
		char text[256], message[256];

		snprintf(text, sizeof(text), "// head\n{\n%s\n}", keys[i].text);
		snprintf(message, sizeof(message), "p.json: line 3: %s", keys[i].message);
		refuse(&(struct refusal){text, message});
	}
}

static void wrong_values(void **state)
{
	static const struct refusal r[] = {
		{"{\"tier\": \"contaner\"}",
		 "\"contaner\" is not one of auto, container, sentry, microvm; did you mean \"container\"?"},
		{"{\"min_tier\": \"auto\"}", "\"auto\" is not one of container, sentry, microvm"},
		{"{\"require\": [\"memory\",\n\"usrns\"]}", "line 2: require[1]: \"usrns\" is not one of"},
		{"{\"limits\": {\"memory\": \"1 G\"}}", "limits.memory: \"1 G\" is not a size such as"},
		{"{\"limits\": {\"memory\": 0}}", "limits.memory: must be from 4M to 1024T"},
		{"{\"limits\": {\"memory\": -1}}", "limits.memory: must be from 4M to 1024T"},
		{"{\"limits\": {\"memory\": \"99999999999999999999\"}}", "limits.memory: must be from 4M"},
		{"{\"limits\": {\"processes\": 0}}", "limits.processes: must be from 1 to 4194304"},
		{"{\"limits\": {\"processes\": 4294967297}}", "limits.processes: must be from 1"},
		{"{\"limits\": {\"output\": \"0\"}}", "limits.output: must be from 1 to 1024T"},
		{"{\"limits\": {\"open_files\": 3}}", "limits.open_files: must be from 16 to 1048576"},
		{"{\"limits\": {\"cpus\": 0.001}}", "limits.cpus: must be from 0.01 to 1000"},
		{"{\"limits\": {\"cpus\": 1e300}}", "limits.cpus: must be from 0.01 to 1000"},
		{"{\"limits\": {\"cpus\": -1}}", "limits.cpus: must be from 0.01 to 1000"},
		{"{\"limits\": {\"cpus\": \"0.0000001\"}}", "limits.cpus: must be from 0.01"},
		{"{\"limits\": {\"wall_time\": \"60\"}}", "limits.wall_time: \"60\" is not a time such as"},
		{"{\"limits\": {\"wall_time\": \"99999h\"}}", "limits.wall_time: must be from 1ms to 8760h"},
		{"{\"network\": \"host\"}", "there is no way to share the host's network"},
		{"{\"network\": \"all\"}", "there is no other word"},
		{"{\"network\": {}}", "network: \"allow\" is missing"},
		{"{\"network\": {\"connections\": 5}}", "network: \"allow\" is missing"},
		{"{\"network\": {\"allow\": []}}",
		 "network.allow: allows nothing: write \"network\": \"none\""},
		{"{\"network\": {\"alow\": []}}", "did you mean \"allow\"?"},
		{"{\"network\": {\"allow\": [\"a.org:1\",\n\"A.org.:1\"]}}",
		 "line 2: network.allow[1]: the rule a.org:1 is there twice"},
		{"{\"network\": {\"allow\": [\"a.org:1\",\n\"10.1.2.3/8:443\"]}}",
		 "line 2: network.allow[1]: 10.1.2.3/8:443 has bits beyond its prefix"},
		{"{\"network\": {\"allow\": [\"a.org/x:443\"]}}", "network.allow[0]: a.org/x:443 has a path"},
		{"{\"network\": {\"allow\": [\"169.254.169.254:80\"]}}", "can never match"},
		{"{\"network\": {\"allow\": [\"localhost:80\"]}}", "can never match"},
		{"{\"network\": {\"allow\": [\"a.org\"]}}", "has no port"},
		{"{\"network\": {\"allow\": [\"a.org:1\"], \"connections\": 201}}",
		 "network.connections: must be from 1 to 200"},
		{"{\"network\": {\"allow\": [\"a.org:1\"], \"bytes_per_second\": 10}}",
		 "network.bytes_per_second: must be from 1K"},
		{"{\"network\": {\"allow\": [\"a.org:1\"], \"credentials\": {}}}",
		 "network.credentials: not in this build"},
		{"{\"image\": \"\"}", "image: the name of an image may not be empty"},
		{"{\"image\": \"-x\"}", "image: \"-x\" is no name or digest of an image"},
		{"{\"image\": \"a b\"}", "image: \"a b\" is no name or digest of an image"},
		{"{\"image\": \"a\\u001bb\"}", "is no name or digest of an image"},
		{"{\"root\": \"rw\"}", "root: \"rw\" is not one of ro, cow"},
		{"{\"user\": \"\"}", "user: \"\" has no user that could be one"},
		{"{\"user\": \"a:\"}", "user: \"a:\" has no group that could be one"},
		{"{\"user\": \"a:b:c\"}", "user: \"a:b:c\" has no group that could be one"},
		{"{\"user\": \"-1\"}", "user: \"-1\" has no user that could be one"},
		{"{\"user\": \"a b\"}", "user: \"a b\" has no user that could be one"},
		{"{\"user\": \"65536\"}", "user: the user of \"65536\" is a number above 65535"},
		{"{\"user\": \"4294967296\"}", "is a number above 65535"},
		{"{\"user\": \"1:99999999999999999999\"}",
		 "the group of \"1:99999999999999999999\" is a number above"},
		{"{\"user\": \"00\"}", "the user of \"00\" is a number that begins with 0"},
		{"{\"user\": \"root:1\"}", "user: \"root:1\": root has no group but its own"},
		{"{\"capabilities\": [\"sys_admin\"]}",
		 "capabilities[0]: \"sys_admin\" is not one of chown, dac_override"},
		{"{\"tools\": [\"opt/go\"]}", "tools[0]: \"opt/go\" is not an absolute path"},
		{"{\"tools\": [\"/opt/../etc\"]}", "tools[0]: \"/opt/../etc\" may not contain \"..\""},
		{"{\"env\": {\"\": \"x\"}}", "env: the name of a variable may not be empty"},
		{"{\"env\": {\"A=B\": \"x\"}}", "env: \"A=B\": the name of a variable may not contain '='"},
		{"{\"env\": {\"A\": \"x\\u0000y\"}}", "NUL"},
		{"{\"workspace\": {\"mode\": \"live\"}}",
		 "workspace.mode: \"live\" is not one of ro, cow, rw, rw,live"},
		{"{\"workspace\": {\"at\": \"work\"}}", "workspace.at: \"work\" is not an absolute path"},
		{"{\"mounts\": [{\"from\": \"/a\"}]}", "mounts[0]: \"to\" is missing"},
		{"{\"mounts\": [{\"to\": \"/a\"}]}", "mounts[0]: \"from\" is missing"},
		{"{\"mounts\": [{\"from\": \"a\", \"to\": \"/a\"}]}",
		 "mounts[0].from: \"a\" is not an absolute path"},
	};

	(void)state;
	refuse_all(r, PF_ARRAY_SIZE(r));
}

static void unknown_keys(void **state)
{
	static const struct refusal r[] = {
		{"{\n\"teir\": 1}",
		 "line 2: unknown key \"teir\"; did you mean \"tier\"? (there are tier, min_tier,"},
		{"{\"memory\": \"1G\"}", "unknown key \"memory\"; did you mean \"limits.memory\"?"},
		{"{\"limits\": {\n\n\"timeout\": 1}}",
		 "line 3: limits: unknown key \"timeout\" (there are memory, cpus"},
		{"{\"limits\": {\"openfiles\": 1}}", "did you mean \"open_files\"?"},
		{"{\"workspace\": {\"dir\": \".\"}}",
		 "workspace: unknown key \"dir\" (there are path, mode, at)"},
		{"{\"mounts\": [{\"mode\": \"rw\"}]}",
		 "mounts[0]: unknown key \"mode\" (there are from, to)"},
		{"{\"secrets\": {\"masks\": []}}", "secrets: unknown key \"masks\"; did you mean \"mask\"?"},
		{"{\"a\\u001b[31m\": 1}", "unknown key \"a\\x1b[31m\""},
		{"{\"commands\": {\"deny\": [\"ls\"]}}",
		 "commands: unknown key \"deny\" (there are allow, build)"},
		{"{\"commands\": {\"allow\": []}}", "commands.allow: the list is empty"},
		{"{\"commands\": {\"allow\": [\"a b\"]}}", "patterns, blanks and commas are not taken"},
		{"{\"commands\": {\"allow\": [\"bin/ls\"]}}", "write its name, as in PATH"},
		{"{\"budget\": null}", "budget: not in this build: "},
	};

	(void)state;
	refuse_all(r, PF_ARRAY_SIZE(r));
}

static void syntax_and_duplicates(void **state)
{
	static const struct refusal r[] = {
		{"", "line 1: "},
		{"[]", "line 1: expected an object, found array"},
		{"{\n\"tier\": \"auto\",\n\"tier\": \"container\"}",
		 "line 3: key \"tier\" is already given in line 2"},
		{"{\"env\": {\"A\": \"1\",\n\"A\": \"2\"}}", "line 2: key \"A\" is already given in line 1"},
		{"{\"tier\" \"auto\"}", "line 1: "},
		{"{} {}", "line 1: "},
	};

	(void)state;
	refuse_all(r, PF_ARRAY_SIZE(r));
}

static void patterns_that_would_match_nothing(void **state)
{
	static const struct refusal r[] = {
		{"{\"protect\": [\"\"]}", "a pattern may not be empty"},
		{"{\"protect\": [\"/etc\"]}",
		 "\"/etc\" begins with '/', but patterns are paths from the workspace's root"},
		{"{\"protect\": [\"~/.ssh\"]}", "'~' has no meaning"},
		{"{\"protect\": [\"!a\"]}", "cannot take others back with '!'"},
		{"{\"protect\": [\"./!a\"]}", "cannot take others back with '!'"},
		{"{\"protect\": [\"a/../b\"]}", "may not contain \"..\""},
		{"{\"protect\": [\".\"]}", "is the workspace itself"},
		{"{\"protect\": [\"./...\"]}", "stands for the list before this one"},
	};

	(void)state;
	refuse_all(r, PF_ARRAY_SIZE(r));
}

/* A generated policy must not make start-up crawl. */
static void counts_are_bounded(void **state)
{
	PF_AUTO_BUF struct pf_buf text = {0};

	(void)state;
	pf_buf_adds(&text, "{\"mounts\": [");
	for (int i = 0; i < 65; i++)
		pf_buf_addf(&text, "{\"from\": \"/a\", \"to\": \"/a%d\"},\n", i);
	pf_buf_adds(&text, "]}");
	refuse(&(struct refusal){text.data, "line 65: mounts[64]: more than 64 mounts"});
	text.len = 0;
	pf_buf_adds(&text, "{\"tools\": [");
	for (int i = 0; i < 65; i++)
		pf_buf_addf(&text, "\"/a%d\",\n", i);
	pf_buf_adds(&text, "]}");
	refuse(&(struct refusal){text.data, "line 65: tools[64]: more than 64 directories of tools"});
	text.len = 0;
	pf_buf_adds(&text, "{\"protect\": [");
	for (int i = 0; i < 70; i++)
		pf_buf_adds(&text, "\"...\",");
	pf_buf_adds(&text, "]}");
	refuse(&(struct refusal){text.data, "more than 4096 patterns"});
}

/* However long the name and the value are, the line stays legible. */
static void long_names_do_not_hide_the_line(void **state)
{
	char name[4096], text[8192];
	struct pf_error err = {0};
	struct pf_policy p;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), "{\n\"tier\": \"%s\"}", name);
	assert_int_equal(pf_policy_defaults(&p, &err), 0);
	assert_int_equal(pf_policy_parse(&p, text, strlen(text), name, &err), -EINVAL);
	assert_non_null(strstr(err.msg, ": line 2: tier: \"nnnn"));
	assert_non_null(strstr(err.msg, "is not one of auto, container"));
	pf_policy_free(&p);
}

static void load_reads_files(void **state)
{
	char path[] = "/tmp/pf-policy-XXXXXX";
	int fd = mkstemp(path);
	struct pf_error err = {0};
	struct pf_policy p;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{\"tier\":\n3}", 11), 11);
	assert_int_equal(pf_policy_defaults(&p, &err), 0);
	assert_int_equal(pf_policy_load(&p, path, &err), -EINVAL);
	assert_non_null(strstr(err.msg, path));
	assert_non_null(strstr(err.msg, "line 1: tier: expected"));
	assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
	assert_int_equal(pf_policy_load(&p, path, &err), -EFBIG);
	assert_non_null(strstr(err.msg, "longer than 1 MiB"));
	unlink(path);
	close(fd);
	assert_int_equal(pf_policy_load(&p, path, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "cannot read the policy"));
	pf_policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_types_name_key_and_line),
		cmocka_unit_test(wrong_values),
		cmocka_unit_test(unknown_keys),
		cmocka_unit_test(syntax_and_duplicates),
		cmocka_unit_test(patterns_that_would_match_nothing),
		cmocka_unit_test(counts_are_bounded),
		cmocka_unit_test(long_names_do_not_hide_the_line),
		cmocka_unit_test(load_reads_files),
	};

	return cmocka_run_group_tests_name("policy_refuse", tests, NULL, NULL);
}
