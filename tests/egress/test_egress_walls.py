# SPDX-License-Identifier: Apache-2.0
"""The proxy's own walls, looked at from outside while it serves. (What they refuse is tried in tests/unit/test_egress_confine.c.)"""
import os
import subprocess

from world import USER, echo, read_exactly, tunnel


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return {k: v.split() for k, v in (line.rstrip("\n").split(":", 1) for line in f)}


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def look(keeper, uid):
    pid = keeper.process.pid
    now = status(pid)
    assert now["Uid"] == [str(uid)] * 4 and now["Gid"] == [str(uid)] * 4 and now["Groups"] == []
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(now[kind][0], 16) == 0, kind
    assert now["NoNewPrivs"] == ["1"] and now["Seccomp"] == ["2"]
    assert now["Threads"] == ["1"]
    assert int(now["VmHWM"][0]) < 2048    # KiB, idle
    held = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert set(held) == {0, 1, 2, 3} and held[3].startswith("socket:")
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        assert f.read().count(b"\0") == 1    # no rule and no name where others can read them
    return pid, now


def test_as_root(start, serve, names):
    serve(echo, port=22)
    keeper = start(["example.org:22"])
    pid, now = look(keeper, 54321)
    assert int(now["CapBnd"][0], 16) == 0
    assert {"uid", "seccomp"} <= keeper.held
    for kind, word in (("mnt", "root"), ("ipc", "ipc"), ("uts", "ipc"), ("cgroup", "ipc")):
        assert (namespace(pid, kind) != namespace("self", kind)) == (word in keeper.held)
    assert namespace(pid, "net") == os.readlink("/proc/thread-self/ns/net")    # where it dials from
    if "root" in keeper.held:
        assert os.listdir(f"/proc/{pid}/root/") == [] and os.readlink(f"/proc/{pid}/cwd") == "/"
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as f:
            mounts = f.read().splitlines()
        assert len(mounts) == 1 and mounts[0].split()[5].startswith("ro,nosuid,nodev,noexec")
    _, sock = tunnel(keeper, "example.org:22")    # and in all of that it works
    sock.sendall(b"hello")
    assert read_exactly(sock, 5) == b"hello"


def test_as_a_user(start_as_user, serve, names):
    serve(echo, port=22)
    keeper = start_as_user(["example.org:22"])
    pid, _ = look(keeper, USER)
    assert {"uid", "seccomp"} <= keeper.held
    if "root" in keeper.held:
        assert namespace(pid, "user") != namespace("self", "user")
        assert os.listdir(f"/proc/{pid}/root/") == []
    _, sock = tunnel(keeper, "example.org:22")
    sock.sendall(b"hello")
    assert read_exactly(sock, 5) == b"hello"


def test_root_is_no_choice(start):
    assert "does not run as root" in start(["example.org:22"], uid=0).failed


def test_by_hand_it_does_nothing(start):
    program = start([]).process.args[0]
    done = subprocess.run([program], capture_output=True, check=False, stdin=subprocess.DEVNULL, close_fds=True)
    assert done.returncode == 125 and b"not by hand" in done.stderr


