/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C API from beginning to end (docs/api.md): one sandbox over a workspace, two commands in it, output as
 * it arrives, a file in and a file out, and what changed.
 *
 *	example WORKSPACE LIBEXEC
 *
 * LIBEXEC is the directory of pinfold-init: build/libexec/pinfold, or /usr/local/libexec/pinfold.
 */
#include <pinfold.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what, const struct pf_error *err)
{
	fprintf(stderr, "%s: %s\n", what, err->msg);
	return 1;
}

/* Called from pf_sandbox_step(), for each piece of output. */
static void on_output(void *user, struct pf_exec *e, enum pf_stream stream, const void *p, size_t n)
{
	(void)user;
	(void)e;
	fwrite(p, 1, n, stream == PF_STDERR ? stderr : stdout);
	fflush(stdout);
}

/* One command, its output streamed. pf_sandbox_run() would do the same in one call, without the loop. */
static int run(struct pf_sandbox *box, const char *script)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct pf_exec_options options = {.argv = argv, .wall_ms = 10000, .output = on_output};
	const struct pf_result *result;
	struct pf_error err = {0};
	struct pf_exec *exec;

	if (pf_exec_start(box, &options, &exec, &err) < 0)
		return fail("exec", &err);
	while (!(result = pf_exec_result(exec)))
		pf_sandbox_step(box, -1, &err); /* a broken sandbox gives every exec its result */
	printf("-> %s %d\n", pf_result_cause(result), pf_result_exit_code(result));
	pf_exec_end(exec);
	return 0;
}

/* A live sandbox: its files stay from one command to the next. */
static int session(struct pf_sandbox *box)
{
	static const char text[] = "written by the host\n";
	struct pf_error err = {0};
	char *data;
	size_t n;

	printf("sandbox of tier %s\n", pf_sandbox_tier(box));
	if (pf_file_write(box, "/tmp/in.txt", text, strlen(text), &err) < 0)
		return fail("write", &err);
	if (run(box, "cat /tmp/in.txt; tr a-z A-Z < /tmp/in.txt > out.txt") ||
	    run(box, "wc -c out.txt; exit 3"))
		return 1;
	if (pf_file_read(box, "/tmp/in.txt", 4096, &data, &n, &err) < 0)
		return fail("read", &err);
	printf("read %zu bytes\n", n);
	free(data);
	return 0;
}

/* End the sandbox: a cow workspace leaves a change set, which is shown and dropped here. */
static int finish(struct pf_sandbox *box)
{
	struct pf_error err = {0};
	char *id;

	if (pf_sandbox_end(box, &id, &err) < 0)
		return fail("end", &err);
	if (!id) {
		puts("nothing changed");
		return 0;
	}
	fflush(stdout);
	if (pf_changes_diff(NULL, id, STDOUT_FILENO, &err) < 0 || pf_changes_drop(NULL, id, &err) < 0)
		fail("changes", &err);
	free(id);
	return err.code != 0;
}

int main(int argc, char **argv)
{
	struct pf_places places = {.libexec = argc > 2 ? argv[2] : NULL};
	struct pf_sandbox *box = NULL;
	struct pf_policy *policy = NULL;
	struct pf_error err = {0};
	int code;

	if (argc < 2) {
		fprintf(stderr, "usage: %s WORKSPACE [LIBEXEC]\n", argv[0]);
		return 2;
	}
	if (pf_policy_new(&policy, &err) < 0 || pf_policy_option(policy, "workspace", argv[1], &err) < 0 ||
	    pf_policy_option(policy, "timeout", "1m", &err) < 0 ||
	    pf_sandbox_create(policy, &places, &box, &err) < 0) {
		pf_policy_destroy(policy);
		return fail("create", &err);
	}
	pf_policy_destroy(policy); /* the sandbox has a copy */
	code = session(box);
	return finish(box) || code;
}
