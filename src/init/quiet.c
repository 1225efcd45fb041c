/* SPDX-License-Identifier: Apache-2.0 */
/* Without control groups the execs of a sandbox run one at a time, and at an exec's end init makes the place
 * quiet: it kills everything but itself and its waiting launchers. */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "init/init.h"

static bool is_waiting_launcher(const struct init *in, pid_t pid)
{
	unsigned i;

	for (i = 0; i < EXECS_MAX; i++)
		if (in->execs[i].pid == pid &&
		    (in->execs[i].state == EXEC_PREPARING || in->execs[i].state == EXEC_READY))
			return true;
	return false;
}

/* One pass over /proc: kill whatever is neither init nor a waiting launcher. Returns how many. */
static int kill_others(struct init *in)
{
	PF_AUTO_DIR DIR *d = opendir("/proc");
	struct dirent *ent;
	uint32_t pid;
	int n = 0;

	if (in__broken(in, "pidns"))
		return 0; /* these would be the host's processes */
	while (d && (ent = readdir(d)))
		if (pf_parse_u32(ent->d_name, &pid) == 0 && pid > 1 && !is_waiting_launcher(in, (pid_t)pid)) {
			kill((pid_t)pid, SIGKILL);
			n++;
		}
	return n;
}

/* Without cgroups: until /proc is quiet. Each pass can only meet children of what the pass before killed; a
 * process that forks faster than we read is bounded by RLIMIT_NPROC, and by the number of passes. */
int in__exec_reap_all(struct init *in, uint32_t id)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	unsigned pass;
	int r, status;

	for (pass = 0; pass < 1000 && kill_others(in) > 0; pass++) {
		pid_t pid;

		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			in__exec_child_ended(in, pid, status, 0, 0, 0);
		sched_yield();
	}
	r = pf_msg_exec_put(&b, id);
	return r < 0 ? r : pf_conn_send(in->conn, PF_MSG_REAPED, b.data, b.len);
}
