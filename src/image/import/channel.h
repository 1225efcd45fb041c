/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the caller's process and its child: one sequential-packet socket, whole messages of fixed shape
 * (as OpenBSD's imsg). What the child sends is not believed: unknown types, lengths that do not fit and
 * files that are not on the short list of a layout end the import.
 */
#ifndef PF_IMPORT_CHANNEL_H
#define PF_IMPORT_CHANNEL_H

#include "image/import/import_internal.h"

#define PF__MSG_DATA 16384u

enum pf__msg_type {
	PF__MSG_PROGRESS = 1, /* child: code is the phase, a done, b total */
	PF__MSG_OPEN,	      /* child: data names a file of the layout */
	PF__MSG_FILE,	      /* answer: code 0, a is the size, with a descriptor; or a negative errno */
	PF__MSG_REPORT,	      /* child: data is the next part of the report */
	PF__MSG_ERROR,	      /* child: code and text of the failure; the last one */
	PF__MSG_DONE,	      /* child: all went well; the last one */
};

struct pf__msg {
	uint32_t type;
	int32_t code;
	uint64_t a, b;
	uint32_t n; /* bytes of data that are sent */
	char data[PF__MSG_DATA];
};

/* fd: a descriptor that goes with it, or -1. */
int pf__msg_send(int channel, const struct pf__msg *m, int fd, struct pf_error *err);
/* From the caller's process, which must not wait for a child that asks and does not listen: -EPROTO then. */
int pf__msg_answer(int channel, const struct pf__msg *m, int fd, struct pf_error *err);
/* 1, 0 at the end of file, -errno. *fd: -1 or a descriptor that came with it, the caller's; NULL: none may.
 */
int pf__msg_receive(int channel, struct pf__msg *m, int *fd, struct pf_error *err);

/* The child's side. */
int pf__ask_file(int channel, const char *path, int *fd, uint64_t *size, struct pf_error *err);
int pf__send_report(int channel, const struct pf_buf *text, struct pf_error *err);

/* What the child found, as JSON: written by it, read back as hostile (report.c). */
int pf__report_print(const struct pf__job *j, struct pf_buf *out, struct pf_error *err);
int pf__report_parse(const char *text, size_t n, struct pf_import_result *out, struct pf_error *err);

/* The child's life (confine.c, parent.c). */
enum pf__wall {
	PF__WALL_ARCHIVE, /* no privilege, opens nothing */
	PF__WALL_DIR,	  /* the caller's rights, opens below one directory */
};
/* Called in the child. The descriptors it needs are low ones already; dir: of PF__WALL_DIR. */
int pf__confine(enum pf__wall wall, int dir, uint64_t file_max, uint64_t maps, struct pf_error *err);

struct pf__child {
	enum pf__wall wall;
	uint64_t file_max; /* bytes of the largest file it may write */
	uint64_t maps;	   /* bytes of files that it maps */
	/* Descriptors that the child needs; in it they have the new numbers. -1: none. */
	int *keep[6];
	int *dir;     /* of PF__WALL_DIR; one of those in keep */
	int *channel; /* set in the child */
	int (*work)(void *user, struct pf_error *err);
	void *user;
	int layout; /* caller's side: the directory whose files the child may ask for, or -1 */
	const struct pf_import *how;
};
/* Run work in a child behind walls. report: what it sent. A child that dies is an error that says how. */
int pf__child_run(struct pf__child *c, struct pf_buf *report, struct pf_error *err);

/* Look through a finished image (check.c), in a child: hostile again, since the first child made it. */
int pf__image_check(const struct pf_import *how, int fd, uint64_t size, struct pf_error *err);

#endif
