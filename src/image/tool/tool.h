/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program pinfold-image (libexec): `pinfold image VERB`. One file a verb; beside them
 *
 *   save.c       from a source to an image in the store
 *   mmdebstrap.c a Debian root by mmdebstrap;  sources.c where the host's own apt finds Debian
 *   helper.c     programs of others, which end when we end
 *   progress.c   a line on a terminal for what takes long
 *   use.c        who uses an image, and whether its file is still what it was
 */
#ifndef PF_IMAGE_TOOL_H
#define PF_IMAGE_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "cli/cli.h"
#include "image/import/import.h"
#include "image/store.h"
#include "image/store_write.h"

extern const struct pf_verb pf__tool_import, pf__tool_ls, pf__tool_inspect, pf__tool_rm, pf__tool_tag,
	pf__tool_unpack, pf__tool_build, pf__tool_pull, pf__tool_ensure;

/* The directories, after a sweep of what was cut off. 0, or an error that says what failed. */
int pf__tool_begin(struct pf_dirs *dirs, struct pf_error *err);

/* --- tag.c --- */
/* The image that has the name now, "" if none; name may be NULL. Looked at before the name is given away:
 * what another process does in between is not said. */
void pf__tool_name_was(const char *state, const char *name, char digest[PF_DIGEST_MAX]);
#define PF__NAME_WAS "the name %s was taken from %s, which is still there by its digest"

/* --- progress.c: on standard error, if that is a terminal and it takes more than a second --- */
struct pf__progress {
	const char *what; /* "import", the image's name ... */
	bool terminal, shown;
	uint64_t begun, last; /* nanoseconds */
};
void pf__progress_begin(struct pf__progress *p, const char *what);
void pf__progress_say(struct pf__progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pf__progress_bytes(struct pf__progress *p, const char *doing, uint64_t done, uint64_t total);
void pf__progress_end(struct pf__progress *p); /* takes the line away */

/* --- save.c --- */
struct pf__save {
	struct pf_import how; /* progress and user are save's own */
	const char *name;     /* or NULL: none */
	const char *source;   /* for info.json */
	bool kind;	      /* ... behind what kind of source it was */
	const char *cmd;      /* the command of an image whose source has no configuration; or NULL */
	struct pf__progress *progress;
};
struct pf__saved {
	char digest[PF_DIGEST_MAX];
	bool existed; /* such an image was there already; it has the name now */
	uint64_t size, files, bytes;
	unsigned layers;
	struct pf_list notes;
};
/* Import into n, which is used up by it, also after a failure. */
int pf__save(const struct pf__save *save, struct pf_image_new *n, struct pf__saved *out,
	     struct pf_error *err);
void pf__saved_free(struct pf__saved *s);
/* "sha256:... NAME", or the same and more as JSON; notes to standard error. Exit code. */
int pf__saved_print(const struct pf__saved *s, const char *name, bool json);

/* --- helper.c --- */
struct pf__helper {
	const char *const *argv;  /* argv[0] is looked up in PATH */
	char *const *env;	  /* NULL: ours */
	int out, err;		  /* its standard output and error; -1: /dev/null */
	int keep;		  /* a descriptor that it inherits, such as a lock; -1: none */
	void (*tick)(void *user); /* some times a second while it runs; or NULL */
	void *user;
};
/* Run it in a process group of its own, which gets SIGTERM should we die before it. Its exit status, 128 + n
 * for a signal, or -errno: -ENOENT if there is no such program. */
int pf__helper_run(const struct pf__helper *h, struct pf_error *err);
bool pf__helper_there(const char *program); /* in PATH */
/* What a program wrote last to its log: that many lines, joined. */
void pf__helper_tail(int fd, size_t lines, char *out, size_t cap);
/* Its lines that begin so, from the first on, joined; those that it wrote last if there are none. */
void pf__helper_complaint(int fd, const char *prefix, char *out, size_t cap);

/* --- sources.c --- */
/* Debian's main archive of that suite as the host's apt knows it, as "deb ..." lines; none if it knows none.
 * suite NULL: bookworm if apt knows it or knows none, else the first that it knows. */
struct pf__apt {
	char suite[64];
	struct pf_list lines;
};
int pf__apt_find(const char *suite, struct pf__apt *out, struct pf_error *err);
int pf__apt_read(const char *text, const char *suite, struct pf__apt *out,
		 struct pf_error *err); /* its parser */

/* --- mmdebstrap.c --- */
struct pf__debian {
	const char *name;	       /* of the image, or NULL */
	const char *suite;	       /* NULL: pf__apt_find()'s choice */
	const char *variant;	       /* of mmdebstrap's */
	const char *packages;	       /* "a,b", or NULL */
	const struct pf_list *mirrors; /* URLs or "deb ..." lines; empty: pf__apt_find()'s */
	bool slim;		       /* without manual pages, translations and documentation */
	const char *what;	       /* for progress */
};
int pf__debian_build(const struct pf_dirs *dirs, const struct pf__debian *how, struct pf__saved *out,
		     struct pf_error *err);

/* --- base.c --- */
/* The image base (DESIGN section 8): its packages, "a,b,c". */
int pf__base_packages(struct pf_buf *out);
int pf__base_build(const struct pf_dirs *dirs, const char *suite, const struct pf_list *mirrors,
		   struct pf__saved *out, struct pf_error *err);
void pf__base_list(struct pf_buf *out); /* for people: package and what for, a line each */

/* --- use.c --- */
/* Ids of live sandboxes that use it, as RUNTIME tells. */
int pf__image_users(const struct pf_dirs *dirs, const char *digest, struct pf_list *ids,
		    struct pf_error *err);
/* image.erofs is what its digest says, or -EBADMSG. */
int pf__image_verify(const struct pf_image *i, struct pf__progress *p, struct pf_error *err);

#endif
