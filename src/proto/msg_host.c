/* SPDX-License-Identifier: Apache-2.0 */
/* Messages from the host to pinfold-init: what each may contain, in the order of the struct. */
#include "proto/frame.h"
#include "proto/wire.h"

#define PATH	   PF_WIRE_PATH_MAX
#define RULE_MIN   8u /* bytes of a rule on the wire: its access and the length of its path */
#define SIGNAL_MAX 64

static void walk_rules(struct pf__wire *w, struct pf_msg_hello *m)
{
	pf__wire_count(w, &m->rule_count, PF_MSG_RULES_MAX, RULE_MIN, "rule_count");
	for (uint32_t i = 0; i < m->rule_count && !w->failed; i++) {
		pf__wire_u32(w, &m->rules[i].access);
		pf__wire_str(w, &m->rules[i].path, PATH, "the path of a rule");
	}
}

static void walk_hello(struct pf__wire *w, struct pf_msg_hello *m)
{
	pf__wire_u16(w, &m->version_min);
	pf__wire_u16(w, &m->version_max);
	pf__wire_range(w, m->version_max, m->version_min, UINT16_MAX, "version_max");
	pf__wire_u64(w, &m->features);
	pf__wire_u64(w, &m->must);
	pf__wire_u8(w, &m->root);
	pf__wire_range(w, m->root, PF_ROOT_READY, PF_ROOT_BUILD, "root");
	pf__wire_u32(w, &m->init_uid);
	pf__wire_u32(w, &m->init_gid);
	pf__wire_u64(w, &m->keep_caps);
	pf__wire_u32(w, &m->filter_options);
	pf__wire_count(w, &m->cgroup_count, sizeof(m->cgroup_kind), 1, "cgroup_count");
	for (uint32_t i = 0; i < m->cgroup_count && !w->failed; i++) {
		pf__wire_u8(w, &m->cgroup_kind[i]);
		pf__wire_range(w, m->cgroup_kind[i], PF_CGROUP_NONE, PF_CGROUP_V2, "cgroup_kind");
	}
	walk_rules(w, m);
	pf__wire_strs(w, &m->readonly, PF_ARGS_MAX, PATH, "readonly");
	pf__wire_str(w, &m->canary, PATH, "canary");
	pf__wire_u16(w, &m->door_port);
	pf__wire_str(w, &m->breaks, PATH, "breaks");
}

static void walk_prepare(struct pf__wire *w, struct pf_msg_prepare *m)
{
	pf__wire_exec(w, &m->exec);
	pf__wire_u32(w, &m->uid);
	pf__wire_u32(w, &m->gid);
	pf__wire_u64(w, &m->caps);
	pf__wire_bool(w, &m->tty, "tty");
	pf__wire_bool(w, &m->want_stdin, "want_stdin");
	pf__wire_u16(w, &m->rows);
	pf__wire_u16(w, &m->cols);
}

static void walk_start(struct pf__wire *w, struct pf_msg_start *m)
{
	bool file;

	pf__wire_exec(w, &m->exec);
	pf__wire_u8(w, &m->op);
	pf__wire_range(w, m->op, PF_OP_EXEC, PF_OP_BENEATH, "op");
	file = m->op != PF_OP_EXEC && m->op != PF_OP_LINE; /* then argv is [path] */
	pf__wire_strs(w, &m->argv, PF_ARGS_MAX, file ? PATH : PF_CONTROL_MAX, "argv");
	pf__wire_range(w, m->argv.count, 1, file ? 1 : PF_ARGS_MAX, "the count of argv");
	pf__wire_strs(w, &m->env, PF_ARGS_MAX, PF_CONTROL_MAX, "env");
	pf__wire_str(w, &m->cwd, PATH, "cwd");
	pf__wire_u32(w, &m->umask);
	pf__wire_range(w, m->umask, 0, 0777, "umask");
	pf__wire_u64(w, &m->nofile);
	pf__wire_u64(w, &m->nproc);
	pf__wire_bool(w, &m->last, "last");
	pf__wire_u32(w, &m->launcher);
}

static void walk_signal(struct pf__wire *w, struct pf_msg_signal *m)
{
	pf__wire_exec(w, &m->exec);
	pf__wire_u32(w, &m->signo);
	pf__wire_range(w, m->signo, 1, SIGNAL_MAX, "signo");
	pf__wire_u8(w, &m->scope);
	pf__wire_range(w, m->scope, PF_SIGNAL_FIRST, PF_SIGNAL_ALL, "scope");
}

static void walk_resize(struct pf__wire *w, struct pf_msg_resize *m)
{
	pf__wire_exec(w, &m->exec);
	pf__wire_u16(w, &m->rows);
	pf__wire_u16(w, &m->cols);
}

PF__WIRE_DEFINE(hello)
PF__WIRE_DEFINE(prepare)
PF__WIRE_DEFINE(start)
PF__WIRE_DEFINE(signal)
PF__WIRE_DEFINE(resize)
