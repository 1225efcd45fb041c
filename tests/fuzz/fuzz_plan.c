/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the plan of an apply, or as what applies remember: refused, or taken with every path beneath
 * the workspace and every number of an entry within the set, and written back the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "workspace/apply_internal.h"

#define ITEMS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static void check_plan(const struct pf__plan *p)
{
	struct pf_buf first = {0}, second = {0};
	struct pf_error err = {0};
	struct pf__plan again;

	CHECK(p->count == ITEMS && strlen(p->stage) == PF__STAGE_MAX - 1 && !strchr(p->stage, '/'));
	for (size_t i = 0; i < p->shut_count; i++)
		CHECK(!*p->shut[i].path || pf__ws_path_ok(p->shut[i].path));
	for (size_t i = 0; i < p->only.count; i++)
		CHECK(strcmp(p->only.items[i], ".") == 0 || pf__ws_path_ok(p->only.items[i]));
	for (size_t i = 0; i < ITEMS; i++) {
		CHECK(p->moving || p->steps[i].kind == PF__STEP_NONE);
		CHECK(p->steps[i].from < ITEMS + PF__FROM_ITEM);
	}
	CHECK(pf__journal_print(p, &first) == 0);
	CHECK(pf__journal_parse(first.data, first.len, ITEMS, &again, &err) == 0);
	CHECK(pf__journal_print(&again, &second) == 0 && strcmp(first.data, second.data) == 0);
	pf__apply_plan_free(&again);
	pf_buf_free(&first);
	pf_buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *path;
	struct pf_error err = {0};
	struct pf__plan p;
	struct stat st;
	int64_t when;

	memcpy(text, data, size);
	text[size] = '\0';
	if (pf__journal_parse(text, size, ITEMS, &p, &err) == 0) {
		check_plan(&p);
		pf__apply_plan_free(&p);
	} else {
		CHECK(err.code < 0 && *err.msg);
	}
	if (pf__applied_parse(text, size, &path, &st, &when) == 0) {
		struct pf_buf line = {0};
		struct stat again;
		char *same;

		CHECK(pf__ws_path_ok(path));
		CHECK(pf__applied_line(path, &st, when, &line) == 0);
		CHECK(pf__applied_parse(line.data, line.len - 1, &same, &again, &when) == 0);
		CHECK(strcmp(path, same) == 0 && pf__ws_ctime_ns(&again) == pf__ws_ctime_ns(&st));
		free(same);
		free(path);
		pf_buf_free(&line);
	}
	free(text);
	return 0;
}
