/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTACK_H
#define ATTACK_H

/* "ESCAPED what", or "refused what: strerror(errno)". */
void say(const char *what, int ok);

/* A line of /proc/self/status. */
void print_status(const char *key);

/* calls.c */
int verb_calls(char **argv);   /* system calls, by name; all without a name */
int verb_sockets(char **argv); /* socket families likewise */

/* processes.c */
int verb_init(char **argv);
int verb_schedule(char **argv);
int verb_how_scheduled(char **argv);
int verb_signal(char **argv);
int verb_kill_all(char **argv);
int verb_wait(char **argv);
int verb_clone_parent(char **argv);
int verb_shm(char **argv);
int verb_with_shm(char **argv);
int verb_with_shm_removed(char **argv);
int verb_hostname(char **argv);
int verb_fork(char **argv);
int verb_memory(char **argv);
int verb_fill(char **argv);
int verb_inodes(char **argv);
int verb_files(char **argv);
int verb_output(char **argv);
int verb_bomb(char **argv);

#endif
