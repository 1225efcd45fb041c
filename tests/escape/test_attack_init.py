# SPDX-License-Identifier: Apache-2.0
"""Taking over PID 1 or a waiting launcher, or spoiling them for the commands that follow.

With capabilities (`caps` off, so CAP_SYS_PTRACE) an attacker is stopped by Landlock, which forbids to trace outside of
one's own domain, and by having none of init's capabilities. Without, by init's uid where it has one of its own, and
where it has not (a rootless sandbox with one id) by init's being undumpable and by /proc's hidepid.

Not taken off alone: `dumpable` against an attacker with capabilities (CAP_SYS_PTRACE passes it by).
"""
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
    prove(pinfold, ["init"], ["caps", "landlock"], worked=every(("ptrace", "fd", "root")))


def test_reading_inits_memory(pinfold, need_root, prove):
    # Landlock is no defence of its own here: CAP_PERFMON reads the memory of whom it forbids to trace (may_access_mm())
    prove(pinfold, ["init"], ["caps"], off=["landlock"], worked=every(("mem", "environ", "maps", "process_vm_readv")))


def test_taking_inits_descriptors(pinfold, need_root, prove):
    prove(pinfold, ["init"], ["caps", "landlock", "seccomp"], worked=every(("pidfd_getfd",)))


def test_limits_of_init(pinfold, need_root, prove):
    # reading another's limits needs its ids or CAP_SYS_RESOURCE over it
    prove(pinfold, ["init"], ["caps", "seccomp", "seccomp2"], off=["landlock"], worked=every(("prlimit",))) \
        if False else prove(pinfold, ["init"], ["caps", "seccomp2=seccomp2+seccomp"], off=["landlock"], worked=every(("prlimit",)))


def test_the_oom_score_of_init(pinfold, need_root, prove):
    prove(pinfold, ["init"], ["init_uid", "dumpable", "hidepid"], worked=every(("oom_score_adj",)))


def test_the_oom_score_of_a_rootless_init(as_user, prove):
    prove(as_user, ["init"], ["dumpable", "hidepid"], worked=every(("oom_score_adj",)))


def test_as_user_nothing_of_init_is_open(as_user, refused):
    refused(as_user, ["init"])


SCHEDULE = ("affinity", "nice", "nice-group", "nice-user", "policy", "ioprio")


def test_how_init_is_scheduled(pinfold, need_root, prove):
    """Niceness and policy cannot be taken back without privilege: every later command would be slow."""
    prove(pinfold, ["schedule"], ["init_uid", "seccomp"], worked=every(SCHEDULE))


def test_how_a_rootless_init_is_scheduled(as_user, prove):
    prove(as_user, ["schedule"], ["seccomp"], worked=every(SCHEDULE))


# --- sessions: what one command leaves to the next ---

PLAIN = "attack how-scheduled"


@pytest.mark.parametrize("attack", ["attack schedule 1", "renice -n 19 -u user; renice -n 19 -p 1; renice -n 19 -g 1"])
def test_the_next_command_is_as_the_first(anyone, session, attack):
    runs = session(anyone, PLAIN, PLAIN, f"{attack}; echo done", PLAIN, PLAIN)
    assert runs[0][2] == runs[1][2] == runs[3][2] == runs[4][2], runs


def test_a_waiting_launcher_is_not_open(anyone, session):
    """The second command of a session has the third's launcher beside it; every process that is not ours is tried."""
    look = "for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p -gt 1 ] && [ $p != $$ ] && attack init $p; done; echo end"
    runs = session(anyone, "true", look, look, look)
    for cause, code, out in runs[1:]:
        assert cause == "exited" and out.rstrip().endswith("end"), runs
        assert "ESCAPED" not in out.replace("ESCAPED prlimit", ""), runs


@pytest.mark.parametrize("signal", ["KILL", "STOP", "TERM", "ABRT"])
def test_a_waiting_launcher_that_is_hit_is_replaced(anyone, session, signal):
    """The control is in the words: a sleep beside the attacker is hit."""
    attack = f"sleep 100 & p=$!; kill -{signal} -1; sleep 0.01; grep -h State /proc/$p/status 2>/dev/null; echo sent"
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
