/* SPDX-License-Identifier: Apache-2.0 */
/* Loop devices; see loopdev.h. */
#include "linux/loopdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"

#define TRIES 64 /* others take devices too: what was free may be taken a moment later */

#ifndef LOOP_CONFIGURE /* Linux 5.8 */
#define LOOP_CONFIGURE 0x4C0A
struct loop_config {
	uint32_t fd, block_size;
	struct loop_info64 info;
	uint64_t reserved[8];
};
#endif

static int no_loop(struct pf_error *err)
{
	return pf_fail(err, -ENXIO, "this host gives no loop device (%s)%s", strerror(errno),
		       errno == ENOENT ? ": `modprobe loop` as root" : "");
}

int pf_loop_attach(int file_fd, bool readonly, char path[PF_LOOP_PATH_MAX], struct pf_error *err)
{
	struct loop_config config = {
		.fd = (uint32_t)file_fd,
		.info = {.lo_flags = LO_FLAGS_AUTOCLEAR | (readonly ? LO_FLAGS_READ_ONLY : 0)}};
	PF_AUTO_CLOSE int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int i;

	if (control < 0)
		return no_loop(err);
	for (i = 0; i < TRIES; i++) {
		int n = ioctl(control, LOOP_CTL_GET_FREE);
		PF_AUTO_CLOSE int fd = -1;

		if (n < 0)
			return no_loop(err);
		snprintf(path, PF_LOOP_PATH_MAX, "/dev/loop%d", n);
		fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (fd < 0)
			return no_loop(err);
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return pf_take_fd(&fd);
		if (errno != EBUSY)
			return pf_fail_errno(err, "cannot attach a file to %s", path);
	}
	return pf_fail(err, -EBUSY, "every loop device was taken before it could be used");
}
