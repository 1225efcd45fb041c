/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages. Fields are written in the order of the struct: integers little-endian,
 * strings and byte strings as u32 length and bytes (no NUL inside strings), lists as u32 count
 * and items. A decoder accepts a body only if it is used up exactly, every count and length is
 * in its range and every string is terminated by us; decoded strings live in the arena that the
 * decoder allocates (*mem, one free()). Bodies from the peer are hostile.
 */
#ifndef PF_PROTO_MSG_H
#define PF_PROTO_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum pf_msg_type {
	/* host to init */
	PF_MSG_HELLO = 1,
	PF_MSG_PREPARE = 2,
	PF_MSG_START = 3,
	PF_MSG_SIGNAL = 4,
	PF_MSG_RESIZE = 5,
	PF_MSG_CANCEL = 6, /* body: u32 exec. A prepared launcher is not wanted any more */
	PF_MSG_REAP = 7,   /* body: u32 exec. Without cgroups: kill everything but init and waiting launchers,
			      answer REAPED */
	PF_MSG_RULES = 8,  /* no body. The workspace is another mount: make the Landlock rules anew, and
			      replace  waiting launchers, which have the old ones */
	/* init to host */
	PF_MSG_WELCOME = 32,
	PF_MSG_READY = 33,
	PF_MSG_STARTED = 34,
	PF_MSG_EXITED = 35,
	PF_MSG_FAILED = 36,
	PF_MSG_REAPED = 37, /* body: u32 exec */
	PF_MSG_CONNECTED = 38,
	PF_MSG_TURNED_AWAY = 39,
};

/* The streams of exec n. */
static inline uint32_t pf_stream_stdin(uint32_t exec)
{
	return exec * 4 + 1;
}
static inline uint32_t pf_stream_stdout(uint32_t exec)
{
	return exec * 4 + 2;
}
static inline uint32_t pf_stream_stderr(uint32_t exec)
{
	return exec * 4 + 3;
}
#define PF_EXEC_MAX 0x3fffffffu /* exec numbers begin at 1 */

/*
 * The door: init listens on a port of the sandbox's loopback, and each connection to it is forwarded by two
 * streams, whose numbers no exec has. The side that sends on one ends it with EOF, and either may be ended
 * without the other; a receiver that gives up says STOP, and gets EOF. They open with CONNECTED.
 */
#define PF_DOOR_PORT	 3128u
#define PF_DOOR_CONN_MAX 0x1fffffffu		   /* numbers begin at 1 again after this */
static inline uint32_t pf_stream_up(uint32_t conn) /* from the sandbox to the host */
{
	return conn * 8;
}
static inline uint32_t pf_stream_down(uint32_t conn)
{
	return conn * 8 + 4;
}
static inline bool pf_stream_is_door(uint32_t stream)
{
	return stream % 4 == 0 && stream >= 8;
}

struct pf_strs { /* a list of strings; strings[count] is NULL */
	uint32_t count;
	char **strings;
};

#define PF_MSG_RULES_MAX 32
struct pf_msg_rule { /* a Landlock rule (linux/landlock.h) */
	uint32_t access;
	char *path;
};

enum { PF_ROOT_READY = 1, PF_ROOT_BUILD = 2 };
enum { PF_CGROUP_NONE = 0, PF_CGROUP_V1 = 1, PF_CGROUP_V2 = 2 };

struct pf_msg_hello {
	uint16_t version_min, version_max;
	uint64_t features; /* none yet; unknown bits in `must` close */
	uint64_t must;
	uint8_t root; /* PF_ROOT_*; BUILD belongs to microvm and is refused until it exists */
	uint32_t init_uid,
		init_gid;   /* what init runs as already, or changes to (checked, -EPERM in FAILED) */
	uint64_t keep_caps; /* capabilities a command may be granted; the bounding set keeps only these */
	uint32_t filter_options; /* PF_FILTER_* for the second filter */
	uint32_t cgroup_count;	 /* descriptors of execs/ directories, from PF_INIT_CGROUP_FD on */
	uint8_t cgroup_kind[5];	 /* PF_CGROUP_* each */
	uint32_t rule_count;
	struct pf_msg_rule rules[PF_MSG_RULES_MAX];
	struct pf_strs readonly; /* paths whose refusal to be written goes into the receipt */
	char *canary;		 /* a host path that must not be readable inside */
	uint16_t door_port;	 /* where init listens; 0: there is no door */
	char *breaks;		 /* test builds: PF_BREAK; must be empty in release builds */
};

struct pf_msg_prepare {
	uint32_t exec;
	uint32_t uid, gid;
	uint64_t caps;		 /* granted (within keep_caps) */
	uint8_t tty, want_stdin; /* without want_stdin, stdin is /dev/null */
	uint16_t rows, cols;
};

enum pf_start_op {
	PF_OP_EXEC = 1, /* argv[0] is looked up in env's PATH */
	/* File operations run in the launcher under all its confinement, instead of execve: argv is [path].
	 * Their exit code is 0 or an errno (1..133). */
	PF_OP_READ = 2,	 /* file to stdout */
	PF_OP_WRITE = 3, /* stdin to file (created 0666 & ~umask or truncated) */
	PF_OP_LIST = 4,	 /* stdout: for each entry u8 type (DT_*), then name and NUL */
	PF_OP_STAT =
		5, /* stdout: u32 mode, u32 uid, u32 gid, u64 size, s64 mtime_ns; not following a last link */
	PF_OP_MKDIR = 6,
	PF_OP_REMOVE = 7,  /* file, or tree */
	PF_OP_BENEATH = 9, /* as STAT, of what the path leads to from cwd; EXDEV: it leads out of there */
	PF_OP_LINE = 8,	   /* argv is a command line in tokens, each of which begins with its kind */
};

/* Tokens of PF_OP_LINE. Commands are separated by what joins them; each has at least one word. A redirection
 * is its kind, a digit 0..2, and what is named: a path, a digit, or text of at most PF_LINE_TEXT_MAX bytes.
 */
#define PF_LINE_WORD	     'w'
#define PF_LINE_ASSIGN	     'a' /* NAME=value, for this command */
#define PF_LINE_READ	     '<'
#define PF_LINE_WRITE	     '>'
#define PF_LINE_APPEND	     '+'
#define PF_LINE_DUP	     'd'
#define PF_LINE_TEXT	     't'
#define PF_LINE_PIPE	     '|'
#define PF_LINE_AND	     '&'
#define PF_LINE_OR	     '/'
#define PF_LINE_SEQ	     ';'
#define PF_LINE_COMMANDS_MAX 128u
#define PF_LINE_TEXT_MAX     4000u /* less than a pipe of one page holds */

#define PF_ARGS_MAX 65536u /* strings in argv or env */
struct pf_msg_start {
	uint32_t exec;
	uint8_t op;
	struct pf_strs argv, env;
	char *cwd;
	uint32_t umask;
	uint64_t nofile; /* RLIMIT_NOFILE, 0: leave */
	uint64_t nproc;	 /* RLIMIT_NPROC, 0: leave (used where no cgroup holds it) */
	uint8_t last; /* nothing follows: init ends, and the sandbox with it, once it has told of this one */
	uint32_t launcher; /* last in the body: the pid that READY named, which alone may become this command;
			      0: any */
};

enum { PF_SIGNAL_FIRST = 1, PF_SIGNAL_TERMINAL = 2, PF_SIGNAL_ALL = 3 };
struct pf_msg_signal {
	uint32_t exec;
	uint32_t signo; /* 1..64 */
	uint8_t scope;	/* the first process; the terminal's foreground group; every process of the exec that
			   init can tell */
};

struct pf_msg_resize {
	uint32_t exec;
	uint16_t rows, cols;
};

struct pf_msg_welcome {
	uint16_t version;
	uint64_t features;
	uint32_t landlock_abi;
	uint8_t scoped;	  /* Landlock scopes (signals, abstract sockets) were loaded */
	uint8_t dumpable; /* prctl(PR_GET_DUMPABLE) of init */
	int32_t door_err; /* why init does not listen; 0: it does, or was not asked to */
	char *kernel;	  /* "Linux 6.18.44" as uname inside answers */
};

/* What the launcher tried before the command started. err 0 means that the attempt SUCCEEDED:
 * for everything but PF_TRY_SOCKET_UNIX and PF_TRY_SOCKET_INET a hole. */
enum pf_try {
	PF_TRY_SOCKET_UNIX = 1,
	PF_TRY_SOCKET_INET,
	PF_TRY_SOCKET_RAW,
	PF_TRY_SOCKET_PACKET,
	PF_TRY_SOCKET_VSOCK,
	PF_TRY_SOCKET_NETFILTER,
	PF_TRY_ROUTE_OUT, /* connect(2) of a datagram socket to 192.0.2.1: ENETUNREACH where there is no way
			     out */
	PF_TRY_MOUNT,
	PF_TRY_CANARY,
	PF_TRY_WRITE_READONLY,
	PF_TRY_NEW_USERNS,
	PF_TRY_KEYRING,
	PF_TRY_IO_URING,
	PF_TRY_BPF,
	PF_TRY_PTRACE_INIT,
	PF_TRY_MKNOD,
	PF_TRY_EXEC_FILE, /* only with a list of commands: a new file in /tmp is mapped so that it could run
			   */
	PF_TRY_MEMFD,	  /* ... and memfd_create */
	PF_TRY_LAST = PF_TRY_MEMFD,
};
const char *pf_try_name(unsigned attempt); /* "socket_raw"; NULL unknown */

#define PF_NS_KINDS 8 /* user mnt pid net ipc uts cgroup time, in this order */
extern const char *const pf_ns_names[PF_NS_KINDS];
#define PF_TRIES_MAX 64

struct pf_msg_ready {
	uint32_t exec;
	uint32_t pid; /* inside; a hint, never trusted */
	uint32_t uid, gid, groups;
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	uint8_t no_new_privs, seccomp, landlock;
	uint32_t seccomp_filters;
	uint64_t ns[PF_NS_KINDS]; /* inode numbers as /proc/self/ns shows them; 0 unknown */
	uint32_t try_count;
	struct {
		uint16_t attempt; /* enum pf_try */
		int32_t err;	  /* errno, 0 = it worked */
		char *detail;	  /* for PF_TRY_WRITE_READONLY the path; "" elsewhere */
	} tries[PF_TRIES_MAX];
};

struct pf_msg_started {
	uint32_t exec;
	int32_t err;  /* 0, or the errno of the step that failed */
	uint8_t step; /* enum pf_start_step */
};
enum pf_start_step {
	PF_STEP_NONE,
	PF_STEP_CWD,
	PF_STEP_LOOKUP,
	PF_STEP_EXEC,
	PF_STEP_SETUP,
	PF_STEP_REFUSED /* pinfold-refuse stands in its place */
};

struct pf_msg_exited {
	uint32_t exec;
	uint8_t signalled; /* value is a signal number, not an exit code */
	uint8_t core;
	uint32_t value;
	uint64_t user_us, system_us, max_rss_bytes; /* of the first process and its reaped children */
};

struct pf_msg_failed {
	uint32_t exec; /* 0: the whole sandbox */
	int32_t err;
	char *text;
};

struct pf_msg_connected { /* somebody inside connected to the door: its streams are open */
	uint32_t conn;
};

struct pf_msg_turned_away { /* connections that were closed at once, since PF_DOOR_MAX were open */
	uint32_t count;	    /* since the last such message; not 0 */
};

/* Encoders append the body to out (0 or -errno; -EINVAL for a value that no decoder takes, out as it was). A
 * decoder fills *m only on success. */
#define PF_MSG_DECLARE(name)                                                                                 \
	int pf_msg_##name##_put(struct pf_buf *out, const struct pf_msg_##name *m);                          \
	/* *mem receives one allocation that holds all decoded strings: free() it. */                        \
	int pf_msg_##name##_get(const uint8_t *p, size_t n, struct pf_msg_##name *m, void **mem,             \
				struct pf_error *err);
PF_MSG_DECLARE(hello)
PF_MSG_DECLARE(prepare)
PF_MSG_DECLARE(start)
PF_MSG_DECLARE(signal)
PF_MSG_DECLARE(resize)
PF_MSG_DECLARE(welcome)
PF_MSG_DECLARE(ready)
PF_MSG_DECLARE(started)
PF_MSG_DECLARE(exited)
PF_MSG_DECLARE(failed)
PF_MSG_DECLARE(connected)
PF_MSG_DECLARE(turned_away)

int pf_msg_exec_put(struct pf_buf *out, uint32_t exec); /* CANCEL, REAP, REAPED */
int pf_msg_exec_get(const uint8_t *p, size_t n, uint32_t *exec, struct pf_error *err);

/* Descriptors that init finds open when it starts. */
#define PF_INIT_SOCKET_FD 3
#define PF_INIT_CGROUP_FD 4 /* and following */

#endif
