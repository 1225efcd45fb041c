/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our terminal while the command has one of its own. Raw, because the terminal inside does the editing, the
 * echo and the signals of keys; ours only carries bytes. Every way out of run passes pf_tty_restore().
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/run.h"

void pf_tty_find(struct pf_tty *t)
{
	*t = (struct pf_tty){.fd = -1};
	/* stdin first: whose keys we read is whose mode is changed */
	for (int fd = 0; fd < 3; fd++) {
		if (isatty(fd)) {
			t->fd = fd;
			return;
		}
	}
}

int pf_tty_raw(struct pf_tty *t)
{
	struct termios now;

	if (t->raw)
		return 0;
	if (tcgetattr(t->fd, &t->before) < 0)
		return -errno;
	now = t->before;
	cfmakeraw(&now);
	if (tcsetattr(t->fd, TCSADRAIN, &now) < 0)
		return -errno;
	t->raw = true;
	return 0;
}

void pf_tty_restore(struct pf_tty *t)
{
	if (t->raw)
		tcsetattr(t->fd, TCSADRAIN, &t->before);
	t->raw = false;
}

bool pf_tty_size(const struct pf_tty *t, unsigned short *rows, unsigned short *cols)
{
	struct winsize w;

	if (t->fd < 0 || ioctl(t->fd, TIOCGWINSZ, &w) < 0 || w.ws_row == 0 || w.ws_col == 0)
		return false;
	*rows = w.ws_row;
	*cols = w.ws_col;
	return true;
}
