/* SPDX-License-Identifier: Apache-2.0 */
/* proto/msg: every message there and back, cut anywhere, corrupted anywhere. Limits: test_proto_limits.c. */
#include "test_proto_samples.h"

/* --- any message --------------------------------------------------------- */

typedef int put_fn(struct pf_buf *out, const void *m);
typedef int get_fn(const uint8_t *p, size_t n, void *m, void **mem, struct pf_error *err);

#define WRAP(type)                                                                                           \
	static int put_##type(struct pf_buf *out, const void *m)                                             \
	{                                                                                                    \
		return pf_msg_##type##_put(out, m);                                                          \
	}                                                                                                    \
	static int get_##type(const uint8_t *p, size_t n, void *m, void **mem, struct pf_error *err)         \
	{                                                                                                    \
		return pf_msg_##type##_get(p, n, m, mem, err);                                               \
	}
WRAP(hello)
WRAP(prepare)
WRAP(start)
WRAP(signal)
WRAP(resize)
WRAP(welcome)
WRAP(ready)
WRAP(started)
WRAP(exited)
WRAP(failed)
WRAP(connected)
WRAP(turned_away)

#define KIND(type, sample)                                                                                   \
	{                                                                                                    \
#type, put_##type, get_##type, &sample, sizeof(sample)                                       \
	}
static const struct kind {
	const char *name;
	put_fn *put;
	get_fn *get;
	const void *sample;
	size_t size;
} kinds[] = {
	KIND(hello, hello),    KIND(prepare, prepare),	   KIND(start, start),
	KIND(signal, signal_), KIND(resize, resize),	   KIND(welcome, welcome),
	KIND(ready, ready),    KIND(started, started),	   KIND(exited, exited),
	KIND(failed, failed),  KIND(connected, connected), KIND(turned_away, turned_away),
};
#define KINDS PF_ARRAY_SIZE(kinds)

/* Decode a copy that ends where its allocation ends, so that ASan sees each byte too far. What decodes must
 * encode to the same bytes; what does not must leave the outputs alone. */
static int decode(const struct kind *k, const char *body, size_t n)
{
	PF_AUTO_BUF struct pf_buf again = {0};
	PF_AUTO_FREE uint8_t *exact = malloc(n ? n : 1);
	PF_AUTO_FREE uint8_t *m = malloc(k->size), *was = malloc(k->size);
	struct pf_error err = {0};
	void *mem = &again;
	int r;

	if (n)
		memcpy(exact, body, n);
	memset(m, 0xa5, k->size);
	memset(was, 0xa5, k->size);
	r = k->get(n ? exact : exact + 1, n, m, &mem, &err);
	if (r < 0) {
		assert_int_equal(r, -EPROTO);
		assert_int_equal(err.code, -EPROTO);
		assert_non_null(strstr(err.msg, k->name));
		assert_memory_equal(m, was, k->size);
		assert_ptr_equal(mem, &again);
		return r;
	}
	assert_int_equal(k->put(&again, m), 0);
	assert_int_equal(again.len, n);
	assert_memory_equal(again.data, body, n);
	free(mem);
	return 0;
}

static void encode(const struct kind *k, struct pf_buf *b)
{
	assert_int_equal(k->put(b, k->sample), 0);
	assert_true(b->len > 0);
}

static void there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		PF_AUTO_BUF struct pf_buf b = {0};

		encode(&kinds[i], &b);
		assert_int_equal(decode(&kinds[i], b.data, b.len), 0);
	}
}

static void fields_arrive(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_msg_hello h;
	struct pf_msg_start s;
	struct pf_msg_ready r;
	void *mem;

	(void)state;
	assert_int_equal(pf_msg_hello_put(&b, &hello), 0);
	assert_int_equal(pf_msg_hello_get((uint8_t *)b.data, b.len, &h, &mem, NULL), 0);
	assert_int_equal(h.version_max, 2);
	assert_true(h.must == 1ull << 63 && h.features == 0x0102030405060708);
	assert_memory_equal(h.cgroup_kind, hello.cgroup_kind, 5);
	assert_string_equal(h.rules[1].path, "/work");
	assert_null(h.rules[2].path);
	assert_int_equal(h.readonly.count, 2);
	assert_string_equal(h.readonly.strings[1], "/usr");
	assert_null(h.readonly.strings[2]);
	assert_string_equal(h.canary, "/home/someone/.ssh");
	assert_string_equal(h.breaks, "");
	free(mem);

	pf_buf_free(&b);
	assert_int_equal(pf_msg_start_put(&b, &start), 0);
	assert_int_equal(pf_msg_start_get((uint8_t *)b.data, b.len, &s, &mem, NULL), 0);
	for (int i = 0; i < 4; i++)
		assert_string_equal(s.argv.strings[i], list[i]);
	assert_null(s.argv.strings[4]);
	assert_int_equal(s.env.count, 0);
	assert_null(s.env.strings[0]);
	free(mem);

	pf_buf_free(&b);
	assert_int_equal(pf_msg_ready_put(&b, &ready), 0);
	assert_int_equal(pf_msg_ready_get((uint8_t *)b.data, b.len, &r, &mem, NULL), 0);
	assert_int_equal(r.try_count, 3);
	assert_int_equal(r.tries[1].err, EROFS);
	assert_string_equal(r.tries[1].detail, "/etc");
	assert_true(r.ns[7] == UINT64_MAX);
	free(mem);
}

/* The order and width of fields is the protocol: it may not change unnoticed. */
static void bytes_are_as_documented(void **state)
{
	static const uint8_t want[] = {5, 0, 0, 0, 2, 0, 0, 0, 2};
	static const uint8_t want_failed[] = {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 'n', 'o'};
	PF_AUTO_BUF struct pf_buf b = {0};

	(void)state;
	assert_int_equal(pf_msg_started_put(&b, &started), 0);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
	pf_buf_free(&b);
	assert_int_equal(pf_msg_failed_put(&b, &failed), 0); /* EPERM is 1 */
	assert_int_equal(b.len, sizeof(want_failed));
	assert_memory_equal(b.data, want_failed, sizeof(want_failed));
}

static void cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		PF_AUTO_BUF struct pf_buf b = {0};

		encode(&kinds[i], &b);
		for (size_t n = 0; n < b.len; n++)
			assert_int_equal(decode(&kinds[i], b.data, n), -EPROTO);
		assert_int_equal(pf_buf_addc(&b, 0), 0);
		assert_int_equal(decode(&kinds[i], b.data, b.len), -EPROTO);
	}
}

static void every_byte_corrupted(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		PF_AUTO_BUF struct pf_buf b = {0};

		encode(&kinds[i], &b);
		for (size_t at = 0; at < b.len; at++) {
			char old = b.data[at];

			for (unsigned x = 1; x < 256; x++) {
				b.data[at] = (char)(old ^ x);
				decode(&kinds[i], b.data, b.len);
			}
			b.data[at] = old;
		}
	}
}

/* Each four bytes as a length or count of any size. */
static void every_length_corrupted(void **state)
{
	static const uint32_t lengths[] = {0,	  1,	      255,	  4096,	      4097,	 65536,
					   65537, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		PF_AUTO_BUF struct pf_buf b = {0};

		encode(&kinds[i], &b);
		for (size_t at = 0; at + 4 <= b.len; at++) {
			char old[4];

			memcpy(old, b.data + at, 4);
			for (size_t k = 0; k < PF_ARRAY_SIZE(lengths); k++) {
				for (int s = 0; s < 4; s++)
					b.data[at + s] = (char)(lengths[k] >> (8 * s));
				decode(&kinds[i], b.data, b.len);
			}
			memcpy(b.data + at, old, 4);
		}
	}
}

static void the_most_arguments(void **state)
{
	struct pf_msg_start m = start;
	PF_AUTO_BUF struct pf_buf b = {0};
	PF_AUTO_FREE char **many = calloc(PF_ARGS_MAX, sizeof(*many)); /* NULL is written as "" */
	PF_AUTO_FREE char *huge = calloc(1, PF_CONTROL_MAX);

	(void)state;
	m.argv = m.env = (struct pf_strs){PF_ARGS_MAX, many};
	assert_int_equal(pf_msg_start_put(&b, &m), 0);
	assert_int_equal(decode(&kinds[2], b.data, b.len), 0);
	pf_buf_free(&b);
	memset(huge, 'x', PF_CONTROL_MAX - 1);
	m = start;
	m.env = (struct pf_strs){1, &huge};
	assert_int_equal(pf_msg_start_put(&b, &m), -EINVAL); /* no connection could carry it */
	assert_int_equal(b.len, 0);
	huge[PF_CONTROL_MAX - 200] = 0;
	assert_int_equal(pf_msg_start_put(&b, &m), 0);
	assert_int_equal(decode(&kinds[2], b.data, b.len), 0);
}

static void no_nul_in_a_string(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};

	(void)state;
	assert_int_equal(pf_msg_failed_put(&b, &failed), 0);
	b.data[b.len - 1] = 0;
	assert_int_equal(decode(&kinds[9], b.data, b.len), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),	   cmocka_unit_test(fields_arrive),
		cmocka_unit_test(bytes_are_as_documented), cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(every_byte_corrupted),	   cmocka_unit_test(every_length_corrupted),
		cmocka_unit_test(the_most_arguments),	   cmocka_unit_test(no_nul_in_a_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
