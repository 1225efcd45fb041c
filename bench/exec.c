/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands in a live sandbox, through the C API: created once, then one pf_sandbox_run() a sample. The
 * clock runs from the call to its return, when the result with its receipt is complete.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "pinfold.h"

static struct pf_sandbox *box;

static int set_option(struct pf_policy *policy, const char *option, struct pf_error *err)
{
	const char *equals = strchr(option, '=');
	char name[64];

	if (!equals || (size_t)(equals - option) >= sizeof(name)) {
		snprintf(err->msg, sizeof(err->msg), "%s: not name=value", option);
		return -EINVAL;
	}
	memcpy(name, option, (size_t)(equals - option));
	name[equals - option] = '\0';
	return pf_policy_option(policy, name, equals + 1, err);
}

int live_open(const char *const *options, const char *libexec)
{
	struct pf_places places = {.libexec = libexec};
	struct pf_policy *policy = NULL;
	struct pf_error err = {0};
	int r = pf_policy_new(&policy, &err);

	for (; r == 0 && *options; options++)
		r = set_option(policy, *options, &err);
	if (r == 0)
		r = pf_sandbox_create(policy, &places, &box, &err);
	pf_policy_destroy(policy);
	if (r < 0)
		fprintf(stderr, "runner: no live sandbox: %s\n", err.msg);
	return r;
}

struct sample live_run(const struct table *t, const struct row *row, int err_fd)
{
	struct pf_exec_options options = {.argv = (const char *const *)row->argv, .wall_ms = t->timeout_ms};
	struct sample s = {NAN, NAN, false, -1};
	struct pf_result *result = NULL;
	struct pf_error err = {0};
	double begin, end;
	int r;

	begin = now_ms();
	r = pf_sandbox_run(box, &options, &result, &err);
	end = now_ms();
	if (r == 0 && strcmp(pf_result_cause(result), "exited") == 0 && pf_result_exit_code(result) == 0) {
		s.status = 0;
		s.ms = end - begin;
	} else if (r == 0) {
		s.timed_out = strcmp(pf_result_cause(result), "timeout") == 0;
	}
	if (s.status != 0 && err_fd >= 0)
		dprintf(err_fd, "%s\n", r < 0 ? err.msg : pf_result_cause(result));
	pf_result_destroy(result);
	return s;
}

void live_rest(unsigned us)
{
	double until = now_ms() + us / 1000.0;

	while (box && until - now_ms() >= 1)
		if (pf_sandbox_step(box, (int)(until - now_ms()), NULL) < 0)
			break;
	if (until > now_ms())
		usleep((useconds_t)((until - now_ms()) * 1000));
}

void live_close(void)
{
	pf_sandbox_destroy(box);
	box = NULL;
}
