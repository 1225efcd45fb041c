/* SPDX-License-Identifier: Apache-2.0 */
/* One sample of each control message, for test_msg.c and test_proto_limits.c. */
#ifndef PF_TESTS_UNIT_TEST_PROTO_SAMPLES_H
#define PF_TESTS_UNIT_TEST_PROTO_SAMPLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "proto/frame.h"
#include "proto/msg.h"

static char *list[] = {"sh", "", "-c", "echo \xff\xfe", NULL};

static const struct pf_msg_hello hello = {
	.version_min = 1,
	.version_max = 2,
	.features = 0x0102030405060708,
	.must = 1ull << 63,
	.root = PF_ROOT_READY,
	.init_uid = 65533,
	.init_gid = UINT32_MAX,
	.keep_caps = 0x1ff,
	.filter_options = 3,
	.cgroup_count = 5,
	.cgroup_kind = {PF_CGROUP_V1, PF_CGROUP_V2, PF_CGROUP_NONE, PF_CGROUP_V1, PF_CGROUP_V1},
	.rule_count = 2,
	.rules = {{7, "/"}, {0, "/work"}},
	.readonly = {2, (char *[]){"/etc", "/usr", NULL}},
	.canary = "/home/someone/.ssh",
	.door_port = PF_DOOR_PORT,
	.breaks = "",
};
static const struct pf_msg_prepare prepare = {.exec = PF_EXEC_MAX,
					      .uid = 1000,
					      .gid = 1001,
					      .caps = 5,
					      .tty = 1,
					      .want_stdin = 0,
					      .rows = 24,
					      .cols = 80};
static const struct pf_msg_start start = {.exec = 1,
					  .op = PF_OP_EXEC,
					  .argv = {4, list},
					  .env = {0, NULL},
					  .cwd = "/work",
					  .umask = 022,
					  .nofile = 1024,
					  .nproc = UINT64_MAX,
					  .launcher = 17};
static const struct pf_msg_signal signal_ = {.exec = 2, .signo = 64, .scope = PF_SIGNAL_ALL};
static const struct pf_msg_resize resize = {.exec = 3, .rows = 65535, .cols = 1};
static const struct pf_msg_welcome welcome = {.version = 1,
					      .features = 9,
					      .landlock_abi = 6,
					      .scoped = 1,
					      .dumpable = 2,
					      .door_err = EADDRINUSE,
					      .kernel = "Linux 6.18.44"};
static const struct pf_msg_ready ready = {
	.exec = 4,
	.pid = 17,
	.uid = 1000,
	.gid = 1000,
	.groups = 1,
	.cap_bnd = 1ull << 40,
	.no_new_privs = 1,
	.seccomp = 2,
	.landlock = 1,
	.seccomp_filters = 2,
	.ns = {1, 2, 3, 4, 5, 6, 7, UINT64_MAX},
	.try_count = 3,
	.tries = {{PF_TRY_SOCKET_UNIX, 0, ""},
		  {PF_TRY_WRITE_READONLY, EROFS, "/etc"},
		  {PF_TRY_LAST, EPERM, ""}},
};
static const struct pf_msg_started started = {.exec = 5, .err = ENOENT, .step = PF_STEP_LOOKUP};
static const struct pf_msg_exited exited = {
	.exec = 6, .signalled = 1, .core = 1, .value = 9, .user_us = 1, .system_us = 2, .max_rss_bytes = 3};
static const struct pf_msg_failed failed = {.exec = 0, .err = -EPERM, .text = "no"};
static const struct pf_msg_connected connected = {.conn = PF_DOOR_CONN_MAX};
static const struct pf_msg_turned_away turned_away = {.count = 3};

#endif
