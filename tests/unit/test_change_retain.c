/* SPDX-License-Identifier: Apache-2.0 */
/* How long change sets are kept, and when that is looked at. And the plan of an apply, written and read. */
#include "test_workspace.h"

#include <sys/file.h>
#include <time.h>

#include "workspace/apply_internal.h"

#define DAY 86400

/* A set of so many bytes (in its only file), so old. Its id is t000N. */
static void keep(struct place *p, size_t bytes, int64_t age)
{
	struct timespec when[2] = {{time(NULL) - age, 0}, {time(NULL) - age, 0}};
	struct pf_changeset c;
	char *big = calloc(1, bytes + 1), name[16], meta[64];

	snprintf(name, sizeof(name), "f%u", p->serial + 1);
	memset(big, 'x', bytes);
	put_bytes(p->upper, name, big, bytes, 0644);
	free(big);
	collect(p, &c);
	assert_true(c.bytes >= bytes);
	snprintf(meta, sizeof(meta), "%s/meta.json", c.id);
	assert_int_equal(utimensat(p->changes, meta, when, 0), 0);
	assert_int_equal(unlinkat(p->upper, name, 0), 0);
	pf_change_free(&c);
}

static void assert_kept(struct place *p, const char *want)
{
	struct pf_error err = {0};
	struct pf_list ids;
	struct pf_buf b = {0};

	check(&err, pf_change_list(p->changes, &ids, &err));
	for (size_t i = 0; i < ids.count; i++)
		pf_buf_addf(&b, "%s ", ids.items[i]);
	assert_string_equal(b.data ? b.data : "", want);
	pf_list_free(&ids);
	pf_buf_free(&b);
}

static void retain(struct place *p, const char * not, uint64_t bytes, unsigned want)
{
	struct pf_error err = {0};
	unsigned dropped;

	check(&err, pf__retain(p->changes, not, (int64_t)time(NULL), 7 * DAY, bytes, &dropped, &err));
	assert_int_equal(dropped, want);
}

static void test_age(void **state)
{
	struct place *p = *state;

	keep(p, 10, 8 * DAY);
	keep(p, 10, 6 * DAY);
	keep(p, 10, 0);
	retain(p, NULL, UINT64_MAX / 2, 1);
	assert_kept(p, "t0002 t0003 ");
	assert_false(exists(p->changes, ".t0001"));
}

/* The newest stays, however old it is: it may be the one that somebody looks at next week. */
static void test_newest(void **state)
{
	struct place *p = *state;

	keep(p, 10, 30 * DAY);
	keep(p, 100000, 20 * DAY);
	retain(p, NULL, 1000, 1);
	assert_kept(p, "t0002 ");
}

static void test_size(void **state)
{
	struct place *p = *state;

	for (int i = 0; i < 5; i++)
		keep(p, 100000, 500 - 100 * i);
	retain(p, NULL, 350000, 2);
	assert_kept(p, "t0003 t0004 t0005 ");
	retain(p, NULL, 350000, 0);
	retain(p, "t0003", 1, 1);
	assert_kept(p, "t0003 t0005 ");
}

/* What is half applied, or at work, is nobody's to drop. */
static void test_busy(void **state)
{
	struct place *p = *state;
	int lock;

	for (int i = 0; i < 4; i++)
		keep(p, 100000, 10 * DAY - i);
	put(p->changes, "t0001/plan", "");
	lock = openat(p->changes, "t0002", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	retain(p, NULL, 1, 1);
	assert_kept(p, "t0001 t0002 t0004 ");
	close(lock);
}

/* One whose list cannot be read goes by its age. */
static void test_unreadable(void **state)
{
	const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct place *p = *state;

	keep(p, 10, 1);
	keep(p, 10, 0);
	put(p->changes, "t0001/meta.json", "{");
	retain(p, NULL, 1000000, 0);
	assert_int_equal(utimensat(p->changes, "t0001/meta.json", old, 0), 0);
	retain(p, NULL, 1000000, 1);
	assert_kept(p, "t0002 ");
}

static int64_t sum_of(struct place *p)
{
	struct pf_buf b = {0};
	struct pf_json_doc *doc = NULL;
	struct pf_error err = {0};
	int64_t bytes;

	assert_int_equal(pf_read_file(p->changes, ".kept.json", &b, 1000), 0);
	check(&err, pf_json_parse(b.data, b.len, 0, &doc, &err));
	bytes = pf_json_get(pf_json_root(doc), "bytes")->i;
	pf_json_free(doc);
	pf_buf_free(&b);
	return bytes;
}

/* With each that is kept only a sum grows; everything is looked at when it is above the bound, old or
 * damaged. */
static void test_sum(void **state)
{
	struct place *p = *state;
	int64_t first;
	char text[100];

	keep(p, 100000, 8 * DAY);
	first = sum_of(p);
	assert_in_range(first, 100000, 200000);
	keep(p, 100000, 0);
	assert_in_range(sum_of(p), 2 * first - 5000, 2 * first + 5000);
	assert_kept(p, "t0001 t0002 "); /* nobody looked */
	snprintf(text, sizeof(text), "{\"bytes\":%lld,\"looked\":%lld}\n", (long long)PF_CHANGES_KEEP_BYTES,
		 (long long)time(NULL));
	put(p->changes, ".kept.json", text);
	keep(p, 10, 0);
	assert_kept(p, "t0002 t0003 ");
	assert_in_range(sum_of(p), first, first + 10000);
	keep(p, 10, 9 * DAY);
	put(p->changes, ".kept.json", "{\"bytes\":10,\"looked\":1000}\n");
	keep(p, 10, 0);
	assert_kept(p, "t0002 t0003 t0005 ");
	keep(p, 10, 9 * DAY);
	put(p->changes, ".kept.json", "damaged");
	keep(p, 10, 0);
	assert_kept(p, "t0002 t0003 t0005 t0007 ");
}

/* --- the plan ------------------------------------------------------------------------------- */

#define HEAD                                                                                                 \
	"{\"schema\":1,\"id\":\"t1\",\"moving\":true,\"stage\":\".pinfold-apply-"                            \
	"0123456789abcdef0123456789abcdef\","                                                                \
	"\"place\":[1,2,-3],\"items\":3}\n"

static int parse(const char *text, struct pf__plan *out)
{
	struct pf_error err = {0};
	int r = pf__journal_parse(text, strlen(text), 3, out, &err);

	assert_true(r == 0 || (err.code == r && *err.msg));
	return r;
}

static void test_plan_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"{}\n",
		"[]\n",
		HEAD,
		HEAD "{\"end\":2}\n",
		HEAD "{\"end\":1}",
		HEAD "{\"end\":1}\n{\"end\":2}\n",
		HEAD HEAD "{\"end\":2}\n",
		"{\"end\":0}\n",
		HEAD "{\"only\":\"../x\"}\n{\"end\":2}\n",
		HEAD "{\"only\":\"/x\"}\n{\"end\":2}\n",
		HEAD "{\"only\":\"x\",\"more\":1}\n{\"end\":2}\n",
		HEAD "{\"shut\":\"../x\",\"mode\":1}\n{\"end\":2}\n",
		HEAD "{\"shut\":\"x\",\"mode\":65536}\n{\"end\":2}\n",
		HEAD "{\"shut\":\"x\"}\n{\"end\":2}\n",
		HEAD "{\"i\":3,\"kind\":\"r\",\"was\":[33188,1,1,1,1,1]}\n{\"end\":2}\n",
		HEAD "{\"i\":-1,\"kind\":\"r\",\"was\":[33188,1,1,1,1,1]}\n{\"end\":2}\n",
		HEAD "{\"i\":0,\"kind\":\"x\",\"was\":[33188,1,1,1,1,1]}\n{\"end\":2}\n",
		HEAD "{\"i\":0,\"kind\":\"r\"}\n{\"end\":2}\n",
		HEAD "{\"i\":0,\"kind\":\"r\",\"mode\":1,\"was\":[33188,1,1,1,1,1]}\n{\"end\":2}\n",
		HEAD "{\"i\":0,\"kind\":\"m\",\"was\":[33188,1,1,1,1,1]}\n{\"end\":2}\n",
		HEAD "{\"i\":0,\"kind\":\"p\",\"mode\":420}\n{\"end\":2}\n",
		HEAD
		"{\"i\":0,\"kind\":\"p\",\"mode\":420,\"owner\":[-1,0],\"staged\":[1,1,1]}\n{\"end\":2}\n",
		HEAD "{\"i\":0,\"kind\":\"p\",\"mode\":420,\"owner\":[0,0],\"staged\":[1,1]}\n{\"end\":2}\n",
		HEAD "{\"i\":0,\"kind\":\"p\",\"mode\":420,\"owner\":[0,0],\"staged\":[1,1,1],\"from\":0}\n{"
		     "\"end\":2}\n",
		HEAD "{\"i\":0,\"kind\":\"p\",\"mode\":420,\"owner\":[0,0],\"staged\":[1,1,1],\"from\":5}\n{"
		     "\"end\":2}\n",
		HEAD "{\"i\":1,\"kind\":\"r\",\"was\":[33188,1,1,1,1,1]}\n{\"i\":1,\"kind\":\"r\",\"was\":["
		     "33188,1,1,1,1,1]}\n"
		     "{\"end\":3}\n",
	};
	static const char *const stages[] = {"x", ".pinfold-apply-",
					     "../.pinfold-apply-0123456789abcdef0123456789abc",
					     ".pinfold-apply-0123456789abcdef0123456789abcde/",
					     ".pinfold-apply-0123456789abcdef0123456789abcdef0"};
	struct pf__plan p = {0};
	char text[400];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		if (parse(bad[i], &p) >= 0)
			fail_msg("not refused: %s", bad[i]);
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(stages); i++) {
		snprintf(text, sizeof(text),
			 "{\"schema\":1,\"id\":\"t1\",\"moving\":false,\"stage\":\"%s\",\"place\":[1,2,3],"
			 "\"items\":3}\n"
			 "{\"end\":1}\n",
			 stages[i]);
		assert_int_equal(parse(text, &p), -EBADMSG);
	}
	assert_int_equal(parse(HEAD "{\"end\":1}\n", &p), 0);
	assert_int_equal(p.place.fsid, (uint64_t)-3);
	pf__apply_plan_free(&p);
}

/* A plan that is damaged is no reason to do anything; the set can be given up. */
static void test_plan_damaged(void **state)
{
	struct place *p = *state;
	struct pf_apply how = {.force = true};
	struct pf_apply_report report;
	struct pf_error err = {0};
	struct pf_changeset c;
	char note[PF_ERROR_MAX];

	put(p->upper, "f", "x");
	collect(p, &c);
	put(p->changes, "t0001/plan", "damaged\n");
	assert_true(pf_change_apply(p->changes, &c, &how, &report, &err) < 0);
	assert_non_null(strstr(err.msg, "plan"));
	assert_false(exists(p->ws, "f"));
	pf_apply_report_free(&report);
	assert_int_equal(pf_change_drop(p->changes, "t0001", false, note, &err), -EBUSY);
	check(&err, pf_change_drop(p->changes, "t0001", true, note, &err));
	assert_non_null(strstr(note, "may be left"));
	pf_change_free(&c);
}

static uint64_t any(uint64_t *seed)
{
	return rnd(seed) >> (rnd(seed) % 60);
}

static void test_plan_round_trip(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct pf__plan p = {.moving = true, .count = 3}, q = {0};
		struct pf_buf x = {0}, y = {0};
		struct pf_error err = {0};

		strcpy(p.id, "t1");
		strcpy(p.stage, PF_STAGE_PREFIX "0123456789abcdef0123456789abcdef");
		p.place = (struct pf_change_place){any(&seed), rnd(&seed), rnd(&seed)};
		p.steps = calloc(4, sizeof(*p.steps));
		for (size_t i = 0; i < 3; i++) {
			struct pf__step *s = &p.steps[i];

			s->kind = rnd(&seed) % 5;
			s->was.exists = s->kind != PF__STEP_PUT || rnd(&seed) % 2;
			s->was.mode = S_IFREG | (any(&seed) & 07777);
			s->was.ino = rnd(&seed);
			s->was.mtime_ns = (int64_t)rnd(&seed);
			s->mode = any(&seed) & 07777;
			s->uid = (uid_t)rnd(&seed);
			s->staged.ino = rnd(&seed);
			s->from = s->kind == PF__STEP_PUT ? any(&seed) % 5 : 0;
		}
		pf_list_add(&p.only, "odd\xff\n");
		assert_int_equal(pf__apply_plan_shut(&p, rnd(&seed) % 2 ? "" : "a/b", any(&seed) & 07777), 0);
		assert_int_equal(pf__journal_print(&p, &x), 0);
		check(&err, pf__journal_parse(x.data, x.len, 3, &q, &err));
		assert_int_equal(pf__journal_print(&q, &y), 0);
		assert_string_equal(x.data, y.data);
		pf__apply_plan_free(&p);
		pf__apply_plan_free(&q);
		pf_buf_free(&x);
		pf_buf_free(&y);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_age),
		PLACE_TEST(test_newest),
		PLACE_TEST(test_size),
		PLACE_TEST(test_busy),
		PLACE_TEST(test_unreadable),
		PLACE_TEST(test_sum),
		cmocka_unit_test(test_plan_refused),
		PLACE_TEST(test_plan_damaged),
		cmocka_unit_test(test_plan_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
