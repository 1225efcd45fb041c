/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities, in children and through an execve, and the reader of /proc/PID/status. */
#include "linux/caps.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "linux/proc_status.h"

#define BIT(cap) (1ull << (cap))

/* In a child: say which line, and end it. */
#define MUST(cond)                                                                                           \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			dprintf(2, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #cond, strerror(errno));  \
			_exit(1);                                                                            \
		}                                                                                            \
	} while (0)

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(pf_cap_number("chown"), CAP_CHOWN);
	assert_int_equal(pf_cap_number("cap_chown"), CAP_CHOWN);
	assert_int_equal(pf_cap_number("cap_sys_admin"), CAP_SYS_ADMIN);
	assert_int_equal(pf_cap_number("setfcap"), CAP_SETFCAP);
	assert_int_equal(pf_cap_number("mknod"), CAP_MKNOD);
	assert_int_equal(pf_cap_number("checkpoint_restore"), CAP_CHECKPOINT_RESTORE);
	assert_int_equal(pf_cap_number(""), -1);
	assert_int_equal(pf_cap_number("cap_"), -1);
	assert_int_equal(pf_cap_number("cap_cap_chown"), -1);
	assert_int_equal(pf_cap_number("chown "), -1);
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		assert_int_equal(pf_cap_number(pf_cap_name(cap)), cap);
	assert_null(pf_cap_name(-1));
	assert_null(pf_cap_name(CAP_LAST_CAP + 1));
}

static void own_status(struct pf_proc_status *st)
{
	PF_AUTO_CLOSE int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	MUST(!pf_proc_status_read(proc, getpid(), st, NULL));
}

static void body_drop(void)
{
	const struct pf_caps some = {.effective = BIT(CAP_CHOWN) | BIT(CAP_SYSLOG),
				     .permitted = BIT(CAP_CHOWN) | BIT(CAP_SYSLOG) | BIT(CAP_SETPCAP),
				     .inheritable = BIT(CAP_FOWNER)};
	struct pf_caps got;
	struct pf_proc_status st;

	MUST(!pf_caps_bound(BIT(CAP_CHOWN) | BIT(CAP_FOWNER), NULL));
	own_status(&st);
	MUST(st.cap_bnd == (BIT(CAP_CHOWN) | BIT(CAP_FOWNER)));
	MUST(!pf_caps_set(&some, NULL) && !pf_caps_get(&got));
	MUST(!memcmp(&got, &some, sizeof(got)));
	/* Effective without CAP_SETPCAP: what is gone already is no error, what is not is. */
	MUST(!pf_caps_bound(BIT(CAP_CHOWN) | BIT(CAP_FOWNER), NULL));
	MUST(pf_caps_bound(0, NULL) == -EPERM);
	MUST(pf_caps_set(&(struct pf_caps){.permitted = BIT(CAP_SYS_ADMIN)}, NULL) == -EPERM);
	MUST(!pf_caps_ambient(0, NULL));
	own_status(&st);
	MUST(!st.cap_inh && !st.cap_prm && !st.cap_eff && !st.cap_amb);
}

/* What a program of a uid that is not 0 has after an execve: exactly the ambient set. */
static void body_ambient(void)
{
	const uint64_t set = BIT(CAP_CHOWN) | BIT(CAP_FSETID);
	char want[64], script[256];

	MUST(!pf_caps_bound(set, NULL));
	MUST(!prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	MUST(!setgroups(0, NULL) && !setresgid(1234, 1234, 1234) && !setresuid(1234, 1234, 1234));
	MUST(!pf_caps_ambient(set, NULL));
	MUST(pf_caps_ambient(BIT(CAP_CHOWN) | BIT(CAP_KILL), NULL) == -EPERM);
	MUST(!pf_caps_ambient(set, NULL));
	snprintf(want, sizeof(want), "%016llx", (unsigned long long)set);
	snprintf(
		script, sizeof(script),
		"for s in Inh Prm Eff Bnd Amb; do grep -q \"^Cap$s:\t%s$\" /proc/self/status || exit 1; done",
		want);
	execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	_exit(126);
}

static void as_root(void (*body)(void))
{
	int status;
	pid_t pid;

	if (geteuid()) {
		print_message("skipped: needs root\n");
		skip();
	}
	pid = fork();
	if (!pid) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_drop(void **state)
{
	(void)state;
	as_root(body_drop);
}

static void test_ambient(void **state)
{
	(void)state;
	as_root(body_ambient);
}

/* --- /proc/PID/status --- */

#define IDS "Uid:\t1\t2\t3\t4294967295\nGid:\t5\t6\t7\t8\n"
#define CAPS                                                                                                 \
	"CapInh:\t0000000000000001\nCapPrm:\tffffffffffffffff\nCapEff:\t0000000000000002\nCapBnd:"           \
	"\t000001ffffffffff\n"
#define REST "CapAmb:\t0000000000000000\n"
#define HEAD "Name:\tsh\nState:\tS (sleeping)\nPPid:\t7\n"

static int parse(const char *text, struct pf_proc_status *st)
{
	struct pf_error err = {0};
	int r = pf__proc_status_parse(text, strlen(text), st, &err);

	assert_int_equal(r, err.code);
	return r;
}

static void test_parse(void **state)
{
	struct pf_proc_status st;

	(void)state;
	assert_int_equal(parse(HEAD IDS "Groups:\t4 20 24 \n" CAPS REST
					"NSpid:\t4000\t12\t3\nNoNewPrivs:\t1\nSeccomp:\t2\n"
					"Seccomp_filters:\t2\nSpeculation_Store_Bypass:\tvulnerable\n",
			       &st),
			 0);
	assert_true(st.uid[0] == 1 && st.uid[3] == UINT32_MAX && st.gid[0] == 5 && st.gid[3] == 8);
	assert_true(st.groups == 3 && st.group[0] == 4 && st.group[2] == 24);
	assert_true(st.cap_inh == 1 && st.cap_prm == UINT64_MAX && st.cap_eff == 2 &&
		    st.cap_bnd == 0x1ffffffffff);
	assert_true(st.no_new_privs == 1 && st.seccomp == 2 && st.seccomp_filters == 2);
	assert_true(st.nspid == 3 && st.ppid == 7 && st.state == 'S');
	assert_int_equal(parse(HEAD IDS "Groups:\t\n" CAPS REST, &st), 0);
	assert_true(st.groups == 0 && st.no_new_privs == -1 && st.seccomp == -1);
	assert_true(st.seccomp_filters == -1 && st.nspid == -1);
	assert_int_equal(
		parse(HEAD IDS "Groups:\t1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18\n" CAPS REST, &st), 0);
	assert_true(st.groups == 18 && st.group[15] == 16);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		HEAD IDS CAPS REST,						 /* no groups */
		HEAD IDS "Groups:\t\n" CAPS,					 /* no ambient set */
		HEAD "Uid:\t1\t2\t3\nGid:\t5\t6\t7\t8\nGroups:\t\n" CAPS REST,	 /* three */
		HEAD "Uid:\t1 2 3 4 5\nGid:\t5\t6\t7\t8\nGroups:\t\n" CAPS REST, /* five */
		HEAD "Uid:\t1 2 3 4294967296\nGid:\t5\t6\t7\t8\nGroups:\t\n" CAPS REST,
		HEAD "Uid:\t1 2 3 -1\nGid:\t5\t6\t7\t8\nGroups:\t\n" CAPS REST,
		HEAD IDS "Groups:\tx\n" CAPS REST,
		HEAD IDS "Groups:\t\n" CAPS "CapAmb:\t\n",
		HEAD IDS "Groups:\t\n" CAPS "CapAmb:\t10000000000000000\n", /* 65 bits */
		HEAD IDS "Groups:\t\n" CAPS "CapAmb:\t0 0\n",
		HEAD IDS "Groups:\t\n" CAPS "CapAmb:\t0g\n",
		HEAD IDS "Groups:\t\n" CAPS REST REST, /* twice */
		HEAD IDS "Groups:\t\n" CAPS REST "Seccomp:\t2\nSeccomp:\t2\n",
		HEAD IDS "Groups:\t\n" CAPS REST "Seccomp:\t2147483648\n",
		HEAD IDS "Groups:\t\n" CAPS REST "NSpid:\n",
		HEAD IDS "Groups:\t\n" CAPS REST "Seccomp:\t2", /* cut off */
		HEAD IDS "Groups:\t\n" CAPS REST "no colon\n",
	};
	struct pf_proc_status st, before;

	(void)state;
	memset(&st, 0x5a, sizeof(st));
	before = st;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse(bad[i], &st), -EBADMSG);
		assert_memory_equal(&st, &before, sizeof(st));
	}
}

static void test_read(void **state)
{
	PF_AUTO_CLOSE int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct pf_proc_status st;
	struct pf_error err;
	uid_t r, e, s;
	pid_t pid;

	(void)state;
	assert_int_equal(getresuid(&r, &e, &s), 0);
	assert_int_equal(pf_proc_status_read(proc, getpid(), &st, &err), 0);
	assert_true(st.uid[0] == r && st.uid[1] == e && st.uid[2] == s && st.ppid == getppid());
	assert_true(st.state == 'R' && st.no_new_privs == 0);
	assert_int_equal(st.groups, getgroups(0, NULL));
	pid = fork();
	if (!pid) {
		/* A name that looks like other lines: the kernel escapes it. */
		prctl(PR_SET_NAME, "x\nUid:\t0\t0");
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		kill(getpid(), SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	assert_int_equal(pf_proc_status_read(proc, pid, &st, &err), 0);
	assert_true(st.state == 'T' && st.no_new_privs == 1 && st.ppid == getpid());
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(pf_proc_status_read(proc, pid, &st, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_drop),
		cmocka_unit_test(test_ambient),	      cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses), cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
