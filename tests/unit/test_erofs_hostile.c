/* SPDX-License-Identifier: Apache-2.0 */
/* erofs/read over images that lie: each field that points or counts, one by one and by chance. */
#include "test_erofs_random.h"

#include "erofs/format.h"

static struct img g;
static struct image m;
static volatile uint8_t seen; /* so that what is read is really read */

static int setup(void **state)
{
	(void)state;
	img_make(&g);
	m = (struct image){.fd = -1};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	img_free(&g);
	if (m.fd >= 0)
		image_free(&m);
	return 0;
}

/* --- damage --------------------------------------------------------------- */

static void seal(void)
{
	uint32_t sum = htole32(pf__erofs_checksum(m.data));

	memcpy(m.data + PF__EROFS_SUPER + offsetof(struct pf__erofs_super, checksum), &sum, sizeof(sum));
}

#define SET_SUPER(field, value)                                                                              \
	set_super(offsetof(struct pf__erofs_super, field), sizeof((struct pf__erofs_super){}.field), value)

static int set_super(size_t at, size_t n, uint64_t value)
{
	struct pf_error err = {0};
	struct pf_erofs fs;

	value = htole64(value);
	memcpy(m.data + PF__EROFS_SUPER + at, &value, n);
	if (at != offsetof(struct pf__erofs_super, checksum))
		seal();
	return pf_erofs_open(&fs, m.data, m.size, &err);
}

static uint64_t nid_of(const char *path)
{
	const struct pf_inode *i = pf_tree_find(g.tree, path);

	assert_non_null(i);
	return i->nid;
}

static uint8_t *inode_at(const char *path)
{
	return m.data + m.fs.meta + nid_of(path) * PF__EROFS_SLOT;
}

#define SET(path, field, value)                                                                              \
	do {                                                                                                 \
		struct pf__erofs_extended d_;                                                                \
		memcpy(&d_, inode_at(path), sizeof(d_));                                                     \
		d_.field = (value);                                                                          \
		memcpy(inode_at(path), &d_, sizeof(d_));                                                     \
	} while (0)

static int inode_code(const char *path)
{
	struct pf_erofs_inode i;
	struct pf_error err = {0};
	int r = pf_erofs_inode(&m.fs, nid_of(path), &i, &err);

	assert_true(r == 0 || *err.msg);
	return r;
}

/* The directory's entry of that name, by search: a damaged one is not looked up. */
static uint8_t *entry_of(const char *dir, const char *name)
{
	struct pf_erofs_inode i;
	struct pf_error err = {0};
	const uint8_t *at;
	uint64_t n;

	check(&err, pf_erofs_inode(&m.fs, nid_of(dir), &i, &err));
	check(&err, pf_erofs_run(&m.fs, &i, 0, &at, &n, &err));
	assert_true(n < BLOCK);
	for (size_t k = 0; k < at[8] / 12u; k++) {
		const uint8_t *d = at + 12 * k;

		if (strncmp((const char *)at + d[8] + 256 * d[9], name, strlen(name)) == 0)
			return m.data + (d - m.data);
	}
	fail_msg("no %s in %s", name, dir);
	return NULL;
}

static void point_to(const char *dir, const char *name, uint64_t nid)
{
	nid = htole64(nid);
	memcpy(entry_of(dir, name), &nid, sizeof(nid));
}

static char *name_of(const char *dir, const char *name)
{
	uint8_t *d = entry_of(dir, name);
	struct pf_erofs_inode i;
	const uint8_t *at;
	uint64_t n;

	check(NULL, pf_erofs_inode(&m.fs, nid_of(dir), &i, NULL));
	check(NULL, pf_erofs_run(&m.fs, &i, 0, &at, &n, NULL));
	return (char *)m.data + (at - m.data) + d[8] + 256 * d[9];
}

/* --- reading all of it ---------------------------------------------------- */

static int see_xattr(void *user, const char *name, const void *value, uint32_t size)
{

	(void)user;
	assert_true(strlen(name) < 300);
	for (uint32_t i = 0; i < size; i++)
		seen ^= ((const uint8_t *)value)[i];
	return 0;
}

struct eater {
	uint64_t steps, bytes;
	struct pf_error err;
};

static int eat(void *user, const struct pf_erofs_visit *v)
{
	struct eater *e = user;
	uint64_t offset = 0;
	int r = pf_erofs_xattrs(&m.fs, v->inode, see_xattr, NULL, &e->err);

	e->steps++;
	assert_true(strlen(v->path) <= PF_TREE_PATH_MAX && v->depth <= PF_TREE_DEPTH_MAX + 1);
	while (r == 0 && (S_ISREG(v->inode->mode) || S_ISLNK(v->inode->mode)) && offset < v->inode->size &&
	       e->bytes < 64u << 20) {
		const uint8_t *at;
		uint64_t n;

		r = pf_erofs_run(&m.fs, v->inode, offset, &at, &n, &e->err);
		if (r < 0)
			break;
		assert_true(n > 0 && n <= v->inode->size - offset);
		for (uint64_t i = 0; at && i < n; i += 512)
			seen ^= at[i];
		if (at)
			seen ^= at[n - 1];
		e->bytes += at ? n : 1;
		offset += n;
	}
	return r;
}

static int walk_code(void)
{
	struct eater e = {0};
	int r = pf_erofs_walk(&m.fs, eat, NULL, &e, &e.err);

	if (r != 0)
		assert_true(r == e.err.code && *e.err.msg);
	return r;
}

/* --- tests ---------------------------------------------------------------- */

static void superblocks(void **state)
{
	(void)state;
	put_mode(&g, "a", S_IFIFO);
	image_write(&g, &m);
	assert_int_equal(SET_SUPER(magic, PF__EROFS_MAGIC ^ 1), -EUCLEAN);
	assert_int_equal(SET_SUPER(magic, PF__EROFS_MAGIC), 0);
	assert_int_equal(SET_SUPER(checksum, 5), -EUCLEAN);
	assert_int_equal(SET_SUPER(block_bits, 9), -EOPNOTSUPP);
	assert_int_equal(SET_SUPER(block_bits, 12), 0);
	assert_int_equal(SET_SUPER(dir_block_bits, 1), -EOPNOTSUPP);
	assert_int_equal(SET_SUPER(dir_block_bits, 0), 0);
	for (unsigned bit = 0; bit < 32; bit++)
		assert_int_equal(SET_SUPER(must, 1u << bit), bit == 0 || bit == 2 ? 0 : -EOPNOTSUPP);
	assert_int_equal(SET_SUPER(must, 0), 0);
	assert_int_equal(SET_SUPER(devices, 1), -EOPNOTSUPP);
	assert_int_equal(SET_SUPER(devices, 0), 0);
	assert_int_equal(SET_SUPER(blocks, m.size / BLOCK + 1), -EUCLEAN);
	assert_int_equal(SET_SUPER(blocks, UINT32_MAX), -EUCLEAN);
	assert_int_equal(SET_SUPER(blocks, m.size / BLOCK), 0);
	/* Anything in the block counts, if there is a sum. */
	m.data[PF__EROFS_SUPER + 2000] ^= 1;
	assert_int_equal(pf_erofs_open(&m.fs, m.data, m.size, NULL), -EUCLEAN);
	assert_int_equal(SET_SUPER(compat, 0), 0);
	m.data[PF__EROFS_SUPER + 2000] ^= 1;
	assert_int_equal(pf_erofs_open(&m.fs, m.data, m.size, NULL), 0);
}

static void cut_off(void **state)
{
	struct pf_error err = {0};
	struct pf_erofs fs;

	(void)state;
	put_mode(&g, "a", S_IFIFO);
	image_write(&g, &m);
	for (uint64_t size = 0; size < m.size; size += 7)
		assert_int_equal(pf_erofs_open(&fs, m.data, size, &err), -EUCLEAN);
	assert_int_equal(pf_erofs_open(&fs, m.data, m.size, &err), 0);
}

static void places_outside(void **state)
{
	struct pf_erofs_inode i;
	struct pf_error err = {0};
	uint64_t slots;

	(void)state;
	image_write(&g, &m);
	slots = m.size / PF__EROFS_SLOT;
	for (const uint64_t *nid =
		     (const uint64_t[]){slots, slots + 1, UINT64_MAX, 1ull << 59, (1ull << 59) - 1, 0};
	     *nid; nid++)
		assert_int_equal(pf_erofs_inode(&m.fs, *nid, &i, &err), -EUCLEAN);
	/* The last slot is too short for a long inode. */
	m.data[m.size - 32] = PF__FORMAT_EXTENDED;
	assert_int_equal(pf_erofs_inode(&m.fs, slots - 1, &i, &err), -EUCLEAN);
	m.fs.meta = UINT64_MAX - 31;
	assert_int_equal(pf_erofs_inode(&m.fs, 0, &i, &err), -EUCLEAN);
	m.fs.meta = m.size;
	assert_int_equal(pf_erofs_inode(&m.fs, 0, &i, &err), -EUCLEAN);
}

static void inode_fields(void **state)
{
	static uint8_t bytes[9000];

	(void)state;
	memset(bytes, 1, sizeof(bytes));
	put_file(&g, "f", bytes, sizeof(bytes));
	put_file(&g, "whole", bytes, 8192);
	put_link(&g, "l", "target");
	put_mode(&g, "d/x", S_IFIFO);
	image_write(&g, &m);
	assert_int_equal(inode_code("f"), 0);
	SET("f", mode, htole16(0170644));
	assert_int_equal(inode_code("f"), -EUCLEAN);
	SET("f", mode, htole16(S_IFREG));
	SET("f", format, htole16(0x11 | PF__FLAT_INLINE << 1));
	assert_int_equal(inode_code("f"), -EUCLEAN);
	for (int layout = 0; layout < 8; layout++) {
		SET("f", format, htole16((uint16_t)(1 | layout << 1)));
		SET("f", data, htole32(layout == PF__CHUNKS ? 31 : 1));
		assert_int_equal(inode_code("f"), layout == 1 || layout == 3 ? -EOPNOTSUPP
						  : layout > 4		     ? -EUCLEAN
									     : 0);
	}
	SET("f", format, htole16(1 | PF__FLAT_INLINE << 1));
	SET("f", data, htole32((uint32_t)(m.size / BLOCK)));
	assert_int_equal(inode_code("f"), -EUCLEAN);
	SET("f", data, htole32((uint32_t)(m.size / BLOCK) - 2));
	assert_int_equal(inode_code("f"), 0);
	SET("f", size, htole64(3 * BLOCK + 1));
	assert_int_equal(inode_code("f"), -EUCLEAN);
	SET("f", size, htole64(UINT64_MAX));
	assert_int_equal(inode_code("f"), -EUCLEAN);
	SET("f", size, htole64(2 * BLOCK + 4000)); /* the tail would cross a block */
	assert_int_equal(inode_code("f"), -EUCLEAN);
	SET("f", size, htole64(9000));
	SET("f", time_ns, htole32(1000000000));
	assert_int_equal(inode_code("f"), -EUCLEAN);
	SET("f", time_ns, 0);
	SET("f", xattr_count, htole16(65535));
	assert_int_equal(inode_code("f"), -EUCLEAN);
	assert_int_equal(inode_code("whole"), 0);
	SET("whole", data, htole32(UINT32_MAX));
	assert_int_equal(inode_code("whole"), -EUCLEAN);
	SET("l", size, htole64(0));
	assert_int_equal(inode_code("l"), -EUCLEAN);
	SET("l", size, htole64(4096));
	assert_int_equal(inode_code("l"), -EUCLEAN);
	SET("d", format, htole16(1 | PF__CHUNKS << 1));
	assert_int_equal(inode_code("d"), -EUCLEAN);
}

static void chunk_tables(void **state)
{
	struct pf_extent e = {1 << 20, 1, 0};
	struct pf_erofs_inode i;
	struct pf_error err = {0};
	const uint8_t *at;
	uint32_t block;
	uint64_t n;
	uint8_t *table;

	(void)state;
	spool_bytes(&g, "x", 1);
	put(&g, "f", &(struct pf_inode){.mode = S_IFREG, .size = 2 << 20, .extents = &e, .extent_count = 1});
	image_write(&g, &m);
	assert_int_equal(walk_code(), 0);
	check(&err, pf_erofs_inode(&m.fs, nid_of("f"), &i, &err));
	table = m.data + i.body;
	block = htole32((uint32_t)(m.size / BLOCK));
	memcpy(table, &block, sizeof(block));
	assert_int_equal(pf_erofs_run(&m.fs, &i, 0, &at, &n, &err), -EUCLEAN);
	assert_int_equal(walk_code(), -EUCLEAN);
	block = htole32(UINT32_MAX - 1);
	memcpy(table, &block, sizeof(block));
	assert_int_equal(pf_erofs_run(&m.fs, &i, 0, &at, &n, &err), -EUCLEAN);
	SET("f", size, htole64(INT64_MAX));
	assert_int_equal(inode_code("f"), -EUCLEAN);
	SET("f", size, htole64(2 << 20));
	SET("f", data, htole32(0x40));
	assert_int_equal(inode_code("f"), -EOPNOTSUPP);
	/* A chunk of another device. */
	SET("f", data, htole32(0x20 | 31));
	memset(table, 0, 8);
	table[2] = 1;
	assert_int_equal(walk_code(), -EOPNOTSUPP);
}

static void attributes(void **state)
{
	struct pf_xattr x[] = {{"user.one", "1234", 4}, {"user.two", "5678", 4}};
	static const struct {
		unsigned at, value;
		int code;
	} cases[] = {
		{4, 255, -EUCLEAN},  /* shared ones that are not there */
		{4, 6, -EUCLEAN},    /* all room taken by ids, of which the first is half an attribute */
		{12, 255, -EUCLEAN}, /* length of the name */
		{12, 0, -EUCLEAN},   /* "user." alone */
		{13, 0, -EOPNOTSUPP},	 {13, 5, -EOPNOTSUPP},
		{13, 0x81, -EOPNOTSUPP}, {13, 2, -EUCLEAN}, /* an ACL with a name behind it */
		{15, 1, -EUCLEAN},			    /* length of the value */
		{16, 0, -EUCLEAN},			    /* a NUL in the name */
		{24, 200, -EUCLEAN},
	};
	struct pf_erofs_inode i;
	uint8_t *p, saved[64];

	(void)state;
	put(&g, "f", &(struct pf_inode){.mode = S_IFREG, .xattrs = x, .xattr_count = 2});
	image_write(&g, &m);
	check(NULL, pf_erofs_inode(&m.fs, nid_of("f"), &i, NULL));
	p = m.data + i.attributes;
	memcpy(saved, p, sizeof(saved));
	assert_int_equal(walk_code(), 0);
	for (size_t k = 0; k < PF_ARRAY_SIZE(cases); k++) {
		p[cases[k].at] = (uint8_t)cases[k].value;
		if (walk_code() != cases[k].code)
			fail_msg("byte %u = %u: not %d", cases[k].at, cases[k].value, cases[k].code);
		memcpy(p, saved, sizeof(saved));
	}
	assert_int_equal(walk_code(), 0);
	/* A shared one may lie anywhere, also where its end is outside. */
	p[4] = 1;
	m.fs.xattrs = m.size - 4;
	memset(p + 12, 0, 4);
	memcpy(m.data + m.size - 4, "\5\1\1\0", 4);
	assert_int_equal(walk_code(), -EUCLEAN);
	m.fs.xattrs = UINT64_MAX - 3;
	assert_int_equal(walk_code(), -EUCLEAN);
}

static void names(void **state)
{
	static const char bad[] = {'/', '\0'};

	(void)state;
	put_mode(&g, "d/aa", S_IFIFO);
	put_mode(&g, "d/bb", S_IFIFO);
	put_mode(&g, "d/cc", S_IFIFO);
	image_write(&g, &m);
	for (size_t i = 0; i < sizeof(bad); i++) {
		name_of("d", "bb")[1] = bad[i];
		assert_int_equal(walk_code(), -EUCLEAN);
		image_free(&m);
		image_write(&g, &m);
	}
	memcpy(name_of("d", "bb"), "aa", 2); /* twice */
	assert_int_equal(walk_code(), -EUCLEAN);
	image_free(&m);
	image_write(&g, &m);
	memcpy(name_of("d", "bb"), "zz", 2); /* out of order */
	assert_int_equal(walk_code(), -EUCLEAN);
	image_free(&m);
	image_write(&g, &m);
	memcpy(name_of("d", "aa"), "..", 2); /* the parent's, once more */
	assert_int_equal(walk_code(), -EUCLEAN);
	image_free(&m);
	image_write(&g, &m);
	/* Without the dots: fewer entries, nothing wrong. */
	memcpy(name_of("d", "."), "!", 1);
	point_to("d", "!", nid_of("d/aa"));
	entry_of("d", "!")[10] = 5;
	assert_int_equal(walk_code(), 0);
	/* Offsets of names. */
	for (unsigned k = 0; k < 5; k++) {
		for (unsigned to = 0; to < 256; to++) {
			uint8_t *d = entry_of("d", "aa") + 12 * ((int)k - 2), was = d[8];

			d[8] = (uint8_t)to;
			walk_code();
			d[9] ^= 0x10;
			if (k > 0)
				assert_int_equal(walk_code(), -EUCLEAN);
			d[9] ^= 0x10;
			d[8] = was;
		}
	}
	assert_int_equal(walk_code(), 0);
	entry_of("d", "aa")[10] = 1; /* a FIFO that says it is a file */
	assert_int_equal(walk_code(), -EUCLEAN);
}

static void loops(void **state)
{
	char path[1100] = "a";

	(void)state;
	put_mode(&g, "d/e/f", S_IFDIR);
	put_mode(&g, "x/y", S_IFDIR);
	for (int i = 0; i < 200; i++)
		strcat(path, "/a");
	put_mode(&g, path, S_IFDIR);
	path[0] = 'b';
	put_mode(&g, path, S_IFDIR);
	path[0] = 'a';
	image_write(&g, &m);
	assert_int_equal(walk_code(), 0);
	point_to("d/e", "f", nid_of("d/e/f"));
	for (const char *const *to = (const char *const[]){"", "d", "d/e", NULL}; *to; to++) {
		point_to("d/e", "f", nid_of(*to));
		assert_int_equal(walk_code(), -EUCLEAN);
	}
	/* Two names, no loop: thirty levels of these would be a billion files. */
	point_to("d/e", "f", nid_of("x"));
	assert_int_equal(walk_code(), -EUCLEAN);
	point_to("d/e", "f", nid_of("d/e/f"));
	assert_int_equal(walk_code(), 0);
	/* Deeper than any tree: one chain goes on in the other. */
	path[strlen(path) - 2] = '\0';
	point_to(path, "a", nid_of("b"));
	assert_int_equal(walk_code(), -ENAMETOOLONG);
}

/* Bytes changed at random places, most of all in the metadata. Whatever is found, it is an error in words. */
static void by_chance(void **state)
{
	static const int codes[] = {0, -EUCLEAN, -EOPNOTSUPP, -ENAMETOOLONG, -E2BIG};
	unsigned failed = 0, rounds = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct items items;
		uint64_t r = seed * 77 + 5, meta;

		random_items(seed, &g, &items, TAME);
		items_put(&g, &items, 0);
		image_write(&g, &m);
		meta = m.size < 40000 ? m.size : 40000;
		for (int k = 0; k < 200; k++, rounds++) {
			uint64_t at[8];
			uint8_t was[8];
			size_t n = 1 + rnd(&r) % 8, known = 0;
			int code;

			for (size_t i = 0; i < n; i++) {
				at[i] = BLOCK + rnd(&r) % (rnd(&r) % 8 ? meta - BLOCK : m.size - BLOCK);
				was[i] = m.data[at[i]];
				m.data[at[i]] = rnd(&r) % 2 ? (uint8_t)rnd(&r)
							    : (uint8_t)(was[i] ^ 1u << rnd(&r) % 8);
			}
			code = walk_code();
			while (known < PF_ARRAY_SIZE(codes) && codes[known] != code)
				known++;
			if (known == PF_ARRAY_SIZE(codes))
				fail_msg("seed %llu: %d", (unsigned long long)seed, code);
			failed += code != 0;
			while (n-- > 0)
				m.data[at[n]] = was[n];
		}
		assert_int_equal(walk_code(), 0);
		items_free(&items);
		image_free(&m);
		check(NULL, pf_tree_clear(g.tree, "", NULL));
	}
	m.fd = -1;
	assert_true(failed > rounds / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(superblocks), T(cut_off), T(places_outside), T(inode_fields), T(chunk_tables),
		T(attributes),	T(names),   T(loops),	       T(by_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
