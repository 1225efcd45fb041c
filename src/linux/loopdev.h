/* SPDX-License-Identifier: Apache-2.0 */
/* Loop devices (loop(4)): a file as a block device, for as long as somebody has it open or mounted. */
#ifndef PF_LINUX_LOOPDEV_H
#define PF_LINUX_LOOPDEV_H

#include <stdbool.h>

#include "base/error.h"

#define PF_LOOP_PATH_MAX 32

/*
 * Attach file_fd to a free device. The device frees itself when its last user is gone (LO_FLAGS_AUTOCLEAR),
 * so the returned descriptor is kept until whatever uses it has opened it by the name in path. -ENXIO and the
 * reason where this host gives no loop devices.
 */
int pf_loop_attach(int file_fd, bool readonly, char path[PF_LOOP_PATH_MAX], struct pf_error *err);

#endif
