/* SPDX-License-Identifier: Apache-2.0 */
/* What patterns mean in a workspace, from an index: never another answer than a walk gives, whatever happened
 * since. */
#include "test_workspace.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "workspace/mask.h"
#include "workspace/scan.h"
#include "workspace/scan_internal.h"

static const char *const mask_items[] = {"**/.env", "**/*.pem", "top.key", "a/plain", "keys/*/id_*"};
static const char *const protect_items[] = {".git/hooks", "**/.git/config", "**/.vscode", ".github/workflows",
					    "no"};
static const struct pf_list masks = {(char **)(uintptr_t)mask_items, PF_ARRAY_SIZE(mask_items)};
static const struct pf_list protects = {(char **)(uintptr_t)protect_items, PF_ARRAY_SIZE(protect_items)};

static char state_dir[96];

static int64_t far_future(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((int64_t)now.tv_sec + 10) * 1000000000; /* every directory is old enough to be trusted */
}

/* Until the file system's clock has moved: what is edited now has another time than what was looked at. */
static void next_tick(struct place *p)
{
	int64_t before;

	take_reference(p);
	for (before = p->reference_ns; p->reference_ns == before;)
		take_reference(p);
}

static struct pf_scan_want want_of(const struct place *p)
{
	snprintf(state_dir, sizeof(state_dir), "%s/state", p->dir);
	return (struct pf_scan_want){.mask = &masks,
				     .protect = &protects,
				     .sockets = true,
				     .state = state_dir,
				     .path = p->path,
				     .reference_ns = far_future()};
}

static struct pf_scan *begin(struct place *p, const struct pf_scan_want *want)
{
	struct pf_error err = {0};
	struct pf_scan *s = NULL;

	check(&err, pf_scan_begin(p->ws, want, &s, &err));
	return s;
}

static int confirm(struct pf_scan *s)
{
	struct pf_error err = {0};
	int r = pf_scan_confirm(s, &err);

	check(&err, r);
	return r;
}

static char *text(const struct pf_scan_found *f)
{
	const struct pf_list *const lists[] = {&f->masks, &f->protects, &f->sockets, &f->unprotected,
					       &f->exposed};
	struct pf_buf b = {0};

	for (size_t i = 0; i < PF_ARRAY_SIZE(lists); i++) {
		pf_buf_addf(&b, "%zu:", i);
		for (size_t k = 0; k < lists[i]->count; k++)
			pf_buf_addf(&b, " %s", lists[i]->items[k]);
		pf_buf_addc(&b, '\n');
	}
	return pf_buf_steal(&b);
}

/* As if there were no index. */
static char *cold(struct place *p)
{
	struct pf_scan_want want = want_of(p);
	struct pf_scan *s;
	char *t;

	want.state = NULL;
	s = begin(p, &want);
	assert_false(s->warm);
	t = text(pf_scan_found(s));
	pf_scan_end(s);
	return t;
}

/* From the index, which must be there. Returns whether the answer changed with the confirmation. */
static int warm(struct place *p, int64_t reference_ns)
{
	struct pf_scan_want want = want_of(p);
	char *is, *should = cold(p);
	struct pf_scan *s;
	int changed;

	if (reference_ns)
		want.reference_ns = reference_ns;
	s = begin(p, &want);
	assert_true(s->warm);
	while (!pf_scan_check(s, 3))
		;
	changed = confirm(s);
	is = text(pf_scan_found(s));
	assert_string_equal(is, should);
	free(is);
	free(should);
	pf_scan_end(s);
	next_tick(p);
	return changed;
}

static void make_index(struct place *p)
{
	const struct pf_scan_want want = want_of(p);

	pf_scan_end(begin(p, &want));
	next_tick(p);
}

static void fill(struct place *p)
{
	put(p->ws, ".env", "x");
	put(p->ws, "a/plain", "x");
	put(p->ws, "a/b/c/.env", "x");
	put(p->ws, "a/b/c/d/e/x.pem", "x");
	put(p->ws, "keys/one/id_rsa", "x");
	put(p->ws, ".git/config", "x");
	put(p->ws, ".git/hooks/x", "x");
	put(p->ws, "sub/.git", "gitdir: elsewhere"); /* a file where a pattern needs a directory */
	put(p->ws, "sub/.vscode/tasks.json", "x");
	put(p->ws, "sub/.vscode/.env", "x");
	for (unsigned i = 0; i < 40; i++) {
		char path[64];

		snprintf(path, sizeof(path), "many/d%u/e/f%u", i, i);
		put(p->ws, path, "x");
	}
}

static void test_answer(void **state)
{
	struct place *p = *state;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *t;

	fill(p);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/a/b/sock", p->path);
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	close(s);
	t = cold(p);
	assert_string_equal(
		t, "0: .env a/b/c/.env a/b/c/d/e/x.pem a/plain keys/one/id_rsa sub/.vscode/.env top.key\n"
		   "1: .git/config .git/hooks sub/.git sub/.vscode\n"
		   "2: a/b/sock\n"
		   "3:\n"
		   "4: .github/workflows: does not exist yet no: does not exist yet\n");
	free(t);
	make_index(p);
	assert_int_equal(warm(p, 0), 0);
}

static void test_changes_are_found(void **state)
{
	struct place *p = *state;

	fill(p);
	make_index(p);
	put(p->ws, "a/b/c/d/harmless", "x");
	assert_int_equal(warm(p, 0), 0);
	put(p->ws, "many/d7/e/.env", "x");
	assert_int_equal(warm(p, 0), 1);
	assert_int_equal(unlinkat(p->ws, "many/d7/e/.env", 0), 0);
	warm(p, 0);
	put(p->ws, "new/deep/er/.env", "x");
	assert_int_equal(warm(p, 0), 1);
	make_index(p);
	assert_int_equal(renameat(p->ws, "a/b", p->ws, "many/moved"), 0);
	assert_int_equal(warm(p, 0), 1);
	/* a directory that becomes a file, and back */
	assert_int_equal(renameat(p->ws, "many/moved", p->ws, "x"), 0);
	put(p->ws, "many/moved", "x");
	assert_int_equal(warm(p, 0), 1);
	assert_int_equal(warm(p, 0), 0);
}

/* Another tree under an old name, a link in place of a directory: neither is what was known. */
static void test_replaced(void **state)
{
	struct place *p = *state;

	fill(p);
	put(p->ws, "other/c/.env", "x");
	make_index(p);
	assert_int_equal(renameat(p->ws, "a/b", p->ws, "gone"), 0);
	assert_int_equal(renameat(p->ws, "other", p->ws, "a/b"), 0);
	assert_int_equal(warm(p, 0), 1);
	assert_int_equal(renameat(p->ws, "keys", p->ws, "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", p->ws, "keys"), 0);
	assert_int_equal(warm(p, 0), 1);
	/* the same names in a directory made anew */
	make_index(p);
	assert_int_equal(pf_remove_tree(p->ws, "gone"), 0);
	put(p->ws, "gone/c/nothing", "x");
	assert_int_equal(warm(p, 0), 1);
}

/* A directory that changed within the grain of the clock before the walk may change again unseen. */
static void test_young_directories_are_read_again(void **state)
{
	struct place *p = *state;
	struct pf_scan_want want = want_of(p);
	struct pf_scan *s;
	struct stat st;

	fill(p);
	assert_int_equal(fstatat(p->ws, "a/b", &st, 0), 0);
	want.reference_ns = pf__ws_ctime_ns(&st) + 1000000;
	pf_scan_end(begin(p, &want));
	want = want_of(p);
	s = begin(p, &want);
	assert_true(s->warm);
	assert_int_equal(pf__scan_check_end(s), s->tree.dir_count);
	assert_int_equal(confirm(s), 0);
	pf_scan_end(s); /* they are old now, and written so */
	s = begin(p, &want);
	assert_true(s->warm);
	assert_int_equal(pf__scan_check_end(s), 0);
	pf_scan_end(s);
}

/* The index is of one tree and one question. */
static void test_other_questions(void **state)
{
	static const char *const others[] = {"**/.env"};
	const struct pf_list other = {(char **)(uintptr_t)others, 1};
	struct place *p = *state;
	struct pf_scan_want want = want_of(p);
	struct pf_scan *s;

	fill(p);
	make_index(p);
	for (unsigned i = 0; i < 4; i++) {
		struct pf_scan_want w = want;

		w.mask = i == 0 ? &other : w.mask;
		w.protect = i == 1 ? NULL : w.protect;
		w.sockets = i != 2;
		w.path = i == 3 ? "/elsewhere" : w.path;
		s = begin(p, &w);
		assert_false(s->warm);
		pf_scan_end(s);
	}
	/* another directory of the same path */
	assert_int_equal(renameat(p->fd, "ws", p->fd, "old"), 0);
	close(p->ws);
	p->ws = dir_at(p->fd, "ws");
	s = begin(p, &want);
	assert_false(s->warm);
	pf_scan_end(s);
}

static int open_index(struct place *p, char name[32])
{
	struct pf_list names = {0};
	int dir = openat(p->fd, "state/index", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(dir >= 0);
	assert_int_equal(pf__ws_names(dir, &names, 10), 0);
	assert_int_equal(names.count, 1);
	snprintf(name, 32, "%s", names.items[0]);
	pf_list_free(&names);
	return dir;
}

/* Torn, cut, flipped: the answer is right all the same. */
static void test_damaged(void **state)
{
	struct place *p = *state;
	struct pf_buf good = {0};
	char name[32], *should;
	int dir;

	put(p->ws, "a/.env", "x");
	put(p->ws, "b/x.pem", "x");
	make_index(p);
	should = cold(p);
	dir = open_index(p, name);
	assert_int_equal(pf_read_file(dir, name, &good, 1 << 20), 0);
	for (size_t i = 0; i < 2 * good.len; i++) {
		const struct pf_scan_want want = want_of(p);
		struct pf_buf bad = {0};
		struct pf_scan *s;
		char *is;

		pf_buf_add(&bad, good.data, good.len);
		if (i < good.len)
			bad.data[i] ^= (char)(1u << (i % 8));
		else
			bad.len = i - good.len;
		assert_int_equal(pf_replace_file(dir, name, bad.data, bad.len, 0600), 0);
		s = begin(p, &want);
		assert_false(s->warm);
		is = text(pf_scan_found(s));
		assert_string_equal(is, should);
		free(is);
		pf_scan_end(s);
		pf_buf_free(&bad);
	}
	assert_int_equal(warm(p, 0), 0); /* it was written anew */
	pf_buf_free(&good);
	free(should);
	close(dir);
}

static void test_closed_directory(void **state)
{
	struct place *p = *state;

	fill(p);
	assert_int_equal(fchmodat(p->ws, "a/b", 0, 0), 0);
	make_index(p);
	warm(p, 0);
	assert_int_equal(fchmodat(p->ws, "a/b", 0755, 0), 0);
	assert_int_equal(warm(p, 0), geteuid() != 0);
}

/* --- random trees ------------------------------------------------------------------------------ */

static unsigned dice;

static unsigned roll(unsigned n)
{
	dice = dice * 1103515245u + 12345u;
	return dice / 65536u % n;
}

static void random_path(char out[256])
{
	static const char *const names[] = {"a", "b", "c", "d", ".git", "keys", ".vscode"};
	unsigned depth = roll(4);

	*out = '\0';
	for (unsigned i = 0; i < depth; i++)
		sprintf(out + strlen(out), "%s/", names[roll(PF_ARRAY_SIZE(names))]);
}

static void random_edit(struct place *p)
{
	static const char *const leaves[] = {".env", "x.pem", "f", "g", ".vscode", "config", "id_1", "hooks"};
	char path[256], other[256];

	random_path(path);
	strcat(path, leaves[roll(PF_ARRAY_SIZE(leaves))]);
	random_path(other);
	strcat(other, leaves[roll(PF_ARRAY_SIZE(leaves))]);
	switch (roll(6)) {
	case 0:
	case 1:
		for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
			*slash = '\0';
			mkdirat(p->ws, path, 0755);
			*slash = '/';
		}
		close(openat(p->ws, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		break;
	case 2:
		mkdirat(p->ws, path, 0755);
		break;
	case 3:
		pf_remove_tree(p->ws, path);
		break;
	case 4:
		renameat(p->ws, path, p->ws, other);
		break;
	default:
		symlinkat("a", p->ws, path);
	}
}

static void test_random(void **state)
{
	struct place *p = *state;

	for (unsigned start = 1; start < 3; start++) {
		dice = start;
		for (unsigned round = 0; round < 60; round++) {
			for (unsigned n = roll(6); n > 0; n--)
				random_edit(p);
			if (round % 8 == 0)
				make_index(p);
			/* with a true clock too: then what was just edited is too young */
			take_reference(p);
			warm(p, round % 2 ? p->reference_ns : 0);
		}
	}
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_answer),	   PLACE_TEST(test_changes_are_found),
		PLACE_TEST(test_replaced),	   PLACE_TEST(test_young_directories_are_read_again),
		PLACE_TEST(test_other_questions),  PLACE_TEST(test_damaged),
		PLACE_TEST(test_closed_directory), PLACE_TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(group);
}
