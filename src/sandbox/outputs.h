/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long outputs, whole, in the state directory:
 *
 *	STATE/outputs/ID/meta.json        id, command, when it ended, the length of each stream
 *	STATE/outputs/ID/stdout, stderr   the bytes, as the result would have them without a limit
 *
 * ID is that of the result. While a command runs the directory is called ".ID" and its writer holds a lock
 * (flock) on it: one is there whole or not at all, and what is unfinished and can be locked was cut off. Only
 * outputs that pass limits.output_inline come here: a usual run makes nothing.
 */
#ifndef PF_SANDBOX_OUTPUTS_H
#define PF_SANDBOX_OUTPUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dirs.h"
#include "base/error.h"
#include "base/list.h"

#include "pinfold.h"

struct pf_kept_output {
	char id[40];
	int64_t ended;	   /* seconds since the epoch */
	bool kept[2];	   /* stdout, stderr */
	uint64_t bytes[2]; /* where it is kept */
	char *command;	   /* one printable line */
};

/* STATE/outputs. make: if it is not there; else -ENOENT, and *err is left alone. */
int pf_outputs_open(const struct pf_dirs *d, bool make, struct pf_error *err);
int pf_outputs_list(int outputs_fd, struct pf_list *ids, struct pf_error *err); /* oldest first */
/* id is a whole one. */
int pf_outputs_load(int outputs_fd, const char *id, struct pf_kept_output *out, struct pf_error *err);
/* The one that `given` names: an id, the beginning of one, or "last". -ENOENT, -ENOTUNIQ. */
int pf_outputs_find(int outputs_fd, const char *given, struct pf_kept_output *out, struct pf_error *err);
void pf_kept_output_free(struct pf_kept_output *o);
/* Descriptor of one stream; -ENODATA: that one is not kept. */
int pf_outputs_stream(int outputs_fd, const struct pf_kept_output *o, enum pf_stream stream,
		      struct pf_error *err);
int pf_outputs_drop(int outputs_fd, const char *id, struct pf_error *err); /* a whole id */
uint64_t pf_outputs_bytes(int outputs_fd, const char *id);		   /* on disk; 0: unknown */

/* Remove what is unfinished and can be locked, then what is too old or too much, as with change sets
 * (PF_CHANGES_KEEP_* of workspace/change.h). Returns how many went. */
unsigned pf_outputs_clean(int outputs_fd);
void pf_outputs_sweep(const struct pf_dirs *d); /* the former alone: cheap enough for every start */

/* --- for the writer (spool.c) ------------------------------------------------------------------ */

/* Make ".ID" and lock it. Descriptor or -errno. */
int pf__outputs_stage(int outputs_fd, const char *id, struct pf_error *err);
/* Write meta.json into the stage and give it its name. */
int pf__outputs_settle(int outputs_fd, int stage, const struct pf_kept_output *o, struct pf_error *err);
void pf__outputs_abort(int outputs_fd, const char *id);

/* --- how long they stay (outputs.c) ------------------------------------------------------------ */

struct pf__kept_age {
	const char *id;
	int64_t when_ns; /* CLOCK_REALTIME */
	uint64_t bytes;
	bool go; /* the answer */
};
/* Sort, the oldest first, and mark what is to go: what is older than a week, then the oldest until the rest
 * is within the bound, but never the newest for its size. What is dated in the future is new: a clock that
 * was set back must not cost anybody what he kept. */
void pf__outputs_choose(struct pf__kept_age *items, size_t count, int64_t now_ns);

#endif
