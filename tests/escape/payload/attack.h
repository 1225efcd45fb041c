/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTACK_H
#define ATTACK_H

/* "ESCAPED what", or "refused what: strerror(errno)". */
void say(const char *what, int ok);

int verb_calls(char **argv);   /* system calls, by name; all without a name */
int verb_sockets(char **argv); /* socket families likewise */

#endif
