/* SPDX-License-Identifier: Apache-2.0 */
/* Tools that run a command, which is judged in its turn, and what is not allowed without a question. The
 * words of a spec are in command_judge.h. */
#include "base/cleanup.h"
#include "guard/command_judge.h"

static const struct pf__tool rules[] = {
	{.name = "env",
	 .traits = PF__WRITES,
	 .spec = "-i --ignore-environment -u: --unset: -S!x --split-string!x -C!x --chdir!x",
	 .check = pf__check_env,
	 .yes = "env CI=1 make test\nenv -i ls",
	 .no = "env\nenv touch pwn\nenv -S 'touch pwn'\nenv LD_PRELOAD=x ls\nenv 'BASH_FUNC_ls%%=() { touch "
	       "pwn; }' bash -c ls\nenv -C / ls"},
	{.name = "nice",
	 .traits = PF__WRITES,
	 .spec = "-n# -# --adjustment#",
	 .check = pf__check_wrap,
	 .yes = "nice -n 5 make",
	 .no = "nice touch pwn\nnice"},
	{.name = "command",
	 .traits = PF__WRITES,
	 .spec = "-p",
	 .check = pf__check_command,
	 .yes = "command -v gcc\ncommand ls",
	 .no = "command touch pwn"},
	{.name = "nohup|time",
	 .traits = PF__WRITES,
	 .spec = "",
	 .check = pf__check_wrap,
	 .yes = "time make",
	 .no = "nohup touch pwn\ntime -o x ls\ntime time ls"},
	{.name = "timeout",
	 .traits = PF__WRITES,
	 .spec = "-k: -s: --kill-after: --signal: --preserve-status --foreground -v @t",
	 .check = pf__check_wrap,
	 .yes = "timeout 60 make test\ntimeout -k 5 60s pytest -q",
	 .no = "timeout 2 touch pwn\ntimeout 2"},
	{.name = "stdbuf",
	 .traits = PF__WRITES,
	 .spec = "-i? -o? -e?",
	 .check = pf__check_wrap,
	 .yes = "stdbuf -oL make",
	 .no = "stdbuf -o0 touch pwn\nstdbuf -o 0 ls"},
	{.name = "ionice",
	 .traits = PF__WRITES,
	 .spec = "-t -c? -n?",
	 .check = pf__check_wrap,
	 .yes = "ionice -c3 make",
	 .no = "ionice touch pwn\nionice -p 1"},
	{.name = "taskset",
	 .traits = PF__WRITES,
	 .spec = "-c @t",
	 .check = pf__check_wrap,
	 .yes = "taskset -c 0 make",
	 .no = "taskset 1 touch pwn"},
	{.name = "xargs",
	 .traits = PF__WRITES,
	 .spec = "-0rtx -n# -P# -L# -s# -I: -d: --null --no-run-if-empty --verbose --max-args# --max-procs# "
		 "--delimiter: -a!r --arg-file!r -i!x -p!x --process-slot-var!w",
	 .check = pf__check_xargs,
	 .yes = "ls *.c | xargs wc -l\nfind . -type f -print | xargs grep -ni \"STRING\"\nxargs -n1 echo < "
		"list.txt\nxargs dirname",
	 .no = "ls | xargs touch pwn\nls | xargs	echo | xargs sh\necho /etc/shadow | xargs cat\nxargs "
	       "-a x cat\nls | xargs rm\nls | xargs sh -c \"touch pwn\"\nls | xargs -I{} sh -c {}\ncat x | "
	       "xargs cat\nls | xargs git"},
	{.name = "sh|bash|dash",
	 .traits = PF__WRITES | PF__CODE,
	 .check = pf__check_shell,
	 .yes = "sh -c 'ls; make test'\nbash scripts/x.sh a b\nbash -n a.sh",
	 .no = "sh -c 'touch pwn'\nsh -c '\"$@\"' _ touch pwn\necho x | sh\nbash -c \"$(cat x)\"\nbash "
	       "/tmp/a.sh\nsh -s\nbash --rcfile x\nbash -i"},
	{.name = "watch",
	 .traits = PF__ASK,
	 .spec = "",
	 .no = "watch touch pwn",
	 .why = "gives its words to a shell, and does not end"},
	{.name = "flock|setsid|parallel|entr|script|expect|unbuffer|chronic|busybox|toybox|doas|runuser|"
		 "setpriv|chrt|numactl|strace|ltrace|perf|valgrind|rlwrap|tmux|screen|faketime|fakeroot|"
		 "proot|start-stop-daemon|ld.so|find2perl|run-parts|pkexec",
	 .traits = PF__ASK,
	 .spec = "",
	 .no = "flock l touch pwn\nsetsid -w touch pwn\nscript -qc \"touch pwn\" /dev/null\nparallel "
	       "touch\nbusybox touch pwn",
	 .why = "runs a command that is not looked into"},
};
const struct pf__table pf__tools_wrap = {rules, PF_ARRAY_SIZE(rules)};
