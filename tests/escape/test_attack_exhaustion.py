# SPDX-License-Identifier: Apache-2.0
"""Taking everything: processes, memory, disk, inodes, descriptors, output.

A limit's switch is its option: the control is the same payload under a limit that it fits in, so that nothing here ever
takes the machine. Memory is only tried where a control group holds it (`unenforced` says where none does).
"""
import os

import pytest

from escape import outcome


CASES = {
    # payload, tight, wide, what the result names; who can have it held
    "fork bomb": (["fork", "150"], ["--processes", "64"], ["--processes", "400"], "pids"),
    "memory": (["memory", "200"], ["--memory", "64M"], ["--memory", "512M"], "oom"),
    "temporary files": (["fill", "100", "/tmp"], ["--memory", "64M"], ["--memory", "512M"], "disk_limit"),
    "shared memory": (["fill", "100", "/dev/shm"], ["--memory", "64M"], ["--memory", "512M"], "disk_limit"),
    "inodes": (["inodes", "20000", "/tmp"], ["--memory", "64M"], ["--memory", "512M"], "disk_limit"),
    "descriptors": (["files", "500"], ["--open-files", "64"], ["--open-files", "1024"], None),
    "output": (["output", "5"], ["--output-limit", "1M"], ["--output-limit", "16M"], "output_limit"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_limit(anyone, tools, attack_program, name):
    verb, tight, wide, kind = CASES[name]
    call = ["--tools", tools, "--timeout", "30s"]
    r = anyone.result(*call, *tight, "--", attack_program, *verb)
    if r["cause"] == "boundary":    # a limit that is asked for and cannot be held is refused: that is as good
        pytest.skip("not held on this host: " + r["error"])
    held = {u["limit"] for u in r["receipt"]["unenforced"]}
    if ("memory" in held and kind == "oom") or ("processes" in held and kind == "pids"):
        pytest.skip("not held on this host: " + ", ".join(sorted(held)))
    done = anyone.run("--quiet", *call, *wide, "--", attack_program, *verb)
    assert any(outcome(done).values()), f"inconclusive: it does not work with room either: {done.err}"
    assert "tried" in r["stdout"] and "ESCAPED" not in r["stdout"], r
    # without a control group processes are held by RLIMIT_NPROC, which counts no events
    if kind and not (kind == "pids" and r["usage"]["source"] != "cgroup"):
        assert kind in r.hits(), r


def test_the_workspaces_disk(anyone, workspace, tools, attack_program):
    ws = workspace(anyone, {"f": "x"})
    call = ["--quiet", "--tools", tools, "--workspace", ws]
    wide = anyone.run(*call, "--disk", "150M", "--", attack_program, "fill", "100", ".")
    assert outcome(wide).get("fill"), f"inconclusive: {wide!r}"
    tight = anyone.run(*call, "--disk", "20M", "--", attack_program, "fill", "100", ".")
    assert outcome(tight) == {"fill": False}, repr(tight)


def test_a_bomb_of_sessions_ends_with_the_deadline(anyone, tools, attack_program):
    """Forks without end, each child in a session of its own. No control: it is never run outside."""
    r = anyone.result("--tools", tools, "--timeout", "1s", "--processes", "64", "--", attack_program, "bomb",
                      os.readlink("/proc/self/ns/pid"))
    assert r["cause"] == "timeout" and r["duration_ms"] < 5000, r


def test_core_dumps_start_no_helper(anyone):
    """RLIMIT_CORE is 1:1, which a piped core_pattern honours; with 0 it would run the helper as the host's root. The pattern is
    the machine's and stays as it is here; tests/hosts dumps for real."""
    done = anyone.run("--quiet", "--", "sh", "-c", "grep core /proc/self/limits; ulimit -c 0; ulimit -H -c; kill -SEGV $$")
    assert done.out.split()[4:6] == ["1", "1"], repr(done)
    assert done.code == 128 + 11
