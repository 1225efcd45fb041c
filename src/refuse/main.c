/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-refuse: what stands in a view in the place of every program that is not approved. It says so, says
 * what is approved instead, leaves a line for the result, and exits 126.
 *
 * It runs inside, as whoever started it: what it writes is worth no more than anything else from there, and
 * the host reads it as that (sandbox/refused.c). It does nothing with its arguments and its environment, and
 * links nothing but libc.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "view/place.h"

#define APPROVED_MAX 8192

/* Where it was started from: the kernel's word, not argv's. */
static void find_self(char *out, size_t cap)
{
	ssize_t n = readlink("/proc/self/exe", out, cap - 1);

	if (n <= 0)
		n = 0;
	out[n] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if ((unsigned char)out[i] < ' ')
			out[i] = '?'; /* a line is one denial */
}

static void put(int fd, const char *text)
{
	(void)!write(fd, text, strlen(text)); /* there is nobody to tell */
}

/* One write of a whole line: O_APPEND keeps lines of several processes apart. */
static void report(const char *self)
{
	char line[PF_REFUSED_LINE_MAX + 1];
	int fd = open(PF_VIEW_PLACE "/" PF_VIEW_REFUSED,
		      O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int n = snprintf(line, sizeof(line), "%.*s\n", PF_REFUSED_LINE_MAX - 1, self);

	if (fd < 0)
		return;
	(void)!write(fd, line, (size_t)n);
	close(fd);
}

static void say(const char *self)
{
	char approved[APPROVED_MAX];
	int fd = open(PF_VIEW_PLACE "/" PF_VIEW_APPROVED, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, approved, sizeof(approved) - 1);

	put(2, "pinfold: ");
	put(2, *self ? self : "this program");
	put(2, " is not an approved program here, so it was not started. Trying it by another name, path or "
	       "copy "
	       "will not work either.\n");
	if (n > 0) {
		approved[n] = '\0';
		put(2, "pinfold: approved programs: ");
		put(2, approved);
		put(2, "\npinfold: use one of these, or ask the user to add it to commands.allow of the "
		       "policy.\n");
	}
}

int main(void)
{
	char self[4096];

	find_self(self, sizeof(self));
	report(self);
	say(self);
	return 126;
}
