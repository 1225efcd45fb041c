/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question to systemd's user manager over the user bus: a transient scope with this
 * process in it and its cgroup delegated to us (org.freedesktop.systemd1(5),
 * StartTransientUnit; D-Bus Specification 0.43). Only what that takes of D-Bus is here.
 */
#ifndef PF_LINUX_DBUS_SCOPE_H
#define PF_LINUX_DBUS_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* Ask for the scope `unit`, waiting for the answer at most timeout_ms in all. 0 when systemd has
 * accepted the job (the move comes after: watch /proc/self/cgroup), else -errno:
 * -ENOENT no bus, -ETIMEDOUT, -EPROTO a malformed answer, -EACCES the bus or systemd refused. */
int pf__dbus_scope(const char *unit, int timeout_ms, struct pf_error *err);

/* Is there a socket to ask? */
bool pf__dbus_reachable(void);

/* --- inside, and for tests and fuzzers ---------------------------------------- */

#define PF__DBUS_MESSAGE_MAX 65536 /* the specification allows 128 MiB; an answer to us has 200 bytes */

enum { PF__DBUS_CALL = 1, PF__DBUS_RETURN = 2, PF__DBUS_ERROR = 3, PF__DBUS_SIGNAL = 4 };

struct pf__dbus_msg {
	uint8_t type;
	uint32_t serial, reply_serial; /* reply_serial 0: none */
	const char *error, *signature; /* "" if absent; NUL-terminated, inside the message */
	const char *text;	       /* the body's first value where that is a string, else "" */
};

/* Length of the message that begins at p, known from its first 16 bytes; 0: more bytes are
 * needed to tell; -EPROTO: this is no message, or one longer than we take. */
ssize_t pf__dbus_length(const uint8_t *p, size_t n);
/* Parse one whole message of exactly n bytes. 0 or -EPROTO. */
int pf__dbus_parse(const uint8_t *p, size_t n, struct pf__dbus_msg *out);
/* The unix socket of a bus address ("unix:path=/run/user/1000/bus,guid=...;..."): the first entry that
 * is one. An abstract name gets a leading NUL. Length of the name or -EINVAL. */
int pf__dbus_address(const char *address, char *out, size_t cap);

#endif
