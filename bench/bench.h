/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pieces of the runner. A table has rows; a row is a command that is run again and again, in turn
 * with the other rows, and one sample a run. Times are milliseconds; a run that failed has sample NAN.
 */
#ifndef PF_BENCH_H
#define PF_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct pf_sandbox;

struct row {
	const char *label;
	char **argv;  /* NULL-terminated, a part of main's */
	char **env;   /* NULL: ours */
	uid_t uid;    /* of the process that is started, and its gid; 0: ours */
	bool rival;   /* run where runtimes that refuse hybrid cgroups can (spawn.c) */
	bool live;    /* not a process of ours: an exec in the live sandbox */
	bool skipped; /* no warm-up run passed; why says what the first one said */
	char why[240];
	double target_ms;   /* of the median; 0: none */
	const char *target; /* no slower than the row of this label, by the median of pairs; or NULL */
	double *ms, *cpu;   /* samples, table.runs of each */
	unsigned failures, timeouts;
};

struct table {
	const char *title, *base; /* base: label of the row that ratios are to; NULL: the first */
	struct row *rows;
	size_t count;
	unsigned runs, warm, gap_us;
	unsigned timeout_ms;
	bool rivals_apart; /* is the second mount namespace a different one? */
};

struct sample {
	double ms, cpu; /* NAN: failed, or not known */
	bool timed_out;
	int status; /* as wait4 says; 0 passed */
};

/* spawn.c: processes */
int spawn_setup(struct table *t); /* namespaces, signals, /dev/null; -1 with a message on stderr */
/* err_fd: where its stderr goes, -1 for /dev/null. */
struct sample spawn_run(const struct table *t, const struct row *row, int err_fd);

/* exec.c: the live sandbox. options: "name=value", NULL-terminated. */
int live_open(const char *const *options, const char *libexec);
struct sample live_run(const struct table *t, const struct row *row, int err_fd);
void live_rest(unsigned us); /* let time pass; the sandbox is served meanwhile, if there is one */
void live_close(void);

/* stats.c */
double now_ms(void);
void print_table(const struct table *t, FILE *out);
int append_json(const struct table *t, const char *path);

#endif
