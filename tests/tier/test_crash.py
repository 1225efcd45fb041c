# SPDX-License-Identifier: Apache-2.0
"""pinfold killed at random moments, by SIGKILL and by ^C. Whatever it was doing, one sweep removes all that is left, and the
user's directory is as it was. The leak check (conftest.py) counts mounts, groups, processes and directories."""
import fcntl
import os
import random
import signal
import subprocess
import time

import pytest

QUICK, ALL = 60, 200
SCRIPT = "echo changed > file; mkdir d; (setsid sleep 30 &); sleep 30 & ls -l / > /dev/null"


def read_tree(top):
    found = {}
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(at, name)
            found[os.path.relpath(path, top)] = open(path, "rb").read() if os.path.isfile(path) else None
    return found


def left(who):
    """Entries of RUNTIME, and of STATE's scratch."""
    found = []
    for place in (who.runtime, os.path.join(who.state, "scratch")):
        if os.path.isdir(place):
            found += [os.path.join(place, name) for name in os.listdir(place) if not name.startswith(".")]
    return found


def held(path):
    """A sandbox that lives, of somebody else: its keeper has the lock."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(fd)


def dead_ones_of(who, ids):
    return [path for path in left(who) if os.path.basename(path) in ids and not held(path)]


def sweep_all(who, ids):
    """A directory that is two seconds old may be one that is being made: a sweep leaves it for the next."""
    end = time.monotonic() + 20
    while True:
        done = who.sweep()
        assert done.code in (0, 1), done
        remaining = dead_ones_of(who, ids)
        if not remaining:
            return
        assert time.monotonic() < end, remaining
        time.sleep(0.2)    # between two looks; nothing waits for it to have happened


def crash(who, workspace, moments, signo, seed):
    rng = random.Random(seed)
    ids = set()
    ws = workspace(who, {"file": "mine\n", "sub/other": "mine too\n", ".env": "KEY=value\n"})
    before = read_tree(ws)
    # how long a whole run takes here and now, so that moments fall into all of it
    began = time.monotonic()
    assert who("run", "--rm", "--workspace", ws, "--", "true").code == 0
    whole = time.monotonic() - began
    for _ in range(moments):
        known = set(os.listdir(who.runtime)) if os.path.isdir(who.runtime) else set()
        process = who.popen("run", "--rm", "--workspace", ws, "--", "sh", "-c", SCRIPT, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + rng.uniform(0, whole * 1.5)
        while time.monotonic() < until and process.poll() is None:
            pass
        if os.path.isdir(who.runtime):
            ids |= set(os.listdir(who.runtime)) - known
        if process.poll() is None:
            process.send_signal(signo)
        process.wait(60)
    sweep_all(who, ids)
    assert read_tree(ws) == before


def test_killed_at_random_moments(anyone, workspace):
    crash(anyone, workspace, QUICK, signal.SIGKILL, 1)


def test_interrupted_at_random_moments(anyone, workspace):
    crash(anyone, workspace, 50, signal.SIGINT, 2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4])
def test_killed_at_many_random_moments(anyone, workspace, seed):
    crash(anyone, workspace, ALL, signal.SIGKILL, seed)
