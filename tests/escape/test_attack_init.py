# SPDX-License-Identifier: Apache-2.0
"""Taking over PID 1 or a waiting launcher, or spoiling them for the commands that follow.

With capabilities (`caps` off, so CAP_SYS_PTRACE) an attacker is stopped by Landlock, which forbids to trace outside of
one's own domain, and by having none of init's capabilities. Without, by init's uid where it has one of its own, and
where it has not (a rootless sandbox with one id) by init's being undumpable and by /proc's hidepid.

Not taken off alone: `dumpable` against an attacker with capabilities (CAP_SYS_PTRACE passes it by).
"""
import os

import pytest

from escape import outcome

TRACE = ("ptrace", "mem", "environ", "maps", "fd", "root", "process_vm_readv")


def every(names):
    first = []

    def worked(done):
        found = outcome(done)
        if not first:
            first.append(True)
            return all(found.get(name) for name in names)
        return any(found.get(name) for name in names)

    return worked


def test_reading_and_tracing_init(pinfold, need_root, prove):
    prove(pinfold, ["init"], ["caps", "landlock"], worked=every(TRACE))


def test_taking_inits_descriptors(pinfold, need_root, prove):
    prove(pinfold, ["init"], ["caps", "landlock", "seccomp"], worked=every(("pidfd_getfd",)))


def test_limits_of_init(pinfold, need_root, prove):
    # asked for by the second filter, which stands on the first: one defence
    prove(pinfold, ["init"], ["caps", "filters=seccomp+seccomp2"], worked=every(("prlimit",)))


def test_the_oom_score_of_init(pinfold, need_root, prove):
    prove(pinfold, ["init"], ["init_uid", "dumpable", "hidepid"], worked=every(("oom_score_adj",)))


def test_the_oom_score_of_a_rootless_init(as_user, prove):
    prove(as_user, ["init"], ["dumpable", "hidepid"], worked=every(("oom_score_adj",)))


def test_as_user_nothing_of_init_is_open(as_user, refused):
    refused(as_user, ["init"])


SCHEDULE = ("affinity", "nice", "nice-group", "nice-user", "policy", "ioprio")


def test_how_init_is_scheduled(pinfold, need_root, prove):
    """Niceness and policy cannot be taken back without privilege: every later command would be slow. Init has capabilities
    that the command lacks (the kernel's cap_safe_nice()); its uid is no defence of its own against one with CAP_SYS_NICE."""
    prove(pinfold, ["schedule", "1"], ["caps"], off=["init_uid"], worked=every(tuple(w for w in SCHEDULE if w != "nice-user")))


def test_how_a_rootless_init_is_scheduled(as_user, refused):
    # no control: its capabilities are what it gives the launchers their namespaces and ids with
    refused(as_user, ["schedule", "1"])


# --- sessions: what one command leaves to the next ---

PLAIN = "attack how-scheduled"


# Once the launcher of the next command is there; where commands run one at a time there is none, and nothing to wait for.
WAIT = "n=0; until [ $(cat /proc/[0-9]*/comm | grep -c pinfold-init) -ge 2 ] || [ $n -gt 50 ]; do n=$((n+1)); done; "
ON_ALL = WAIT + "for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = $$ ] || attack schedule $p; done; echo done"


def test_the_next_command_is_as_the_first(anyone, session):
    runs = session(anyone, PLAIN, PLAIN, ON_ALL, PLAIN, ON_ALL, PLAIN, PLAIN)
    if not anyone.prefix and os.geteuid() == 0:     # who has control groups
        assert "ESCAPED nice" in runs[2][2] + runs[4][2], f"inconclusive: no launcher was there to be spoilt: {runs}"
    assert len({runs[i][2] for i in (0, 1, 3, 5, 6)}) == 1, runs


def test_a_waiting_launcher_is_not_open(anyone, session):
    """The second command of a session has the third's launcher beside it; every process that is not ours is tried."""
    look = WAIT + "for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p -gt 1 ] && [ $p != $$ ] && attack init $p; done; echo end"
    runs = session(anyone, "true", look, look, look)
    for cause, code, out in runs[1:]:
        assert cause == "exited" and out.rstrip().endswith("end"), runs
        assert "ESCAPED" not in out.replace("ESCAPED prlimit", ""), runs


@pytest.mark.parametrize("signal", ["KILL", "STOP", "TERM", "ABRT"])
def test_a_waiting_launcher_that_is_hit_is_replaced(anyone, session, signal):
    """The control is in the words: a sleep beside the attacker is hit."""
    attack = WAIT + f"sleep 100 & p=$!; kill -{signal} -1; sleep 0.01; grep -h State /proc/$p/status 2>/dev/null; echo sent"
    runs = session(anyone, "true", attack, "echo third", attack, "echo fifth")
    assert [r[:2] for r in runs] == [("exited", 0)] * 5, runs
    assert runs[2][2] == "third\n" and runs[4][2] == "fifth\n", runs
    assert "S (sleeping)" not in runs[1][2] and "sent" in runs[1][2], f"inconclusive: the signal was not sent: {runs}"


def test_environment_and_memory_of_the_first_are_not_the_seconds(anyone, session, canary):
    runs = session(anyone, f"export K={canary}; echo {canary} > /tmp/f; echo {canary} > ~/g; ls /tmp", "env; cat /tmp/f",
                   "cat /proc/[0-9]*/environ")
    # files are the session's on purpose; the environment is each command's own
    assert canary in runs[1][2], runs
    assert runs[1][2].count(canary) == 1 and canary not in runs[2][2], runs
