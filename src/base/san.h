/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds under sanitizers (make SAN=asan, SAN=ubsan) are for tests: their walls are the same, but their
 * first process is larger and keeps the caller's stderr, so that its reports are seen. Every end that a
 * report causes is code 99, or a signal where undefined behaviour traps. In other builds nothing of this is
 * there.
 */
#ifndef PF_BASE_SAN_H
#define PF_BASE_SAN_H

#ifdef PF_SAN_BUILD
#define PF_SAN_EXIT_CODE 99
/* Once in each program, beside main(): what its sanitizers do. */
#define PF_SAN_OPTIONS(more)                                                                                 \
	const char *__asan_default_options(void);                                                            \
	const char *__asan_default_options(void)                                                             \
	{                                                                                                    \
		return "exitcode=99:detect_stack_use_after_return=1:strict_string_checks=1:" more;           \
	}                                                                                                    \
	const char *__ubsan_default_options(void);                                                           \
	const char *__ubsan_default_options(void)                                                            \
	{                                                                                                    \
		return "exitcode=99:print_stacktrace=1";                                                     \
	}

/* Is this outside of tests (without PF_TESTING=1 in the environment)? */
int pf_san_refused(void);
/* Misbehave if PF_SAN_BUG asks for it here: "WHERE-heap", "WHERE-int", "WHERE-leak". So tests know that they
 * would notice. */
void pf_san_bug(const char *where);
/* The environment of pinfold-init, which in every build has nothing of the host's: here PF_SAN_BUG alone. */
char *const *pf_san_env(void);
#else
#define pf_san_refused()  0
#define pf_san_bug(where) ((void)0)
#define pf_san_env()	  ((char *const[]){NULL})
#endif

#endif
