/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view/look: what the kernel or ld.so could do with a file. ELF files are made here field by field, and for
 * each the answer is known from elf(5); then every way of cutting and bending them; then this machine's own
 * files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "view/look.h"

struct bytes {
	uint8_t p[4096];
	size_t n;
};

static long give(void *ctx, void *p, size_t n, uint64_t at)
{
	const struct bytes *b = ctx;

	if (at >= b->n)
		return 0;
	if (n > b->n - at)
		n = b->n - (size_t)at;
	memcpy(p, b->p + at, n);
	return (long)n;
}

struct big {
	const uint8_t *p;
	size_t n;
};

static long give_big(void *ctx, void *p, size_t n, uint64_t at)
{
	const struct big *b = ctx;

	if (at >= b->n)
		return 0;
	if (n > b->n - at)
		n = b->n - (size_t)at;
	memcpy(p, b->p + at, n);
	return (long)n;
}

static struct pf_file_look looked(const struct bytes *b)
{
	struct pf_file_look l;

	assert_int_equal(pf_look(give, (void *)(uintptr_t)b, &l), 0);
	return l;
}

/* --- scripts ------------------------------------------------------------------------------ */

static struct pf_file_look script(const char *text)
{
	struct bytes b = {.n = strlen(text)};

	memcpy(b.p, text, b.n);
	return looked(&b);
}

static void a_script_names_its_interpreter(void **state)
{
	static const struct {
		const char *text, *interp, *args;
	} rows[] = {
		{"#!/bin/sh\necho\n", "/bin/sh", ""},
		{"#! \t/usr/bin/env  python3 -u \nx", "/usr/bin/env", "python3 -u"},
		{"#!/bin/sh", "/bin/sh", ""}, /* no line's end: the kernel takes it all the same */
		{"#!\n", "", ""},
		{"#!", "", ""},
		{"#!relative/sh x\n", "relative/sh", "x"},
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(rows); i++) {
		struct pf_file_look l = script(rows[i].text);

		assert_int_equal(l.kind, PF_FILE_SCRIPT);
		assert_string_equal(l.interp, rows[i].interp);
		assert_string_equal(l.args, rows[i].args);
	}
	assert_int_equal(script("#/bin/sh\n").kind, PF_FILE_DATA);
	assert_int_equal(script(" #!/bin/sh\n").kind, PF_FILE_DATA);
	assert_int_equal(script("").kind, PF_FILE_DATA);
}

/* BINPRM_BUF_SIZE: what is beyond is not seen by the kernel either. */
static void a_long_first_line_is_cut(void **state)
{
	struct bytes b = {.n = 1000};
	struct pf_file_look l;

	(void)state;
	memset(b.p, 'a', b.n);
	memcpy(b.p, "#!/", 3);
	l = looked(&b);
	assert_int_equal(l.kind, PF_FILE_SCRIPT);
	assert_int_equal(strlen(l.interp), PF_INTERP_MAX - 1 - 2);
}

static void env_starts_what_it_names(void **state)
{
	static const struct {
		const char *args, *name;
	} rows[] = {{"python3", "python3"},
		    {"-S python3 -u", "python3"},
		    {"LANG=C -i perl", "perl"},
		    {"", NULL},
		    {"-i", NULL},
		    {"A=b", NULL}};
	char buf[PF_INTERP_MAX];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(rows); i++) {
		struct pf_file_look l = {.kind = PF_FILE_SCRIPT};
		const char *name;

		snprintf(l.args, sizeof(l.args), "%s", rows[i].args);
		name = pf_look_env(&l, buf);
		if (rows[i].name)
			assert_string_equal(name, rows[i].name);
		else
			assert_null(name);
	}
}

/* --- ELF ------------------------------------------------------------------------------------ */

struct recipe {
	bool narrow; /* 32 bits */
	uint16_t type, machine;
	const char *interp;
	bool soname, pie;
};

static void put(struct bytes *b, size_t at, uint64_t v, unsigned bytes)
{
	while (bytes--) {
		b->p[at++] = (uint8_t)v;
		v >>= 8;
	}
	if (at > b->n)
		b->n = at;
}

static void put_phdr(struct bytes *b, bool narrow, size_t at, uint32_t type, uint64_t offset, uint64_t size)
{
	put(b, at, type, 4);
	put(b, at + (narrow ? 4 : 8), offset, narrow ? 4 : 8);
	put(b, at + (narrow ? 16 : 32), size, narrow ? 4 : 8);
	if (b->n < at + (narrow ? 32 : 56))
		b->n = at + (narrow ? 32 : 56);
}

static struct bytes elf(const struct recipe *r)
{
	struct bytes b = {.n = 0};
	const unsigned half = r->narrow ? 4 : 8;
	const size_t phdrs = r->narrow ? 52 : 64, size = r->narrow ? 32 : 56;
	size_t dyn = 1024;
	uint16_t n = 0;

	memcpy(b.p, ELFMAG, 4);
	b.p[EI_CLASS] = r->narrow ? ELFCLASS32 : ELFCLASS64;
	b.p[EI_DATA] = ELFDATA2LSB;
	put(&b, 16, r->type, 2);
	put(&b, 18, r->machine ? r->machine : r->narrow ? EM_386 : EM_X86_64, 2);
	put(&b, r->narrow ? 28 : 32, phdrs, half);
	put_phdr(&b, r->narrow, phdrs + size * n++, PT_LOAD, 0, 4096);
	if (r->interp) {
		put_phdr(&b, r->narrow, phdrs + size * n++, PT_INTERP, 512, strlen(r->interp) + 1);
		memcpy(b.p + 512, r->interp, strlen(r->interp) + 1);
		b.n = 512 + strlen(r->interp) + 1;
	}
	put_phdr(&b, r->narrow, phdrs + size * n++, PT_DYNAMIC, dyn, 128);
	put(&b, r->narrow ? 44 : 56, n, 2);
	if (r->soname) {
		put(&b, dyn, DT_SONAME, half);
		put(&b, dyn + half, 1, half);
		dyn += 2 * half;
	}
	if (r->pie) {
		put(&b, dyn, DT_FLAGS_1, half);
		put(&b, dyn + half, DF_1_PIE | DF_1_NOW, half);
		dyn += 2 * half;
	}
	put(&b, dyn, DT_NULL, half);
	put(&b, dyn + half, 0, half);
	return b;
}

static const struct {
	struct recipe r;
	enum pf_file_kind kind;
} kinds[] = {
	{{.type = ET_EXEC}, PF_FILE_PROGRAM}, /* static */
	{{.type = ET_EXEC, .interp = "/lib64/ld-linux-x86-64.so.2"}, PF_FILE_PROGRAM},
	{{.type = ET_DYN, .interp = "/lib64/ld-linux-x86-64.so.2", .pie = true}, PF_FILE_PROGRAM},
	{{.type = ET_DYN, .interp = "/lib/ld-musl-x86_64.so.1"}, PF_FILE_PROGRAM}, /* a PIE before DF_1_PIE */
	{{.type = ET_DYN, .pie = true}, PF_FILE_PROGRAM},			   /* static-pie */
	{{.type = ET_DYN, .interp = "/lib/ld.so", .soname = true, .pie = true}, PF_FILE_PROGRAM},
	{{.type = ET_DYN, .interp = "/lib/ld.so", .soname = true}, PF_FILE_LIBRARY}, /* libc.so.6 */
	{{.type = ET_DYN, .soname = true}, PF_FILE_LIBRARY},
	{{.type = ET_DYN}, PF_FILE_LIBRARY}, /* a module of Python's */
	{{.type = ET_REL}, PF_FILE_DATA},
	{{.type = ET_CORE}, PF_FILE_DATA},
	{{.narrow = true, .type = ET_EXEC}, PF_FILE_PROGRAM},
	{{.narrow = true, .type = ET_DYN, .interp = "/lib/ld-linux.so.2", .pie = true}, PF_FILE_PROGRAM},
	{{.narrow = true, .type = ET_DYN, .soname = true}, PF_FILE_LIBRARY},
	{{.narrow = true, .type = ET_EXEC, .machine = EM_X86_64}, PF_FILE_PROGRAM}, /* x32 */
	{{.type = ET_EXEC, .machine = EM_AARCH64}, PF_FILE_FOREIGN},
};

static void a_program_is_told_from_a_library(void **state)
{
	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(kinds); i++) {
		struct bytes b = elf(&kinds[i].r);
		struct pf_file_look l = looked(&b);

		if (l.kind != kinds[i].kind)
			fail_msg("row %zu: %d, not %d", i, l.kind, kinds[i].kind);
		if (kinds[i].r.interp)
			assert_string_equal(l.interp, kinds[i].r.interp);
	}
}

/* More headers than a linker makes, of which the last says that it is a program. */
static void no_crowd_of_headers_hides_a_program(void **state)
{
	static uint8_t room[65536 + 4096];
	static const uint16_t crowds[] = {255, 256, 257, 1169, 1170, 1171, 65535};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(crowds); i++) {
		const struct recipe r = {.type = ET_DYN};
		struct bytes b = elf(&r);
		struct big big = {room, sizeof(room)};
		size_t last = 64 + (size_t)(crowds[i] - 1) * 56;
		struct pf_file_look l;

		memset(room, 0, sizeof(room));
		memcpy(room, b.p, 64);
		room[56] = (uint8_t)crowds[i];
		room[57] = (uint8_t)(crowds[i] >> 8);
		if (last + 56 <= sizeof(room)) {
			struct bytes one = {.n = 0};

			put_phdr(&one, false, 0, PT_INTERP, 16, 8);
			memcpy(room + last, one.p, 56);
		}
		assert_int_equal(pf_look(give_big, &big, &l), 0);
		assert_int_equal(l.kind, PF_FILE_PROGRAM);
	}
}

static void entry_and_name_are_told(void **state)
{
	const struct recipe plain = {.type = ET_DYN}, named = {.type = ET_DYN, .soname = true};
	struct bytes b = elf(&plain);

	(void)state;
	assert_false(looked(&b).entry);
	assert_false(looked(&b).soname);
	put(&b, 24, 0x1040, 8);
	assert_true(looked(&b).entry);
	b = elf(&named);
	assert_true(looked(&b).soname);
}

/* Whatever its headers claim, a file that says PROGRAM in its first bytes stays one: what cannot be read is
 * no way to look like data. And nothing is read out of bounds (ASan), or for ever. */
static void no_bent_header_hides_a_program(void **state)
{
	static const size_t fields[] = {32, 40, 54, 56, 58, 60, 62, 64, 72, 96, 120, 128, 152};
	const struct recipe r = {.type = ET_EXEC, .interp = "/lib/ld.so"};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(fields); i++) {
		for (unsigned how = 0; how < 3; how++) {
			struct bytes b = elf(&r);

			memset(b.p + fields[i], how == 0 ? 0 : how == 1 ? 0xff : 0x7f, 2);
			assert_int_equal(looked(&b).kind, PF_FILE_PROGRAM);
			memset(b.p + fields[i], how == 0 ? 0 : how == 1 ? 0xff : 0x7f, 8);
			assert_int_equal(looked(&b).kind, PF_FILE_PROGRAM);
		}
	}
}

static void every_cut_is_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(kinds); i++) {
		struct bytes b = elf(&kinds[i].r);
		size_t whole = b.n, head = kinds[i].r.narrow ? 52 : 64;

		for (b.n = 0; b.n <= whole; b.n++) {
			struct pf_file_look l = looked(&b);

			if (b.n < head)
				assert_int_equal(l.kind, PF_FILE_DATA); /* ENOEXEC */
			else if (kinds[i].r.type == ET_EXEC && !kinds[i].r.machine)
				assert_int_equal(l.kind, PF_FILE_PROGRAM);
		}
	}
}

static void a_read_that_fails_is_told(void **state)
{
	struct pf_file_look l = {.kind = PF_FILE_FOREIGN};

	(void)state;
	assert_true(pf_look_fd(-1, &l) < 0);
	assert_int_equal(l.kind, PF_FILE_FOREIGN);
}

/* --- this machine's ---------------------------------------------------------------------------- */

static void own_files_are_what_they_are(void **state)
{
	PF_AUTO_CLOSE int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	PF_AUTO_CLOSE int passwd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	struct pf_file_look l;

	(void)state;
	assert_int_equal(pf_look_fd(self, &l), 0);
	assert_int_equal(l.kind, PF_FILE_PROGRAM);
	assert_true(l.interp[0] == '/');
	assert_int_equal(pf_look_fd(passwd, &l), 0);
	assert_int_equal(l.kind, PF_FILE_DATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_script_names_its_interpreter),
		cmocka_unit_test(a_long_first_line_is_cut),
		cmocka_unit_test(env_starts_what_it_names),
		cmocka_unit_test(a_program_is_told_from_a_library),
		cmocka_unit_test(no_crowd_of_headers_hides_a_program),
		cmocka_unit_test(entry_and_name_are_told),
		cmocka_unit_test(no_bent_header_hides_a_program),
		cmocka_unit_test(every_cut_is_survived),
		cmocka_unit_test(a_read_that_fails_is_told),
		cmocka_unit_test(own_files_are_what_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
