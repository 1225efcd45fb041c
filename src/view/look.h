/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel or ld.so could do with a file, told by its first bytes (elf(5), and binfmt_script.c and
 * binfmt_elf.c of Linux). The bytes are of an image that anybody made: nothing of them is trusted, every
 * offset and count is held against a bound before it is used, and what cannot be read whole is judged by what
 * the kernel would still do with it. No allocation.
 */
#ifndef PF_VIEW_LOOK_H
#define PF_VIEW_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pf_file_kind {
	PF_FILE_DATA,	 /* neither starts it; an object file (ET_REL) is data too */
	PF_FILE_SCRIPT,	 /* "#!": the kernel starts its interpreter, if the file has an x bit */
	PF_FILE_PROGRAM, /* ELF that is started: by the kernel with an x bit, by `ld.so ./x` without */
	PF_FILE_LIBRARY, /* ELF that is mapped by programs: no interpreter of its own, or beside one a SONAME
			  */
	PF_FILE_FOREIGN, /* ELF of another machine: only an x bit and binfmt_misc could start it */
};

#define PF_INTERP_MAX 256 /* of Linux, BINPRM_BUF_SIZE */
struct pf_file_look {
	enum pf_file_kind kind;
	bool entry;  /* ELF that says where it is entered: programs do, libraries of old linkers too */
	bool soname; /* ELF that says what it is called as a library */
	char interp[PF_INTERP_MAX]; /* of a script or an ELF file; "" none */
	char args[PF_INTERP_MAX];   /* of a script: what stands behind the interpreter */
};

/* Reads n bytes at an offset; returns how many there were, or -errno. */
typedef long (*pf_look_read)(void *ctx, void *p, size_t n, uint64_t at);
int pf_look(pf_look_read read, void *ctx, struct pf_file_look *out); /* 0, or -errno of a read */
int pf_look_fd(int fd, struct pf_file_look *out);
/* Of a script that is started through env(1): the name behind it, of its options and variables none. NULL: it
 * names none. buf: PF_INTERP_MAX. */
const char *pf_look_env(const struct pf_file_look *l, char *buf);

#endif
