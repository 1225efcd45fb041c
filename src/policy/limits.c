/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits: one row each for its names, its kind and its bounds. Document, command line and printer go
 * through the rows, so that "--memory 2G" and "memory": "2G" cannot come to differ.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/policy_internal.h"

#define KiB    ((uint64_t)1 << 10)
#define MiB    ((uint64_t)1 << 20)
#define GiB    ((uint64_t)1 << 30)
#define SECOND ((uint64_t)1000)
#define HOUR   (3600 * SECOND)

#define SIZE_MAX_BYTES (1024 * 1024 * GiB) /* 1024T: doubled or counted in pages, it still fits 63 bits */
#define TIME_MAX       (8760 * HOUR)	   /* a year: in nanoseconds it still fits 64 bits */

/* DESIGN section 7. 60 s end what hangs; 256 processes are a parallel build, not a fork bomb. */
const struct pf_limits pf__limit_defaults = {
	.memory = 1 * GiB,
	.cpu_milli = 0,
	.processes = 256,
	.wall_ms = 60 * SECOND,
	.idle_ms = 0,
	.output = 64 * MiB,
	.output_inline = 1 * MiB,
	.disk = 0,
	.open_files = 1024,
};

#define FIELD(name) offsetof(struct pf_limits, name)

/*
 * Where the bounds come from: memory, below 4M init, a launcher and a shell do not start; cpus, a quota below
 * 1 ms in 100 ms is refused by the kernel; processes, the largest pid_max; open_files, the default of
 * fs.nr_open, and few programs start with less than 16; output_inline is held in the host's memory for each
 * stream.
 */
/* clang-format off */
const struct pf__limit pf__limits[] = {
	{"memory", {NULL}, PF_LIMIT_MEMORY, PF__SIZE, FIELD(memory), 4 * MiB, SIZE_MAX_BYTES,
	 "without it a command can take all memory of the host"},
	{"cpus", {NULL}, PF_LIMIT_CPUS, PF__CPUS, FIELD(cpu_milli), 10, 1000000, NULL},
	{"processes", {NULL}, PF_LIMIT_PROCESSES, PF__COUNT, FIELD(processes), 1, 4194304,
	 "without it a fork bomb takes the host's process table"},
	{"wall_time", {"timeout", "wall-time"}, PF_LIMIT_WALL, PF__DURATION, FIELD(wall_ms), 1, TIME_MAX, NULL},
	{"idle_time", {"idle-timeout", "idle-time"}, PF_LIMIT_IDLE, PF__DURATION, FIELD(idle_ms), 1, TIME_MAX, NULL},
	{"output", {"output-limit", NULL}, PF_LIMIT_OUTPUT, PF__SIZE, FIELD(output), 1, SIZE_MAX_BYTES,
	 "without it a command can fill the host's disk"},
	{"output_inline", {"output-inline", NULL}, 0, PF__SIZE, FIELD(output_inline), 1, 64 * MiB,
	 "it bounds what a result holds in memory"},
	{"disk", {NULL}, PF_LIMIT_DISK, PF__SIZE, FIELD(disk), 64 * KiB, SIZE_MAX_BYTES, NULL},
	{"open_files", {"open-files", NULL}, PF_LIMIT_OPEN_FILES, PF__COUNT, FIELD(open_files), 16, 1048576,
	 "without it a command can hold every open file that the host has"},
};
/* clang-format on */
const size_t pf__limit_count = PF_ARRAY_SIZE(pf__limits);

const struct pf__limit *pf__limit_find(const char *name)
{
	for (size_t i = 0; i < pf__limit_count; i++) {
		const struct pf__limit *l = &pf__limits[i];

		if (strcmp(l->key, name) == 0)
			return l;
		for (size_t j = 0; j < PF_ARRAY_SIZE(l->options); j++) {
			if (pf_streq(l->options[j], name))
				return l;
		}
	}
	return NULL;
}

static bool is_wide(const struct pf__limit *l)
{
	return l->kind == PF__SIZE || l->kind == PF__DURATION;
}

uint64_t pf__limit_get(const struct pf_limits *from, const struct pf__limit *l)
{
	const char *field = (const char *)from + l->offset;
	uint64_t wide;
	uint32_t narrow;

	if (is_wide(l)) {
		memcpy(&wide, field, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, field, sizeof(narrow));
	return narrow;
}

void pf__limit_put(struct pf_limits *to, const struct pf__limit *l, uint64_t value)
{
	char *field = (char *)to + l->offset;
	uint32_t narrow = (uint32_t)value;

	if (is_wide(l))
		memcpy(field, &value, sizeof(value));
	else
		memcpy(field, &narrow, sizeof(narrow));
	/* Who writes "--output-limit 100K" contradicts nothing that he wrote himself. */
	if (l->bit == PF_LIMIT_OUTPUT && to->output_inline == pf__limit_defaults.output_inline &&
	    to->output < to->output_inline)
		to->output_inline = to->output;
}

static const char *example(enum pf__limit_kind kind)
{
	switch (kind) {
	case PF__SIZE:
		return "a size such as \"512M\" or \"2G\"";
	case PF__DURATION:
		return "a time such as \"90s\" or \"5m\"";
	case PF__CPUS:
		return "a number of CPUs such as 0.5 or 2";
	case PF__COUNT:
		break;
	}
	return "a whole number";
}

/* A value with its unit, as it may be written. */
static void describe(const struct pf__limit *l, uint64_t value, char out[32])
{
	if (l->kind == PF__CPUS)
		snprintf(out, 32, "%g", (double)value / 1000);
	else if (l->kind == PF__COUNT)
		snprintf(out, 32, "%llu", (unsigned long long)value);
	else
		pf__limit_text(l, value, out);
}

static int bounded(const struct pf__limit *l, uint64_t v, uint64_t *value, struct pf_error *err)
{
	char low[32], high[32];

	if (v == 0 && !l->needed) {
		*value = 0;
		return 0;
	}
	if (v < l->min || v > l->max) {
		describe(l, l->min, low);
		describe(l, l->max, high);
		return pf_fail(err, -ERANGE, "must be from %s to %s", low, high);
	}
	*value = v;
	return 0;
}

static int refuse_none(const struct pf__limit *l, struct pf_error *err)
{
	return pf_fail(err, -EINVAL, "cannot be none: %s", l->needed);
}

/* "0" is a time too, though it has no unit, and no CPUs, though the strict reader wants some. */
static bool is_none(const struct pf__limit *l, const char *text)
{
	if (strcmp(text, "none") == 0)
		return true;
	return !l->needed && strcmp(text, "0") == 0;
}

static int read_text(const struct pf__limit *l, const char *text, uint64_t *v)
{
	uint32_t narrow;
	int r;

	switch (l->kind) {
	case PF__SIZE:
		return pf_parse_size(text, v);
	case PF__DURATION:
		return pf_parse_duration(text, v);
	case PF__CPUS:
		r = pf_parse_cpus(text, &narrow);
		break;
	case PF__COUNT:
	default:
		r = pf_parse_u32(text, &narrow);
		break;
	}
	if (r == 0)
		*v = narrow;
	return r;
}

int pf__limit_from_text(const struct pf__limit *l, const char *text, uint64_t *value, struct pf_error *err)
{
	char shown[PF__SHOWN_MAX];
	uint64_t v;
	int r;

	if (is_none(l, text)) {
		if (l->needed)
			return refuse_none(l, err);
		*value = 0;
		return 0;
	}
	r = read_text(l, text, &v);
	if (r == -ERANGE) /* 0 CPUs with some other spelling, or more than any number can hold */
		v = text[strspn(text, "0.")] ? UINT64_MAX : 0;
	else if (r < 0)
		return pf_fail(err, r, "%s is not %s", pf__shown(text, shown), example(l->kind));
	return bounded(l, v, value, err);
}

static int wrong_type(const struct pf__limit *l, const struct pf_json *v, struct pf_error *err)
{
	if (l->kind == PF__DURATION && v->type == PF_JSON_INT)
		return pf_fail(err, -EINVAL, "a number has no unit: write %s", example(l->kind));
	return pf_fail(err, -EINVAL, "expected %s%s, found %s", example(l->kind),
		       l->needed ? "" : ", or null", pf_json_type_name(v->type));
}

int pf__limit_from_json(const struct pf__limit *l, const struct pf_json *v, uint64_t *value,
			struct pf_error *err)
{
	bool number_ok = l->kind != PF__DURATION;

	if (v->type == PF_JSON_NULL) {
		if (l->needed)
			return refuse_none(l, err);
		*value = 0;
		return 0;
	}
	if (v->type == PF_JSON_STRING && l->kind != PF__COUNT)
		return pf__limit_from_text(l, v->str.s, value, err);
	if (v->type == PF_JSON_INT && number_ok) {
		/* Below 0 and beyond all bounds come to the same message. */
		uint64_t n = v->i < 0 ? UINT64_MAX : (uint64_t)v->i;

		if (l->kind == PF__CPUS)
			n = n > UINT32_MAX ? UINT64_MAX : n * 1000;
		return bounded(l, n, value, err);
	}
	if (v->type == PF_JSON_DOUBLE && l->kind == PF__CPUS) {
		if (!(v->d > 0 && v->d <= (double)l->max))
			return bounded(l, UINT64_MAX, value, err);
		/* To the nearest thousandth; what rounds to none is too little, not unlimited. */
		uint64_t milli = (uint64_t)(v->d * 1000 + 0.5);

		return bounded(l, milli ? milli : UINT64_MAX, value, err);
	}
	return wrong_type(l, v, err);
}

static void size_text(uint64_t v, char out[32])
{
	static const char units[] = "TGMK";

	for (unsigned i = 0; v && i < 4; i++) {
		unsigned shift = 40 - 10 * i;

		if (v % ((uint64_t)1 << shift) == 0) {
			snprintf(out, 32, "%llu%c", (unsigned long long)(v >> shift), units[i]);
			return;
		}
	}
	snprintf(out, 32, "%llu", (unsigned long long)v);
}

/* The largest unit of which there are at least two: a minute is "60s", as it is written everywhere else. */
void pf__limit_text(const struct pf__limit *l, uint64_t value, char out[32])
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = {{HOUR, "h"}, {60 * SECOND, "m"}, {SECOND, "s"}};

	if (l->kind == PF__SIZE) {
		size_text(value, out);
		return;
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(units); i++) {
		uint64_t n = value / units[i].ms;

		if (value % units[i].ms == 0 && n >= (units[i].ms == SECOND ? 1 : 2)) {
			snprintf(out, 32, "%llu%s", (unsigned long long)n, units[i].name);
			return;
		}
	}
	snprintf(out, 32, "%llums", (unsigned long long)value);
}
