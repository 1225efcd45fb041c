/* SPDX-License-Identifier: Apache-2.0 */
/* The program pinfold-guard: what of the guard links libraries, or maps weights. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/san.h"
#include "guard/prompt/tool.h"

#ifdef PF_SAN_BUILD
PF_SAN_OPTIONS("detect_leaks=1")
#endif

/* The parser of options (cli/args.h) knows those of a policy too: this program has none. */
const struct pf_policy_opt pf_policy_opts[] = {{0}};

/* A caller may start us with 0, 1 or 2 closed; the next file would take the number, and be written into. */
static void fill_standard_fds(void)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) < 0)
			_exit(PF_EXIT_ERROR);
	}
}

int main(int argc, char **argv)
{
	fill_standard_fds();
	if (pf_san_refused()) {
		pf_cli_say("a sanitizer build is for tests");
		return PF_EXIT_ERROR;
	}
	pf_san_bug("guard");
	signal(SIGPIPE, SIG_IGN);
	if (argc >= 2 && strcmp(argv[1], "prompt") == 0)
		return pf__guard_main(argv + 2);
	pf_cli_say("this program is part of \"pinfold guard prompt\"");
	return PF_EXIT_ERROR;
}
