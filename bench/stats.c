/* SPDX-License-Identifier: Apache-2.0 */
/* What the samples of a table say: quantiles, ratios, whether targets were met; as text and as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "bench.h"

double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The q-quantile of what is a number in v, interpolated; NAN if nothing is. */
static double quantile(const double *v, unsigned n, double q)
{
	double *sorted = malloc(n * sizeof(*sorted) + 1), at, result = NAN;
	unsigned i, m = 0;

	for (i = 0; sorted && i < n; i++)
		if (!isnan(v[i]))
			sorted[m++] = v[i];
	if (m > 0) {
		qsort(sorted, m, sizeof(*sorted), by_value);
		at = q * (m - 1);
		i = (unsigned)at;
		result = sorted[i];
		if (i + 1 < m)
			result += (at - i) * (sorted[i + 1] - sorted[i]);
	}
	free(sorted);
	return result;
}

static double median(const struct table *t, const struct row *row)
{
	return quantile(row->ms, t->runs, 0.5);
}

/* Median of the ratios of runs that stood side by side: a slow moment of the machine falls on both. */
static double pair_ratio(const struct table *t, const struct row *row, const struct row *base)
{
	double *ratios = malloc(t->runs * sizeof(*ratios) + 1), result = NAN;
	unsigned i;

	for (i = 0; ratios && i < t->runs; i++)
		ratios[i] = row->ms[i] / base->ms[i]; /* NAN if either failed */
	if (ratios)
		result = quantile(ratios, t->runs, 0.5);
	free(ratios);
	return result;
}

static const struct row *find_row(const struct table *t, const char *label)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		if (!label || strcmp(t->rows[i].label, label) == 0)
			return &t->rows[i];
	return NULL;
}

/* "met", "missed", or NULL when there is no target or nothing to hold it against. */
static const char *verdict(const struct table *t, const struct row *row)
{
	const struct row *other;
	double value, limit;

	if (row->target) {
		other = find_row(t, row->target);
		value = other ? pair_ratio(t, row, other) : NAN;
		limit = 1;
	} else {
		value = median(t, row);
		limit = row->target_ms > 0 ? row->target_ms : NAN;
	}
	if (isnan(value) || isnan(limit))
		return NULL;
	return value <= limit ? "met" : "missed";
}

static void print_number(FILE *out, double v, int width, int digits)
{
	if (isnan(v))
		fprintf(out, "%*s", width, "-");
	else
		fprintf(out, "%*.*f", width, digits, v);
}

static void print_verdict(const struct table *t, const struct row *row, FILE *out)
{
	const char *word = verdict(t, row);

	if (!row->target && row->target_ms <= 0)
		return;
	fprintf(out, "  target %s: ", word ? word : "unknown");
	if (!row->target)
		fprintf(out, "median at most %g ms", row->target_ms);
	else
		fprintf(out, "no slower than %s", row->target);
	if (row->target && word)
		fprintf(out, " (pairs %.2f)", pair_ratio(t, row, find_row(t, row->target)));
}

static void print_row(const struct table *t, const struct row *row, const struct row *base, FILE *out)
{
	unsigned failed = row->failures + row->timeouts;

	fprintf(out, "  %-44s", row->label);
	print_number(out, quantile(row->ms, t->runs, 0), 9, 3);
	print_number(out, quantile(row->ms, t->runs, 0.25), 9, 3);
	print_number(out, median(t, row), 9, 3);
	print_number(out, quantile(row->ms, t->runs, 0.75), 9, 3);
	print_number(out, quantile(row->cpu, t->runs, 0.5), 8, 2);
	fprintf(out, "%5u%5u", t->runs - failed, failed);
	print_number(out, base ? median(t, row) / median(t, base) : NAN, 8, 2);
	print_number(out, base ? pair_ratio(t, row, base) : NAN, 7, 2);
	print_verdict(t, row, out);
	fprintf(out, "\n");
}

void print_table(const struct table *t, FILE *out)
{
	const struct row *base = find_row(t, t->base);
	size_t i;

	fprintf(out, "\n%s\n", t->title);
	fprintf(out, "  %-44s%9s%9s%9s%9s%8s%5s%5s%8s%7s\n", "ms", "min", "p25", "median", "p75", "cpu", "n",
		"fail", "ratio", "pairs");
	for (i = 0; i < t->count; i++)
		if (!t->rows[i].skipped)
			print_row(t, &t->rows[i], base, out);
	for (i = 0; i < t->count; i++)
		if (t->rows[i].skipped)
			fprintf(out, "  %-44s  not measured: %s\n", t->rows[i].label, t->rows[i].why);
	if (base)
		fprintf(out, "  ratio and pairs: to \"%s\"\n", base->label);
}

/* --- JSON ---------------------------------------------------------------------------------- */

/* Four digits behind the point: 0.1 us is finer than any of this. */
static void number(struct pf_jsonw *w, double v)
{
	if (isnan(v))
		pf_jsonw_null(w);
	else
		pf_jsonw_double(w, round(v * 1e4) / 1e4);
}

static void key_number(struct pf_jsonw *w, const char *key, double v)
{
	pf_jsonw_key(w, key);
	number(w, v);
}

static void key_samples(struct pf_jsonw *w, const struct table *t, const struct row *row)
{
	unsigned i;

	pf_jsonw_key(w, "samples_ms");
	pf_jsonw_begin(w, '[');
	for (i = 0; i < t->runs; i++)
		number(w, row->ms[i]);
	pf_jsonw_end(w, ']');
}

static void json_row(struct pf_jsonw *w, const struct table *t, const struct row *row, const struct row *base)
{
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "label", row->label);
	pf_jsonw_kstr(w, "not_measured", row->skipped ? row->why : NULL);
	key_number(w, "min_ms", quantile(row->ms, t->runs, 0));
	key_number(w, "p25_ms", quantile(row->ms, t->runs, 0.25));
	key_number(w, "median_ms", median(t, row));
	key_number(w, "p75_ms", quantile(row->ms, t->runs, 0.75));
	key_number(w, "cpu_ms", quantile(row->cpu, t->runs, 0.5));
	pf_jsonw_kint(w, "failures", row->failures);
	pf_jsonw_kint(w, "timeouts", row->timeouts);
	key_number(w, "ratio_of_medians", base ? median(t, row) / median(t, base) : NAN);
	key_number(w, "median_of_pairs", base ? pair_ratio(t, row, base) : NAN);
	key_number(w, "target_ms", row->target_ms > 0 ? row->target_ms : NAN);
	pf_jsonw_kstr(w, "target_row", row->target);
	pf_jsonw_kstr(w, "target", verdict(t, row));
	key_samples(w, t, row);
	pf_jsonw_end(w, '}');
}

int append_json(const struct table *t, const char *path)
{
	const struct row *base = find_row(t, t->base);
	PF_AUTO_BUF struct pf_buf text = {0};
	struct pf_jsonw w;
	FILE *out;
	size_t i;
	int r;

	pf_jsonw_init(&w, &text, 0);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kstr(&w, "title", t->title);
	pf_jsonw_kstr(&w, "base", base ? base->label : NULL);
	pf_jsonw_kint(&w, "runs", t->runs);
	pf_jsonw_kint(&w, "gap_us", t->gap_us);
	pf_jsonw_key(&w, "rows");
	pf_jsonw_begin(&w, '[');
	for (i = 0; i < t->count; i++)
		json_row(&w, t, &t->rows[i], base);
	pf_jsonw_end(&w, ']');
	pf_jsonw_end(&w, '}');
	out = text.failed ? NULL : fopen(path, "a");
	if (!out)
		return -1;
	fprintf(out, "%s\n", text.data);
	r = ferror(out) ? -1 : 0;
	return fclose(out) == 0 ? r : -1;
}
