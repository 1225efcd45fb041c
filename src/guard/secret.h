/* SPDX-License-Identifier: Apache-2.0 */
/* Where known values come from: what the user names, and files of settings. */
#ifndef PF_GUARD_SECRET_H
#define PF_GUARD_SECRET_H

#include "guard/redact.h"

/* "NAME=@FILE" or "NAME=env:VAR": never the value itself, which other users see in the list of processes. The
 * form alone. */
int pf_secret_check(const char *spec, struct pf_error *err);
/* The same, read and added. A file's trailing line end is no part of the value. -ENOENT with a message when
 * file or variable is not there, -EINVAL when the value is too short to be looked for. */
int pf_secret_add(struct pf_redact *r, const char *spec, struct pf_error *err);

/* Does a variable's name say that its value is secret? */
bool pf_secret_key(const char *name);

/* Add what a file of settings holds: .env, ini, properties, JSON, YAML, netrc, npmrc, pypirc, credentials, a
 * private key, or one bare token; by its looks, not its name. Hostile input: nothing in it is an error, what
 * is not understood is passed over. 0 or -ENOMEM; when there are more than PF_REDACT_VALUES *full is set. */
int pf_secret_file(struct pf_redact *r, const char *file, const char *text, size_t n, bool *full);

#endif
