/* SPDX-License-Identifier: Apache-2.0 */
/* See look.h. */
#include "view/look.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define PHDRS_BYTES                                                                                          \
	65536u /* Linux takes no more (load_elf_phdrs()); what has more is taken for the worst               \
		*/
#define DYNAMIC_MAX 4096u

struct elf {
	pf_look_read read;
	void *ctx;
	bool wide; /* ELFCLASS64 */
	uint16_t type, phnum;
	uint64_t phoff;
	bool interp, soname, pie;
	struct pf_file_look *out;
};

static uint64_t number(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

/* --- scripts ------------------------------------------------------------------------------ */

static void look_script(const char *head, size_t n, struct pf_file_look *out)
{
	const char *end = memchr(head, '\n', n), *p = head + 2, *q;

	out->kind = PF_FILE_SCRIPT;
	end = end ? end : head + n;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	for (q = p; q < end && *q && *q != ' ' && *q != '\t';)
		q++;
	memcpy(out->interp, p, (size_t)(q - p));
	while (q < end && (*q == ' ' || *q == '\t'))
		q++;
	while (end > q && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	memcpy(out->args, q, (size_t)(end - q));
}

const char *pf_look_env(const struct pf_file_look *l, char *buf)
{
	char *save = NULL, *word;

	memcpy(buf, l->args, PF_INTERP_MAX);
	for (word = strtok_r(buf, " \t", &save); word; word = strtok_r(NULL, " \t", &save))
		if (word[0] != '-' && !strchr(word, '='))
			return word;
	return NULL;
}

/* --- ELF ---------------------------------------------------------------------------------- */

static int look_interp(struct elf *e, uint64_t at, uint64_t size)
{
	long n;

	e->interp = true;
	if (size > PF_INTERP_MAX - 1)
		size = PF_INTERP_MAX - 1;
	n = e->read(e->ctx, e->out->interp, (size_t)size, at);
	if (n < 0)
		return (int)n;
	e->out->interp[n] = '\0';
	return 0;
}

/* DT_SONAME, and DF_1_PIE of DT_FLAGS_1, by which a linker tells programs from libraries. */
static int look_dynamic(struct elf *e, uint64_t at, uint64_t size)
{
	const unsigned half = e->wide ? 8 : 4, entry = 2 * half;
	uint8_t chunk[512];
	uint64_t done = 0;

	while (done < size && done / entry < DYNAMIC_MAX) {
		size_t want = size - done < sizeof(chunk) ? (size_t)(size - done) : sizeof(chunk);
		long n = e->read(e->ctx, chunk, want, at + done);

		if (n < (long)entry)
			return n < 0 ? (int)n : 0;
		for (size_t i = 0; i + entry <= (size_t)n; i += entry) {
			uint64_t tag = number(chunk + i, half), value = number(chunk + i + half, half);

			if (tag == DT_NULL)
				return 0;
			e->soname |= tag == DT_SONAME;
			e->pie |= tag == DT_FLAGS_1 && (value & DF_1_PIE);
		}
		done += sizeof(chunk);
	}
	return 0;
}

static int look_phdrs(struct elf *e)
{
	const unsigned size = e->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	unsigned i;

	if (e->phnum * size > PHDRS_BYTES) {
		e->pie = true; /* ld.so has no such bound */
		return 0;
	}
	for (i = 0; i < e->phnum; i++) {
		uint8_t p[sizeof(Elf64_Phdr)];
		long n = e->read(e->ctx, p, size, e->phoff + (uint64_t)i * size);
		uint64_t at, bytes;
		int r = 0;

		if (n < (long)size)
			return n < 0 ? (int)n : 0;
		at = e->wide ? number(p + 8, 8) : number(p + 4, 4);
		bytes = e->wide ? number(p + 32, 8) : number(p + 16, 4);
		if (number(p, 4) == PT_INTERP)
			r = look_interp(e, at, bytes);
		else if (number(p, 4) == PT_DYNAMIC)
			r = look_dynamic(e, at, bytes);
		if (r < 0)
			return r;
	}
	return 0;
}

/* libc.so.6 has an interpreter too, so that it can be asked for its version: its SONAME tells that it is
 * there to be linked with, and programs need it. */
static enum pf_file_kind judge(const struct elf *e)
{
	if (e->type == ET_EXEC)
		return PF_FILE_PROGRAM;
	if (e->type != ET_DYN)
		return PF_FILE_DATA;
	if (e->interp)
		return e->soname && !e->pie ? PF_FILE_LIBRARY : PF_FILE_PROGRAM;
	return e->pie ? PF_FILE_PROGRAM : PF_FILE_LIBRARY;
}

static int look_elf(pf_look_read read, void *ctx, const uint8_t *head, size_t n, struct pf_file_look *out)
{
	struct elf e = {
		.read = read, .ctx = ctx, .out = out, .wide = n > EI_CLASS && head[EI_CLASS] == ELFCLASS64};
	uint64_t machine;
	int r;

	if (n < (e.wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
		return 0; /* nothing starts what has no header */
	machine = number(head + 18, 2);
	if (head[EI_DATA] != ELFDATA2LSB ||
	    (machine != EM_X86_64 && machine != EM_386 && machine != 6 /* EM_486 */)) {
		out->kind = PF_FILE_FOREIGN;
		return 0;
	}
	e.type = (uint16_t)number(head + 16, 2);
	e.phoff = e.wide ? number(head + 32, 8) : number(head + 28, 4);
	e.phnum = (uint16_t)number(head + (e.wide ? 56 : 44), 2);
	out->entry = number(head + 24, e.wide ? 8 : 4) != 0;
	r = look_phdrs(&e);
	if (r < 0)
		return r;
	out->kind = judge(&e);
	out->soname = e.soname;
	return 0;
}

int pf_look(pf_look_read read, void *ctx, struct pf_file_look *out)
{
	uint8_t head[PF_INTERP_MAX] = {0};
	struct pf_file_look l = {.kind = PF_FILE_DATA};
	long n = read(ctx, head, sizeof(head) - 1, 0);
	int r = 0;

	if (n < 0)
		return (int)n;
	if (n >= 2 && head[0] == '#' && head[1] == '!')
		look_script((const char *)head, (size_t)n, &l);
	else if (n >= 4 && memcmp(head, ELFMAG, 4) == 0)
		r = look_elf(read, ctx, head, (size_t)n, &l);
	if (r == 0)
		*out = l;
	return r;
}

static long read_fd(void *ctx, void *p, size_t n, uint64_t at)
{
	ssize_t got;

	if (at > INT64_MAX)
		return 0;
	got = pread(*(int *)ctx, p, n, (off_t)at);
	return got < 0 ? -errno : got;
}

int pf_look_fd(int fd, struct pf_file_look *out)
{
	return pf_look(read_fd, &fd, out);
}
