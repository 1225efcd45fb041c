/* SPDX-License-Identifier: Apache-2.0 */
/* egress/control and client: messages that are none, and the keeper's side against the real pinfold-egress.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "egress/client.h"

#define PATIENCE_MS 30000

static char program[4096];

static void messages_are_checked(void **state)
{
	union pf_egress_message m = {.report = {.type = PF_EGRESS_REPORT, .kind = PF_EGRESS_DENIED}};
	const size_t n = sizeof(m.report);

	(void)state;
	assert_int_equal(pf_egress_message_check(&m, n, 1), 0);
	assert_int_equal(pf_egress_message_check(&m, n, 0), -EPROTO); /* not from the keeper */
	assert_int_equal(pf_egress_message_check(&m, n - 1, 1), -EPROTO);
	assert_int_equal(pf_egress_message_check(&m, n + 1, 1), -EPROTO);
	assert_int_equal(pf_egress_message_check(&m, 3, 1), -EPROTO);
	m.report.kind = 9;
	assert_int_equal(pf_egress_message_check(&m, n, 1), -EPROTO);
	m.report.kind = PF_EGRESS_OPENED;
	m.report.reason = PF_EGRESS_REASONS;
	assert_int_equal(pf_egress_message_check(&m, n, 1), -EPROTO);
	m.report.reason = 0;
	strcpy(m.report.target, "a\033[31m");
	assert_int_equal(pf_egress_message_check(&m, n, 1), -EPROTO);
	memset(m.report.target, 'a', sizeof(m.report.target)); /* without an end */
	assert_int_equal(pf_egress_message_check(&m, n, 1), -EPROTO);
	m.report.target[sizeof(m.report.target) - 1] = '\0';
	assert_int_equal(pf_egress_message_check(&m, n, 1), 0);
	strcpy(m.report.hint, "two\nlines");
	assert_int_equal(pf_egress_message_check(&m, n, 1), -EPROTO);
	for (unsigned r = 0; r < PF_EGRESS_REASONS; r++)
		assert_non_null(pf_egress_reason_name((enum pf_egress_reason)r));
	assert_null(pf_egress_reason_name(PF_EGRESS_REASONS));
}

static void setups_are_checked(void **state)
{
	union pf_egress_message m = {.setup = {.type = PF_EGRESS_SETUP,
					       .version = PF_EGRESS_VERSION,
					       .limits = PF_EGRESS_LIMITS_DEFAULT}};
	const size_t n = sizeof(m.setup);
	union pf_egress_message good = m;

	(void)state;
	assert_int_equal(pf_egress_message_check(&m, n, 0), 0);
	m.setup.version++;
	assert_int_equal(pf_egress_message_check(&m, n, 0), -EPROTO);
	m = good;
	m.setup.flags = 2;
	assert_int_equal(pf_egress_message_check(&m, n, 0), -EPROTO);
	m = good;
	m.setup.limits.connections = 0;
	assert_int_equal(pf_egress_message_check(&m, n, 0), -EPROTO);
	m = good;
	m.setup.limits.connections = PF_EGRESS_CONNECTIONS_MAX + 1;
	assert_int_equal(pf_egress_message_check(&m, n, 0), -EPROTO);
	m = good;
	m.setup.resolver.family = 4; /* without a port */
	assert_int_equal(pf_egress_message_check(&m, n, 0), -EPROTO);
	m = (union pf_egress_message){.rules = {.type = PF_EGRESS_RULES, .size = 3, .text = "a:1"}};
	assert_int_equal(pf_egress_message_check(&m, offsetof(struct pf_egress_rules, text) + 3, 0), 0);
	assert_int_equal(pf_egress_message_check(&m, offsetof(struct pf_egress_rules, text) + 4, 0), -EPROTO);
	m.rules.size = PF_EGRESS_RULES_TEXT + 1;
	assert_int_equal(pf_egress_message_check(&m, offsetof(struct pf_egress_rules, text) + 3, 0), -EPROTO);
}

/* --- the real program ----------------------------------------------------------------- */

static struct pf_egress_options options(const struct pf_rules *rules)
{
	return (struct pf_egress_options){.program = program,
					  .rules = rules,
					  .limits = PF_EGRESS_LIMITS_DEFAULT,
					  .uid = 54321,
					  .gid = 54321,
					  .resolver = {4, {127, 0, 0, 1}},
					  .resolver_port = 9};
}

/* The next message, waited for. */
static int next(struct pf_egress *e, union pf_egress_message *m)
{
	struct pollfd p = {.fd = e->control, .events = POLLIN};
	struct pf_error err = {0};
	int r = pf_egress_next(e, m, &err);

	if (r)
		return r;
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	return pf_egress_next(e, m, &err);
}

static void ask(struct pf_egress *e, uint64_t id, const char *request, char *answer, size_t cap)
{
	struct pf_error err = {0};
	int pair[2];
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pf_egress_pass(e, id, pair[1], &err), 0);
	assert_int_equal(pf_write_full(pair[0], request, strlen(request)), 0);
	n = pf_read_full(pair[0], answer, cap - 1);
	assert_true(n > 0);
	answer[n] = '\0';
	close(pair[0]);
}

#define GET "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n"

static void it_refuses_without_rules(void **state)
{
	struct pf_egress e = PF_EGRESS_INIT;
	const struct pf_egress_options o = options(NULL);
	struct pf_error err = {0};
	union pf_egress_message m;
	char answer[4096];

	(void)state;
	if (pf_egress_start(&e, &o, &err) < 0)
		fail_msg("%s", err.msg);
	ask(&e, 7, GET, answer, sizeof(answer)); /* before it said that it is ready */
	assert_non_null(strstr(answer,
			       "HTTP/1.1 403 pinfold: example.org:80 is not allowed (network.default=deny); "
			       "allow it with --allow example.org:80\r\n"));
	assert_int_equal(next(&e, &m), 1);
	assert_int_equal(m.type, PF_EGRESS_READY);
	assert_true(m.ready.held & PF_EGRESS_HELD_UID && m.ready.held & PF_EGRESS_HELD_SECCOMP &&
		    m.ready.held & PF_EGRESS_HELD_NO_SOCKETS);
	assert_int_equal(next(&e, &m), 1);
	assert_int_equal(m.type, PF_EGRESS_REPORT);
	assert_int_equal(m.report.kind, PF_EGRESS_DENIED);
	assert_int_equal(m.report.id, 7);
	assert_string_equal(m.report.target, "example.org:80");
	assert_string_equal(m.report.hint, "allow it with --allow example.org:80");
	pf_egress_end(&e);
	assert_int_equal(next(&e, &m), 1);
	assert_int_equal(m.type, PF_EGRESS_DONE);
	assert_int_equal(m.done.denied, 1);
	assert_int_equal(next(&e, &m), -EPIPE);
	assert_int_equal(pf_egress_pass(&e, 8, dup(0), &err), -EPIPE);
	pf_egress_kill(&e);
	pf_egress_kill(&e);
	assert_int_equal(e.control, -1);
}

/* As many as there may be, each as long as it may be: they arrive whole. */
static void all_rules_arrive(void **state)
{
	struct pf_egress e = PF_EGRESS_INIT;
	struct pf_rules rules = {0};
	const struct pf_egress_options o = options(&rules);
	struct pf_error err = {0};
	union pf_egress_message m;
	char text[PF_RULE_TEXT], name[PF_NAME_MAX + 1], request[700], answer[16384];

	(void)state;
	memset(name, 'a', PF_NAME_MAX - 5);
	for (size_t i = 60; i < PF_NAME_MAX - 5; i += 61)
		name[i] = '.';
	name[PF_NAME_MAX - 5] = '\0';
	for (size_t i = 0; i < PF_RULES_MAX; i++) {
		snprintf(text, sizeof(text), "%s%04zu:443", name, i);
		if (pf_rules_add(&rules, text, &err) < 0)
			fail_msg("%s", err.msg);
	}
	assert_int_equal(pf_egress_start(&e, &o, &err), 0);
	assert_int_equal(next(&e, &m), 1);
	assert_int_equal(m.type, PF_EGRESS_READY);
	assert_false(m.ready.held & PF_EGRESS_HELD_NO_SOCKETS);
	ask(&e, 1, GET, answer, sizeof(answer));
	assert_non_null(strstr(answer, " and 1004 more\n"));
	/* the last of them: nobody answers for it (the resolver is nobody), but it may be asked about */
	snprintf(request, sizeof(request), "CONNECT %s%04u:443 HTTP/1.1\r\n\r\n", name, PF_RULES_MAX - 1);
	ask(&e, 2, request, answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 502 pinfold: "));
	pf_egress_kill(&e);
	pf_rules_free(&rules);
}

static void a_program_that_is_not_there(void **state)
{
	struct pf_egress e = PF_EGRESS_INIT;
	struct pf_egress_options o = options(NULL);
	struct pf_error err = {0};

	(void)state;
	o.program = "/nonexistent/pinfold-egress";
	assert_int_equal(pf_egress_start(&e, &o, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "not installed whole: /nonexistent/pinfold-egress"));
	assert_int_equal(e.control, -1);
	o.program = "/bin/true";
	if (pf_egress_start(&e, &o, &err) == 0) { /* it may take the set-up before it is seen to be another */
		union pf_egress_message m;

		assert_int_equal(next(&e, &m), -EPIPE);
	}
	pf_egress_kill(&e);
}

/* It is distrusted: what no pinfold-egress sends ends it. */
static void a_proxy_that_lies(void **state)
{
	struct pf_egress e = PF_EGRESS_INIT;
	struct pf_error err = {0};
	union pf_egress_message m;
	char large[sizeof(m) + 1] = {PF_EGRESS_REPORT};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	e.control = pair[0];
	assert_int_equal(pf_egress_next(&e, &m, &err), 0);
	assert_int_equal(send(pair[1], large, sizeof(large), 0), sizeof(large));
	assert_int_equal(pf_egress_next(&e, &m, &err), -EPROTO);
	assert_int_equal(send(pair[1], "x", 1, 0), 1);
	assert_int_equal(pf_egress_next(&e, &m, &err), -EPROTO);
	close(pair[1]);
	assert_int_equal(pf_egress_next(&e, &m, &err), -EPIPE);
	pf_egress_kill(&e);
}

/* What it had told before it was killed is not lost, although something of ours was unread. */
/* It has told so much that nobody has read yet. */
static void await_told(const struct pf_egress *e, size_t least)
{
	int told = 0;

	while (ioctl(e->control, FIONREAD, &told) == 0 && (size_t)told < least)
		sched_yield();
}

static void a_proxy_that_is_killed(void **state)
{
	struct pf_egress e = PF_EGRESS_INIT;
	const struct pf_egress_options o = options(NULL);
	struct pf_error err = {0};
	union pf_egress_message m;
	char answer[4096];
	int pair[2];

	(void)state;
	assert_int_equal(pf_egress_start(&e, &o, &err), 0);
	ask(&e, 1, GET, answer, sizeof(answer));
	await_told(&e, sizeof(struct pf_egress_ready) + sizeof(struct pf_egress_report));
	kill(e.pid, SIGSTOP);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pf_egress_pass(&e, 2, pair[1], &err), 0);
	kill(e.pid, SIGKILL);
	assert_int_equal(next(&e, &m), 1);
	assert_int_equal(m.type, PF_EGRESS_READY);
	assert_int_equal(next(&e, &m), 1);
	assert_int_equal(m.report.kind, PF_EGRESS_DENIED);
	assert_int_equal(next(&e, &m), -EPIPE);
	close(pair[0]);
	pf_egress_kill(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_checked),	       cmocka_unit_test(setups_are_checked),
		cmocka_unit_test(it_refuses_without_rules),    cmocka_unit_test(all_rules_arrive),
		cmocka_unit_test(a_program_that_is_not_there), cmocka_unit_test(a_proxy_that_lies),
		cmocka_unit_test(a_proxy_that_is_killed),
	};
	char self[4000];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return 1;
	self[n] = '\0';
	snprintf(program, sizeof(program), "%s/../libexec/pinfold/pinfold-egress", dirname(self));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
