/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside apply: a change set on its way into the user's directory.
 *
 *   check    everything that speaks against it, before anything is written          apply_check.c
 *   plan     one step an entry: what is to be there, and what was                    apply_plan.c
 *   stage    all that is new is made in STAGE, at the top of the workspace            apply_stage.c
 *   journal  STATE/changes/ID/plan: the steps, and what lies in STAGE                 apply_journal.c
 *   move     each entry takes its place by one rename                                apply_move.c
 *   finish   modes of directories, what is remembered, STAGE and journal away         apply_finish.c
 *
 * STAGE is ".pinfold-apply-" and 128 random bits in hexadecimal, mode 0700, and holds entry i as "%zx". A
 * rename takes "i" out of it, or exchanges it with what stood in its place; what is removed is moved there.
 * So STAGE itself says how far an apply came, and whatever moment it was killed at, each step can be told to
 * be done, not done, or in the way of something that the user did: apply_look.c. Nothing that was moved into
 * STAGE is lost before the end.
 */
#ifndef PF_WORKSPACE_APPLY_INTERNAL_H
#define PF_WORKSPACE_APPLY_INTERNAL_H

#include "workspace/workspace_internal.h"

#define PF__STAGE_MAX (sizeof(PF_STAGE_PREFIX) + 32)
#define PF__NAME_MAX  24 /* of an entry in STAGE */

enum pf__todo {
	PF__DO_NOT, /* not asked for, or it cannot be applied at all (sockets, devices) */
	PF__DO_WRITE,
	PF__DO_DONE, /* is as it should be already */
};

/* What stood at an entry's place when it was checked. */
struct pf__was {
	bool exists;
	mode_t mode;
	uint64_t ino, nlink, size;
	int64_t mtime_ns, ctime_ns;
	uid_t uid;
	gid_t gid;
};

enum pf__kind {
	PF__STEP_NONE,
	PF__STEP_PUT,	 /* from STAGE to its place */
	PF__STEP_META,	 /* mode and attributes of what is there */
	PF__STEP_REMOVE, /* from its place into STAGE */
	PF__STEP_RMDIR,
};

#define PF__FROM_KEPT 1u
#define PF__FROM_ITEM 2u

struct pf__step {
	enum pf__kind kind;
	bool done;
	struct pf__was was;
	mode_t mode; /* PUT, META: to give */
	uid_t uid;   /* PUT */
	gid_t gid;
	struct {
		uint64_t ino, size;
		int64_t mtime_ns;
	} staged; /* PUT: what "i" in STAGE is, or with `from` what will be */
	/* PUT: it will be another name of what stands in the workspace: PF__FROM_KEPT, link_to of its file;
	 * else an item, plus PF__FROM_ITEM. 0: it is staged. The link itself is made only when things are
	 * moved, for it changes the time of the user's file. */
	uint64_t from;
};

/* A directory of the caller's own that is shut for him, and is opened while the apply works. */
struct pf__shut {
	char *path; /* "" is the workspace */
	mode_t mode;
};

struct pf__plan {
	char id[40], stage[PF__STAGE_MAX];
	bool moving; /* all is staged; without, nothing of the workspace was touched but STAGE */
	struct pf_change_place place;
	struct pf_list only; /* cleaned; empty: everything */
	struct pf__shut *shut;
	size_t shut_count;
	struct pf__step *steps; /* one an item */
	size_t count;		/* of items */
};

struct pf__apply {
	const struct pf_changeset *c;
	const struct pf_apply *how;
	struct pf_apply_report *report;
	int changes_fd, set_fd, ws_fd, stage_fd;
	uint8_t *todo; /* enum pf__todo, one an item */
	struct pf__plan plan;
	/* For each number of items[].link, less one: an entry that is there already, and the first that is
	 * put there; as index plus one, 0 for none. */
	struct pf__names {
		size_t done, put;
	} * names;
	int64_t *stamps; /* sorted mtimes of what is written, for the order of the new ones */
	size_t stamp_count;
	int64_t now_ns;
	struct pf__applied *applied; /* what earlier applies wrote, read when it is first needed */
	bool as_root;
	bool sync_each;
	bool blocked; /* a conflict that force does not lift */
	struct pf_error *err;
};

/* In test builds a test can stop the process at each of these, or do something itself: behind everything that
 * changes a file, and between the last look at an entry and its move. */
#ifdef PF_SAN_BUILD
extern void (*pf__apply_point)(void);
#define PF__POINT()                                                                                          \
	do {                                                                                                 \
		if (pf__apply_point)                                                                         \
			pf__apply_point();                                                                   \
	} while (0)
#else
#define PF__POINT() ((void)0)
#endif

/* --- apply.c ---------------------------------------------------------------------------------- */
int pf__apply_no_memory(struct pf__apply *a);
/* -errno with "cannot WHAT 'path': why" */
int pf__apply_cannot(struct pf__apply *a, int code, const char *what, const char *path);
int pf__apply_note(struct pf__apply *a, const char *path, const char *what);
int pf__apply_conflict(struct pf__apply *a, const char *path, const char *reason);

/* --- apply_choose.c --------------------------------------------------------------------------- */
/* The caller's paths, cleaned and sorted; "." is everything. */
int pf__apply_paths(struct pf__apply *a, const struct pf_list *given, struct pf_list *out);
/* Which entries are asked for, by plan.only, less what cannot be applied at all. */
int pf__apply_choose(struct pf__apply *a);
bool pf__apply_within(const char *path, const char *dir);

/* --- apply_check.c ---------------------------------------------------------------------------- */
/* A modified entry that is to be of another type than it was (or is, for a forced apply). */
bool pf__apply_retype(const struct pf_change *c);
/* A directory that is there only by this entry. */
bool pf__apply_makes_dir(const struct pf_change *c);
/* Find every conflict and protected path; fills the report, turns finished entries into PF__DO_DONE, and
 * records what stands where. */
int pf__apply_check(struct pf__apply *a);
/* Every entry of a directory that is to go must be one that goes too; others are conflicts. */
int pf__apply_unseen(struct pf__apply *a, const struct pf_change *c);
/* Did an earlier apply leave it so? Then it is younger than the sandbox, and no change of the user's. */
bool pf__apply_ours(struct pf__apply *a, const char *path, const struct stat *st);

/* --- apply_same.c ----------------------------------------------------------------------------- */
/* Is the workspace's entry as the change wants it? parent is the directory it is in. 1, 0, -errno. */
int pf__apply_same(struct pf__apply *a, const struct pf_change *c, int parent, const char *leaf,
		   const struct stat *st);
/* The mode that an entry is to have: set-id bits go, but a directory keeps an inherited setgid. */
mode_t pf__apply_mode(const struct pf_change *c, mode_t parent);
/* Does a symbolic link lead out of the workspace? By its text: its target may not exist yet, and is not
 * looked at. */
bool pf__leads_out(const struct pf_change *c, const char *workspace);

/* --- apply_plan.c ----------------------------------------------------------------------------- */
int pf__apply_plan(struct pf__apply *a);
int pf__apply_stamps(struct pf__apply *a); /* now_ns, stamps */
void pf__apply_plan_free(struct pf__plan *p);
int pf__apply_plan_shut(struct pf__plan *p, const char *path, mode_t mode); /* add; 0 or -ENOMEM */

/* --- apply_stage.c ---------------------------------------------------------------------------- */
int pf__apply_stage(struct pf__apply *a);
/* Entry i as it is to be, new under this name in a directory. 0, -errno; EEXIST if the name is taken. */
int pf__stage_make(struct pf__apply *a, size_t i, int dirfd, const char *name);
void pf__stage_name(size_t i, char out[PF__NAME_MAX]);
void pf__stage_aside(size_t i, char out[PF__NAME_MAX + 4]); /* what was there, or a mark that it was */
/* What a step that has `from` will be another name of; else NULL. */
const char *pf__stage_source(const struct pf__apply *a, size_t i);
/* Make the link of a step that has `from`, in STAGE; a file of its own where that is not what it was. 0,
 * -errno. */
int pf__stage_link(struct pf__apply *a, size_t i);
/* What was staged for a step, once more, with the time that tells it. 0, -errno. */
int pf__stage_again(struct pf__apply *a, size_t i);
/* STAGE, held open in stage_fd: made by us, ours alone, no link. -ENOENT if it is not there. */
int pf__stage_open(struct pf__apply *a);

/* --- apply_journal.c, apply_journal_read.c ---------------------------------------------------- */
bool pf__journal_there(int set_fd);
int pf__journal_write(int set_fd, const struct pf__plan *p, struct pf_error *err);
/* count: entries of the set. */
int pf__journal_read(int set_fd, const struct pf_changeset *c, struct pf__plan *out, struct pf_error *err);
void pf__journal_remove(int set_fd);
/* For tests: all of it as text, and back. */
int pf__journal_print(const struct pf__plan *p, struct pf_buf *out);
int pf__journal_parse(const char *text, size_t n, size_t items, struct pf__plan *out, struct pf_error *err);

/* --- apply_look.c ----------------------------------------------------------------------------- */
/* The directory that a step happens in, and what stands at its place. */
struct pf__place {
	int fd; /* O_PATH */
	const char *leaf;
	struct stat dir, st;
	bool exists;
	bool spoilt; /* what is staged for it is not what we staged, and has to be made anew */
};
int pf__place_open(struct pf__apply *a, const char *path, struct pf__place *p); /* 0 or -errno */
void pf__place_close(struct pf__place *p);

enum pf__state {
	PF__READY,
	PF__DONE,
	PF__MOVED,   /* it has its place; what it took the place of lies in STAGE and was not looked at yet */
	PF__CHANGED, /* the user did something since: why says what */
	PF__BLOCKED, /* the same, and force does not lift it */
};
/* How is it with step i? p is opened unless the result is an error or its directory is not there (p->fd < 0).
 */
int pf__apply_look(struct pf__apply *a, size_t i, struct pf__place *p, enum pf__state *state,
		   const char **why);
/* Is it the very thing that was there? */
bool pf__was_same(const struct pf__was *was, const struct stat *st);
/* What a rename brought into STAGE, whose change time is that of the rename. */
bool pf__was_like(const struct pf__was *was, const struct stat *st);
void pf__was_of(struct pf__was *was, const struct stat *st); /* st NULL: nothing is there */

/* --- apply_move.c ----------------------------------------------------------------------------- */
int pf__apply_move(struct pf__apply *a);
/* Before an apply goes on: conflicts of all that is left, into the report. */
int pf__apply_recheck(struct pf__apply *a);
/* What the user wrote at the very moment of an exchange, and that now lies in STAGE: back to its place. */
int pf__apply_give_back(struct pf__apply *a, size_t i, const struct pf__place *p);
/* Where no rename leads from STAGE an entry is made beside its place: what a kill left there goes. */
void pf__apply_clear_beside(const struct pf__apply *a, size_t i, const struct pf__place *p);

/* --- apply_meta.c ----------------------------------------------------------------------------- */
int pf__chmod_fd(int fd, mode_t mode); /* O_PATH too; 0 or -errno */
/* Mode and attributes. final: of a directory, its own mode and not one that lets us in. */
int pf__apply_meta(struct pf__apply *a, size_t i, const struct pf__place *p, bool final);
/* Open, and shut again, the directories of the plan. Shutting does what it can. */
int pf__apply_open_shut(struct pf__apply *a);
int pf__apply_open_root(struct pf__apply *a); /* the workspace alone, for STAGE */
void pf__apply_shut_again(struct pf__apply *a);

/* --- apply_finish.c --------------------------------------------------------------------------- */
/* All steps are done. */
int pf__apply_finish(struct pf__apply *a);
/* Nothing was moved: STAGE and journal go. */
void pf__apply_undo(struct pf__apply *a);
/* Give a half-applied set up: what is staged goes, what was written stays. note: what could not be done, or
 * "". */
void pf__apply_abandon(int changes_fd, int set_fd, const char *id, char *note);

/* --- remember.c: what applies wrote ------------------------------------------------------------ */
struct pf__applied;
/* One record a path, of this workspace; NULL without memory. What cannot be read is as if it were not there:
 * then there are more conflicts, not fewer. */
struct pf__applied *pf__applied_load(int changes_fd, const char *workspace);
void pf__applied_free(struct pf__applied *l);
/* Is what stands there what an apply of ours left there? */
bool pf__applied_is(const struct pf__applied *l, const char *path, const struct stat *st);
/* Add records, one a line, as pf__applied_line() writes them. */
int pf__applied_line(const char *path, const struct stat *st, int64_t now, struct pf_buf *out);
void pf__applied_add(int changes_fd, const char *workspace, const struct pf_buf *lines);
void pf__applied_expire(int changes_fd, int64_t before); /* files of workspaces not written since */
/* For tests: one line of the file. */
int pf__applied_parse(const char *line, size_t n, char **path, struct stat *st, int64_t *when);

#endif
