# SPDX-License-Identifier: Apache-2.0
"""Processes: the host's, which must be out of sight and reach, and those that try to stay.

Sight    the PID namespace, with a /proc of it. Not only that: with it off, see the keeper's environment in test_attack_task.py.
Signals  the PID namespace, Landlock's scope, and another uid where root runs it.
Staying  a process in a session of its own, orphaned or born beside its parent (CLONE_PARENT), ends with the sandbox:
         init's end is theirs (pid_namespaces(7)), and its group is killed. No switch: without either a test would have to
         hunt what it left. The control is the same command without pinfold, whose process stays.
"""
import os
import signal
import subprocess

import pytest

from escape import outcome, wait_until


def test_the_hosts_processes_are_not_seen(pinfold, need_root, prove, victim):
    pid = victim(pinfold).pid
    prove(pinfold, None, ["pidns"], run=lambda program: program.run(
        "--quiet", "--", "sh", "-c", "echo tried; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"),
        worked=lambda done: "sleep 300" in done.out)
    assert os.path.exists(f"/proc/{pid}")


def test_as_user_they_are_not_seen(as_user, victim):
    victim(as_user)
    done = as_user.run("--quiet", "--", "sh", "-c", "echo tried; cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; ls /proc | grep -c '^[0-9]'")
    assert "tried" in done.out and "sleep 300" not in done.out, repr(done)
    assert int(done.out.split()[-1]) <= 4, repr(done)


def test_signals_to_the_host(pinfold, need_root, prove, victim):
    prove(pinfold, ["signal", str(victim(pinfold).pid)], ["pidns", "userns", "landlock"], "--user", "root")


def test_as_user_signals_to_the_host(as_user, refused, victim):
    refused(as_user, ["signal", str(victim(as_user).pid)])


HOST = os.readlink("/proc/self/ns/pid")


@pytest.mark.parametrize("number", [9, 19, 15])
def test_kill_all(anyone, tools, attack_program, victim, number):
    """kill -9 -1. In the control, in a PID namespace of its own, it hits the sleep beside it."""
    words = ["unshare", "-p", "-f", "--mount-proc"] if os.geteuid() == 0 else ["unshare", "-r", "-p", "-f", "--mount-proc"]
    control = subprocess.run([*words, "sh", "-c", f"sleep 60 & p=$!; {attack_program} kill-all {HOST} {number}; "
                              "grep State /proc/$p/status; kill -9 $p; exit 0"], capture_output=True, text=True, check=True, timeout=30)
    assert "sent" in control.stdout and "sleeping" not in control.stdout, f"inconclusive: {control}"
    process = victim(anyone)
    done = anyone.run("--quiet", "--tools", tools, "--", attack_program, "kill-all", HOST, str(number))
    assert "sent" in done.out and done.code == 0, repr(done)
    assert process.poll() is None
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
        assert f.read().rpartition(")")[2].split()[0] == "S"


def running(mark):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if mark.encode() in f.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            pass
    return found


STAY = {
    "a session of its own": "setsid {1} wait {0} >/dev/null 2>&1 & echo up",
    "an orphan of an orphan": "(setsid sh -c '({1} wait {0} &) &' >/dev/null 2>&1 &) ; echo up",
    "beside its parent": "{1} clone-parent {0} >/dev/null; echo up",
}


def end(mark):
    """Of the control: whatever has that mark. True once there is none."""
    for pid in running(mark):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return not running(mark)


@pytest.mark.parametrize("how", STAY)
def test_staying_behind(anyone, tools, attack_program, canary, how):
    script = STAY[how].format(canary, attack_program)
    control = subprocess.run(["sh", "-c", script + "; exit 0"], stdout=subprocess.PIPE, text=True, check=True, timeout=30,
                             start_new_session=True)
    stayed = wait_until(lambda: running(canary))
    assert wait_until(lambda: end(canary))
    assert control.stdout == "up\n" and stayed, "inconclusive: without pinfold it does not stay"
    done = anyone.run("--quiet", "--tools", tools, "--", "sh", "-c", script)
    assert done.out.endswith("up\n"), repr(done)
    assert wait_until(lambda: not running(canary), 2)
    # also when it is ended by its deadline, and when the keeper is killed
    anyone.run("--quiet", "--timeout", "300ms", "--tools", tools, "--", "sh", "-c", script + "; sleep 100")
    assert wait_until(lambda: not running(canary), 2)


def test_the_keeper_is_killed(anyone, tools, attack_program, canary):
    with anyone.popen("run", "--quiet", "--tools", tools, "--", "sh", "-c",
                      f"setsid {attack_program} wait {canary} >/dev/null & echo up; sleep 60") as process:
        process.stdout.readline()
        seen = wait_until(lambda: running(canary))
        os.kill(process.pid, signal.SIGKILL)    # setpriv has become the program: it is the keeper
        assert seen
        process.wait()
        assert wait_until(lambda: not running(canary), 5)
    assert anyone("doctor", "--clean").code in (0, 1)


def test_init_cannot_be_ended_from_inside(anyone, tools, attack_program):
    done = anyone.run("--quiet", "--", "sh", "-c", "for s in 1 2 3 9 11 15 19; do kill -$s 1 2>/dev/null; done; echo alive")
    assert done.out == "alive\n" and done.code == 0, repr(done)
    assert outcome(done) == {}
