/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner: run the rows of one table in turn, A B C A B C ..., and say how long each took.
 *
 *	runner [-n RUNS] [-w WARM] [-g GAP_US] [-t TIMEOUT_MS] [-b BASE_LABEL] [-j FILE] [-T TITLE]
 *	       [-L LIBEXEC] [-o NAME=VALUE]... -- LABEL [@ATTRIBUTE]... COMMAND [ARG]... [--- LABEL ...]
 *
 * -j appends the table as one line of JSON. -o gives the live sandbox an option of its policy. Attributes:
 *	@rival          start it in a mount namespace without /sys/fs/cgroup/unified
 *	@uid=N          as this user and group, without further groups
 *	@env=K=V        one more variable (again for more)
 *	@live           an exec in the live sandbox, which is created when a row wants it
 *	@target=0.3ms   print whether the median is no more than this
 *	@target=LABEL   print whether the row is no slower than that one
 * A row of which no warm-up run passes is not measured; the table says what its first run said.
 */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "bench.h"

extern char **environ;

static volatile sig_atomic_t stopped;

static void on_stop(int signo)
{
	(void)signo;
	stopped = 1;
}

static int complain(const char *what, const char *about)
{
	fprintf(stderr, "runner: %s: %s\n", about, what);
	return -1;
}

/* --- arguments ------------------------------------------------------------------------------ */

static int add_env(struct row *row, char *pair)
{
	char **old = row->env ? row->env : environ, **env;
	size_t n = 0;

	while (old[n])
		n++;
	env = calloc(n + 2, sizeof(*env));
	if (!env)
		return complain("no memory", row->label);
	/* the first of two entries of a name counts */
	env[0] = pair;
	memcpy(env + 1, old, n * sizeof(*env));
	if (row->env)
		free(row->env);
	row->env = env;
	return 0;
}

static int set_target(struct row *row, char *value)
{
	char *end;

	row->target_ms = strtod(value, &end);
	if (end == value || strcmp(end, "ms") != 0) {
		row->target_ms = 0;
		row->target = value;
	}
	return 0;
}

static int add_attribute(struct row *row, char *word)
{
	if (strcmp(word, "@rival") == 0)
		row->rival = true;
	else if (strcmp(word, "@live") == 0)
		row->live = true;
	else if (pf_has_prefix(word, "@uid="))
		return pf_parse_u32(word + 5, &row->uid) < 0 ? complain("not a uid", word) : 0;
	else if (pf_has_prefix(word, "@env="))
		return add_env(row, word + 5);
	else if (pf_has_prefix(word, "@target="))
		return set_target(row, word + 8);
	else
		return complain("unknown attribute", word);
	return 0;
}

/* One row, from words that end with NULL. */
static int add_row(struct table *t, char **words)
{
	struct row *row = &t->rows[t->count];

	row->label = *words;
	if (!row->label)
		return complain("a row without a label", "---");
	for (words++; *words && **words == '@'; words++)
		if (add_attribute(row, *words) < 0)
			return -1;
	if (!*words)
		return complain("a row without a command", row->label);
	row->argv = words;
	row->ms = malloc(t->runs * sizeof(*row->ms));
	row->cpu = malloc(t->runs * sizeof(*row->cpu));
	if (!row->ms || !row->cpu)
		return complain("no memory", row->label);
	t->count++;
	return 0;
}

static int add_rows(struct table *t, char **words)
{
	char **from = words;
	size_t n = 1;

	for (; *words; words++)
		n += strcmp(*words, "---") == 0;
	t->rows = calloc(n, sizeof(*t->rows));
	if (!t->rows)
		return complain("no memory", "rows");
	for (words = from; *words; words++) {
		if (strcmp(*words, "---") != 0)
			continue;
		*words = NULL;
		if (add_row(t, from) < 0)
			return -1;
		from = words + 1;
	}
	return add_row(t, from);
}

struct options {
	const char *json, *libexec;
	const char *live[32]; /* NULL-terminated */
	size_t live_count;
};

static int number(const char *text, unsigned *out)
{
	return pf_parse_u32(text, out) < 0 || *out > 1000000 ? complain("not a number up to a million", text)
							     : 0;
}

static int read_option(struct table *t, struct options *o, int c)
{
	switch (c) {
	case 'n':
		return number(optarg, &t->runs) < 0 || t->runs == 0 ? -1 : 0;
	case 'w':
		return number(optarg, &t->warm);
	case 'g':
		return number(optarg, &t->gap_us);
	case 't':
		return number(optarg, &t->timeout_ms) < 0 || t->timeout_ms == 0 ? -1 : 0;
	case 'b':
		t->base = optarg;
		return 0;
	case 'T':
		t->title = optarg;
		return 0;
	case 'j':
		o->json = optarg;
		return 0;
	case 'L':
		o->libexec = optarg;
		return 0;
	case 'o':
		if (o->live_count + 1 >= sizeof(o->live) / sizeof(*o->live))
			return complain("too many of -o", optarg);
		o->live[o->live_count++] = optarg;
		return 0;
	default:
		return -1;
	}
}

/* --- running -------------------------------------------------------------------------------- */

static struct sample run_row(const struct table *t, const struct row *row, int err_fd)
{
	live_rest(t->gap_us);
	return (row->live ? live_run : spawn_run)(t, row, err_fd);
}

static void describe_end(const struct sample *s, char *out, size_t cap)
{
	if (s->timed_out)
		snprintf(out, cap, "time is up");
	else if (s->status < 0)
		snprintf(out, cap, "it did not run");
	else if (WIFSIGNALED(s->status))
		snprintf(out, cap, "signal %d", WTERMSIG(s->status));
	else
		snprintf(out, cap, "exit %d", WEXITSTATUS(s->status));
}

/* How a first run that failed ended and what it left in fd, as one line. */
static void keep_reason(struct row *row, int fd, const struct sample *s)
{
	char text[160] = "", end[32], *p;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	for (p = text; *p; p++)
		if (*p == '\n')
			*p = p[1] ? ' ' : '\0';
	describe_end(s, end, sizeof(end));
	snprintf(row->why, sizeof(row->why), "%s%s%s", end, *text ? ": " : "", text);
}

static int warm_up(struct table *t, struct row *row)
{
	unsigned i, passed = 0;
	struct sample s;
	int fd = memfd_create("stderr", MFD_CLOEXEC);

	if (fd < 0)
		return complain("no file for its stderr", row->label);
	for (i = 0; i < t->warm && !stopped; i++) {
		s = run_row(t, row, i == 0 ? fd : -1);
		passed += s.status == 0 && !s.timed_out;
		if (i == 0 && (s.status != 0 || s.timed_out))
			keep_reason(row, fd, &s);
	}
	row->skipped = t->warm > 0 && passed == 0;
	close(fd);
	return 0;
}

static void measure(struct table *t, struct row *row, unsigned i)
{
	struct sample s = {NAN, NAN, false, -1};

	if (!row->skipped)
		s = run_row(t, row, -1);
	row->ms[i] = s.ms;
	row->cpu[i] = s.cpu;
	row->timeouts += s.timed_out;
	row->failures += !s.timed_out && s.status != 0;
}

static int run_table(struct table *t)
{
	unsigned i;
	size_t k;

	for (k = 0; k < t->count && !stopped; k++)
		if (warm_up(t, &t->rows[k]) < 0)
			return -1;
	for (i = 0; i < t->runs && !stopped; i++)
		for (k = 0; k < t->count && !stopped; k++)
			measure(t, &t->rows[k], i);
	return stopped ? complain("stopped by a signal", t->title) : 0;
}

static bool wants_live(const struct table *t)
{
	size_t k;

	for (k = 0; k < t->count; k++)
		if (t->rows[k].live)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct table t = {.title = "", .runs = 50, .warm = 3, .timeout_ms = 10000};
	struct sigaction action = {.sa_handler = on_stop};
	struct options o = {0};
	int c, r;

	while ((c = getopt(argc, argv, "+n:w:g:t:b:T:j:L:o:")) >= 0)
		if (read_option(&t, &o, c) < 0)
			return 2;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (add_rows(&t, argv + optind) < 0 || spawn_setup(&t) < 0)
		return 2;
	if (wants_live(&t) && live_open(o.live, o.libexec) < 0)
		return 1;
	r = run_table(&t);
	live_close();
	if (r < 0)
		return 1;
	print_table(&t, stdout);
	return o.json && append_json(&t, o.json) < 0 ? 1 : 0;
}
