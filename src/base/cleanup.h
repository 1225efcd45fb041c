/* SPDX-License-Identifier: Apache-2.0 */
/* Cleanup attributes, so that an early return leaks nothing and no function needs a goto tower. */
#ifndef PF_BASE_CLEANUP_H
#define PF_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void pf__cleanup_free(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

static inline void pf__cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void pf__cleanup_dir(DIR **d)
{
	int saved = errno;

	if (*d)
		closedir(*d);
	errno = saved;
}

#define PF_AUTO_FREE  __attribute__((cleanup(pf__cleanup_free)))
#define PF_AUTO_CLOSE __attribute__((cleanup(pf__cleanup_close)))
#define PF_AUTO_DIR   __attribute__((cleanup(pf__cleanup_dir)))

/* Give a descriptor or pointer away from a PF_AUTO_ variable. */
static inline int pf_take_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

#define pf_take_ptr(p)                                                                                       \
	({                                                                                                   \
		__typeof__(p) pf__taken = p;                                                                 \
		(p) = NULL;                                                                                  \
		pf__taken;                                                                                   \
	})

#define PF_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
