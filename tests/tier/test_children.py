# SPDX-License-Identifier: Apache-2.0
"""What a command leaves behind dies with it, however it hid, and although it holds the streams open. The leak check of
conftest.py looks for it from outside after every test."""
import os
import time

import pytest

PYTHON = "python3 -c 'import os, time\n"
WAYS = {
    "background": "sleep 3600 &",
    "setsid": "setsid sleep 3600 &",
    "nohup": "nohup sleep 3600 &",
    "disowned": "(sleep 3600 &)",
    "double fork": PYTHON + "if os.fork() == 0:\n os.setsid()\n if os.fork() == 0: time.sleep(3600)\n os._exit(0)\nos.wait()'",
    "ignores signals": "sh -c 'trap \"\" TERM INT HUP QUIT; while :; do sleep 1; done' &",
    "stopped": "sleep 3600 & kill -STOP $!",
    "vfork and exec": PYTHON + "os.posix_spawn(\"/bin/sleep\", [\"sleep\", \"3600\"], {}, setsid=True)'",
    "many": "i=0; while [ $i -lt 60 ]; do sleep 3600 & i=$((i+1)); done",
    "a tree": "sh -c 'sh -c \"sh -c \\\"sleep 3600 & wait\\\" & wait\" & wait' &",
    "busy": "sh -c 'while :; do :; done' &",
}


@pytest.mark.parametrize("way", WAYS)
def test_left_behind(anyone, sh, way):
    """It holds stdout and stderr, and the run comes back at once all the same."""
    begun = time.monotonic()
    r = sh(anyone, WAYS[way] + "\necho done", "--timeout", "40s")
    assert (r.cause, r.exit_code) == ("exited", 0) and r.stdout.endswith("done\n"), r
    assert time.monotonic() - begun < 15


def test_forking_for_ever(anyone, sh):
    """A process that always has a child before it dies."""
    code = "import os\nwhile True:\n if os.fork(): os._exit(0)\n"
    begun = time.monotonic()
    r = sh(anyone, f"setsid python3 -c '{code}' & echo done", "--processes", "50", "--timeout", "40s")
    assert r.exit_code == 0 and "done" in r.stdout and time.monotonic() - begun < 20


def test_a_fork_bomb(anyone, sh):
    begun = time.monotonic()
    r = sh(anyone, "b() { b | b & }; b; sleep 0.3; exit 3", "--processes", "60", "--timeout", "20s")
    assert r.exit_code in (2, 3, None) and time.monotonic() - begun < 30
    assert r.cause in ("exited", "pids", "timeout", "signalled")


def test_the_timeout_takes_all_of_them(anyone, sh):
    r = sh(anyone, "setsid sh -c 'trap \"\" TERM; sleep 3600' & sleep 3600 & wait", "--timeout", "500ms")
    assert r.cause == "timeout"


def test_what_was_written_by_a_child_is_not_lost(anyone, sh):
    r = sh(anyone, "(i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done) & wait; exit 4")
    assert r.exit_code == 4 and r.stdout.count("\n") == 500


def test_zombies_are_reaped(anyone, sh):
    r = sh(anyone, "i=0; while [ $i -lt 200 ]; do (true &) ; i=$((i+1)); done; sleep 0.3; cat /proc/[0-9]*/stat | grep -c ') Z '; true")
    assert r.stdout == "0\n"


def test_kill_all_as_the_command(anyone, sh):
    """kill -9 -1 reaches whatever it may, and that is the command's own alone."""
    r = sh(anyone, "sleep 3600 & sleep 3600 & kill -9 -1; echo alive; exit 6")
    assert (r.cause, r.exit_code, r.stdout) == ("exited", 6, "alive\n")
    r = sh(anyone, "sh -c 'kill -9 -1'; echo not reached")
    assert (r.cause, r.signal, r.stdout) == ("signalled", "SIGKILL", "")


def test_stopping_oneself_is_ended_by_the_clock(anyone, sh):
    r = sh(anyone, "echo before; kill -STOP $$; echo after", "--timeout", "700ms")
    assert (r.cause, r.stdout) == ("timeout", "before\n")


@pytest.mark.parametrize("signo", ["TERM", "KILL", "INT"])
def test_init_cannot_be_signalled(anyone, sh, signo):
    r = sh(anyone, f"kill -{signo} 1 2>/dev/null; sleep 0.1; echo alive")
    assert (r.cause, r.stdout) == ("exited", "alive\n")
