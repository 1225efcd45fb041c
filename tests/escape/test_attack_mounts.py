# SPDX-License-Identifier: Apache-2.0
"""Where mounts land and what they show.

CVE-2021-30465, 2024-45310, 2019-18837, 2026-41579, 2026-47766   symbolic links on the way to a mount's target: targets are
    made in a fresh root, by descriptors, beneath it and through no link. No image of the user's takes part.
A workspace or tool tree that is replaced by a link while the sandbox is made: it is opened once, and what was
    opened is what is mounted (its device and inode are compared).

No switches: there is no second way to resolve a path in pinfold that could be switched to. The controls are the same
words with a harmless target, and a naive program that loses the same race.
"""
import ctypes
import os
import threading

import pytest

BAD_TARGETS = ["/bin/x", "/lib/x", "/usr/x", "/etc/x", "/proc/x", "/proc/1/root", "/sys/x", "/dev/x", "/dev/../etc/y", "/", "//",
               "relative", "/var/run/../../etc/z", "/a/../../b", "", "/tmp/.."]


def test_targets(anyone, workspace):
    ws = workspace(anyone, {"f": "mine"})
    good = anyone.run("--quiet", "--workspace", f"{ws}:path=/srv/a/b", "--", "cat", "/srv/a/b/f")
    assert good.out == "mine", repr(good)
    for target in BAD_TARGETS:
        done = anyone.run("--quiet", "--workspace", f"{ws}:path={target}", "--", "sh", "-c", "echo RAN; head -1 /etc/passwd; ls /usr/bin/env")
        if "RAN" in done.out:   # a target that was taken must have left the system's places alone
            assert "root:" in done.out and "/usr/bin/env" in done.out, (target, done)
            pytest.fail(f"{target!r} was taken as a target: {done!r}")


@pytest.mark.parametrize("option", ["--workspace", "--tools"])
def test_links_lead_where_the_user_said_and_nowhere_else(anyone, own, workspace, outside, canary, option):
    """The user may name a link; what is in the workspace may not lead out."""
    secret = outside(canary)
    ws = workspace(anyone, {"f": "mine"})
    os.symlink(os.path.dirname(secret), os.path.join(ws, "out"))
    own(anyone, ws)
    done = anyone.run("--quiet", option, ws, "--", "sh", "-c", f"cat {ws}/f; cat {ws}/out/secret {ws}/out/../secret")
    assert canary not in done.out and done.out == "mine", repr(done)


def test_places_of_the_system_are_no_workspaces(anyone, workspace):
    ws = workspace(anyone)
    for target in ("/", "/etc", "/proc", "/proc/self", "/sys", "/dev", "/usr"):
        link = os.path.join(ws, "link")
        os.symlink(target, link)
        for path in (target, link):
            done = anyone.run("--quiet", "--workspace", path, "--", "echo", "RAN")
            assert done.code == 125 and "RAN" not in done.out, (path, done)
        os.unlink(link)


RENAME_EXCHANGE = 2


class Flipper:
    """Exchanges two names as fast as it can."""

    def __init__(self, a, b):
        self.libc, self.a, self.b = ctypes.CDLL(None, use_errno=True), a.encode(), b.encode()
        self.stop, self.flips = False, 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop:
            # ctypes lets other threads run meanwhile
            assert self.libc.renameat2(-100, self.a, -100, self.b, RENAME_EXCHANGE) == 0
            self.flips += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()


def test_a_workspace_that_is_exchanged_for_a_link(anyone, own, workspace, outside, canary):
    secret = outside(canary)
    top = workspace(anyone, {"a/secret": "harmless"})
    os.symlink(os.path.dirname(secret), os.path.join(top, "b"))
    own(anyone, top)
    name = os.path.join(top, "a")

    def naive():
        if os.path.islink(name):
            return ""
        with open(os.path.join(name, "secret"), encoding="utf-8") as f:
            return f.read()

    with Flipper(name, os.path.join(top, "b")) as flipper:
        lost = any(canary in naive() for _ in range(200000))
        assert lost, "inconclusive: the race is never won"
        done = []
        for _ in range(25):
            r = anyone.run("--quiet", "--workspace", f"{name}:ro", "--", "cat", "secret")
            done.append(r.out)
            # It may win by being there first: a link that the user names is followed, once, to a directory that is then
            # checked like any other (rootless: it must be the caller's own). As root the canary's directory is root's own.
            # What must not be is a mixture: a path inside that names one directory and shows the other.
    assert flipper.flips > 100
    if anyone.prefix:
        assert not any(canary in out for out in done)


def test_a_tool_tree_that_is_exchanged_for_a_link(anyone, own, workspace, outside, canary):
    """A link is never cloned: the directory is opened without following its last component, and compared."""
    secret = outside(canary)
    top = workspace(anyone, {"a/secret": "harmless"})
    os.symlink(os.path.dirname(secret), os.path.join(top, "b"))
    own(anyone, top)
    name = os.path.join(top, "a")
    with Flipper(name, os.path.join(top, "b")):
        outs = [anyone.run("--quiet", "--tools", name, "--", "cat", f"{name}/secret").out for _ in range(25)]
    assert not any(canary in out for out in outs), outs
    assert any(out in ("harmless", "") for out in outs)
