# SPDX-License-Identifier: Apache-2.0
"""Workspaces that are no ordinary directory: what is refused, and why; what works all the same."""
import os
import shutil
import subprocess

import pytest

from test_workspace import tree

MODES = ["ro", "cow", "rw", "rw,live"]


@pytest.mark.parametrize("mode", MODES)
def test_refused_places(anyone, workspace, mode):
    for path in ("/", "/etc", "/usr/share", "/boot", "/proc/self", "/dev/shm"):
        r = anyone.result("--workspace", f"{path}:{mode}", "--", "echo", "ran")
        assert (r.code, r.stdout) == (125, "") and path.split("/")[1] in r.error, (path, r.error)
        r = anyone.result("--workspace", f"{path}:{mode}:path=/work", "--", "echo", "ran")
        assert (r.code, r.stdout) == (125, "") and "cannot be a workspace" in r.error, (path, r.error)


@pytest.mark.parametrize("mode", MODES)
def test_home_and_what_it_is_in(anyone, own, workspace, mode):
    """A home directory holds keys, logins and every other project."""
    home = workspace(anyone, {"me/project/a": "x\n"})
    env = {"HOME": home + "/me"}
    for path in (home + "/me", home):
        r = anyone.result("--workspace", f"{path}:{mode}", "--", "echo", "ran", env=env)
        assert (r.cause, r.code, r.stdout) == ("error", 125, "") and "home directory" in r.error, r
    link = home + "/link"
    os.symlink(home + "/me", link)
    assert "home directory" in anyone.result("--workspace", f"{link}:{mode}", "--", "true", env=env).error
    r = anyone.result("--workspace", f"{home}/me/project:{mode}", "--", "cat", "a", env=env)
    assert r.stdout == "x\n"


@pytest.mark.parametrize("mode", MODES)
def test_own_state(anyone, mode):
    assert anyone.run("--", "true").code == 0
    for path in (anyone.state, os.path.join(anyone.state, "changes"), os.path.dirname(anyone.state), anyone.runtime):
        if not os.path.isdir(path):
            continue
        r = anyone.result("--workspace", f"{path}:{mode}", "--", "echo", "ran", env={"HOME": "/nonexistent"})
        assert (r.code, r.stdout) == (125, "") and ("pinfold" in r.error or "system" in r.error), (path, r.error)


@pytest.mark.parametrize("what", ["absent", "file", "closed"])
def test_no_directory(anyone, workspace, what):
    ws = workspace(anyone, {"file": "x", "closed/x": ""})
    if what == "closed":
        os.chmod(ws + "/closed", 0)
        os.chown(ws + "/closed", 0, 0) if os.geteuid() == 0 else None
        if not anyone.prefix and os.geteuid() == 0:
            pytest.skip("root opens it")
    r = anyone.result("--workspace", f"{ws}/{what}", "--", "echo", "ran")
    assert (r.cause, r.code, r.stdout) == ("error", 125, "") and what in r.error


def test_of_somebody_else(as_user, need_root, workspace):
    ws = workspace(as_user)
    os.chown(ws, 4321, 4321)
    for mode in MODES:
        r = as_user.result("--workspace", f"{ws}:{mode}", "--", "echo", "ran")
        assert (r.code, r.stdout) == (125, "") and "another user" in r.error


@pytest.fixture
def mounted(need_root, _place):
    """mounted(kind, *options, source="none"): a file system of that kind, mounted for the time of the test."""
    made = []

    def mount(kind, *options, source="none"):
        where = os.path.join(_place, f"mounted-{len(made)}")
        os.mkdir(where)
        made.append(where)
        subprocess.run(["mount", "-t", kind, *(["-o", ",".join(options)] if options else []), source, where], check=True)
        return where

    yield mount
    for where in reversed(made):
        subprocess.run(["umount", "-l", where], check=False)
        os.rmdir(where)


@pytest.fixture
def overlaid(mounted, workspace, pinfold):
    """A directory on an overlay, which has no idmapped mounts."""
    layers = workspace(pinfold, {"lower/a": "old\n", "lower/d/x": "y\n", "upper": None, "work": None})
    return mounted("overlay", f"lowerdir={layers}/lower", f"upperdir={layers}/upper", f"workdir={layers}/work", source="overlay")


@pytest.mark.parametrize("mode", MODES)
def test_on_another_file_system(anyone, sh, own, mounted, mode, kernel):
    if kernel < (6, 3) and not anyone.prefix:
        pytest.skip("tmpfs has no idmapped mounts before Linux 6.3")
    ws = os.path.join(mounted("tmpfs", "mode=755"), "ws")
    os.mkdir(ws)
    with open(ws + "/a", "w", encoding="utf-8") as f:
        f.write("x\n")
    own(anyone, ws)
    r = sh(anyone, "cat a; echo n > n; cat n", "--workspace", f"{ws}:{mode}")
    if mode == "ro":
        assert r.stdout == "x\n"
        return
    assert r.stdout == "x\nn\n", r
    if mode == "cow":
        assert anyone("apply", "last").code == 0
    assert sorted(os.listdir(ws)) == ["a", "n"]


def test_on_an_overlay_as_root(pinfold, sh, overlaid):
    """Nothing there could belong to the command's user, so it gets a copy; the receipt says so."""
    os.symlink("a", overlaid + "/link")
    os.link(overlaid + "/a", overlaid + "/other-name")
    with open(overlaid + "/.env", "w", encoding="utf-8") as f:
        f.write("KEY\n")
    os.setxattr(overlaid + "/a", "user.x", b"1")
    r = sh(pinfold, "cat a d/x link; stat -c %u a d .; cat .env 2>/dev/null; echo new > a; rm d/x; mkfifo p; echo n > n", "--workspace", overlaid)
    assert r.stdout == "old\ny\nold\n1000\n1000\n1000\n" and r.exit_code == 0, r
    assert r["receipt"]["workspace"] == {"mode": "cow", "upper": "tmpfs", "lower": "copy"}
    assert open(overlaid + "/a", encoding="utf-8").read() == "old\n"
    assert pinfold("apply", "last").code == 0
    assert open(overlaid + "/a", encoding="utf-8").read() == "new\n" and os.path.exists(overlaid + "/n") and os.listdir(overlaid + "/d") == []


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_on_an_overlay_as_root_in_other_modes(pinfold, sh, overlaid, mode):
    r = sh(pinfold, "cat a; echo n > n", "--workspace", f"{overlaid}:{mode}")
    assert r.stdout == "old\n" and r["receipt"]["workspace"]["lower"] == "copy"
    assert os.path.exists(overlaid + "/n") == (mode == "rw")


def test_on_an_overlay_as_root_live_is_refused(pinfold, overlaid):
    r = pinfold.result("--workspace", f"{overlaid}:rw,live", "--", "echo", "ran")
    assert (r.code, r.stdout) == (125, "") and "overlay" in r.error and "rw,live" in r.error


def test_a_copy_that_does_not_fit(pinfold, overlaid):
    with open(overlaid + "/big", "wb") as f:
        f.write(b"x" * (8 << 20))
    r = pinfold.result("--workspace", overlaid, "--disk", "4M", "--", "echo", "ran")
    assert (r.cause, r.code, r.stdout) == ("boundary", 125, "") and "does not fit" in r.error and "--disk" in r.error


def test_on_an_overlay_as_user(as_user, sh, own, overlaid):
    own(as_user, overlaid)
    for mode in MODES:
        r = sh(as_user, "cat a; true", "--workspace", f"{overlaid}:{mode}")
        assert r.stdout == "old\n", (mode, r)


@pytest.mark.parametrize("mode", MODES)
def test_read_only(anyone, sh, own, mounted, mode, kernel):
    if kernel < (6, 3) and not anyone.prefix:
        pytest.skip("tmpfs has no idmapped mounts before Linux 6.3")
    top = mounted("tmpfs", "mode=755")
    with open(top + "/a", "w", encoding="utf-8") as f:
        f.write("x\n")
    own(anyone, top)
    subprocess.run(["mount", "-o", "remount,ro", top], check=True)
    r = sh(anyone, "cat a; (echo n > n) 2>/dev/null && cat n; true", "--workspace", f"{top}:{mode}")
    assert r.stdout == ("x\nn\n" if mode in ("cow", "rw") else "x\n"), r
    if mode == "rw":    # what cannot be written is kept, and said
        assert r.code == 125 and r["changes"]["applied"]["state"] == "none" and r["changes"]["id"] and "ead-only" in r["changes"]["applied"]["why"]
    if mode == "cow":
        p = anyone("apply", "last")
        assert p.code != 0 and "ead-only" in p.err


def test_full(anyone, sh, own, mounted, kernel):
    if kernel < (6, 3) and not anyone.prefix:
        pytest.skip("tmpfs has no idmapped mounts before Linux 6.3")
    top = mounted("tmpfs", "mode=755", "size=64k")
    with open(top + "/a", "w", encoding="utf-8") as f:
        f.write("x\n")
    with open(top + "/filler", "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass
    own(anyone, top)
    r = sh(anyone, "cat a; head -c 100000 /dev/zero > big; stat -c %s big", "--workspace", f"{top}:rw")
    assert r.stdout == "x\n100000\n" and r.code == 125, r
    a = r["changes"]["applied"]
    assert a["state"] == "none" and "space" in a["why"] and r["changes"]["id"]
    assert sorted(os.listdir(top)) == ["a", "filler"]
    os.unlink(top + "/filler")
    subprocess.run(["mount", "-o", "remount,size=10m", top], check=True)
    assert anyone("apply", r["changes"]["id"]).code == 0 and os.path.getsize(top + "/big") == 100000


@pytest.mark.parametrize("mode", MODES)
def test_a_mount_inside(anyone, sh, own, need_root, workspace, mode):
    """What is mounted within the workspace is not part of it: inside is what lies below, and nothing is written there."""
    ws = workspace(anyone, {"a": "x\n", "m/below": "b\n"})
    subprocess.run(["mount", "-t", "tmpfs", "none", ws + "/m"], check=True)
    try:
        with open(ws + "/m/mounted", "w", encoding="utf-8") as f:
            f.write("m\n")
        own(anyone, ws)
        r = sh(anyone, "cat a; ls m; true", "--workspace", f"{ws}:{mode}")
        if r.cause == "error":    # an ordinary user may not mount what a mount covers
            assert anyone.prefix and mode != "rw,live" and "mounted within" in r.error, r
            return
        assert r.stdout.startswith("x\n") and "mounted" not in r.stdout, r
        assert any(u.startswith("secrets: m: another mount is on it") for u in r["receipt"]["unprotected"]), r["receipt"]["unprotected"]
    finally:
        subprocess.run(["umount", ws + "/m"], check=True)


@pytest.mark.parametrize("mode", MODES)
def test_a_closed_directory_inside(as_user, sh, workspace, mode):
    """Of the workspace's owner, who could open it; and of another, who keeps it."""
    ws = workspace(as_user, {"a": "x\n", "mine/b": "m\n", "theirs/.env": "KEY\n"})
    os.chmod(ws + "/mine", 0)
    if os.geteuid() == 0:
        os.chown(ws + "/theirs", 4321, 4321)
        os.chmod(ws + "/theirs", 0o700)
    r = sh(as_user, "cat a; chmod 755 mine; cat mine/b; cat theirs/.env 2>/dev/null; true", "--workspace", f"{ws}:{mode}")
    assert "KEY" not in r.stdout and r.stdout.startswith("x\n"), r
    assert any("mine: cannot be searched" in u for u in r["receipt"]["unprotected"])
    os.chmod(ws + "/mine", 0o755)


@pytest.mark.parametrize("mode", MODES)
def test_through_a_link(anyone, sh, workspace, mode):
    """A link to a workspace is that workspace, at its own path."""
    ws = workspace(anyone, {"ws/a": "x\n"})
    os.symlink("ws", ws + "/link")
    r = sh(anyone, "pwd; cat a; echo n > n 2>/dev/null; true", "--workspace", f"{ws}/link:{mode}")
    assert r.stdout == f"{ws}/ws\nx\n"
    if mode == "cow":
        assert anyone("apply", "last").code == 0
    assert os.path.exists(ws + "/ws/n") == (mode != "ro")


@pytest.mark.parametrize("mode", ["cow", "rw", "rw,live"])
def test_it_changes_while_it_runs(anyone, live, workspace, mode):
    """Files come, go and change outside: nothing breaks, and what the user did is there in the end."""
    ws = workspace(anyone, {"a": "old\n", "gone": "x\n", "d/x": "y\n"})
    run = live(anyone, "run", "-i", "--workspace", f"{ws}:{mode}", "--", "sh", "-c", "echo up; read x; cat gone d/x later a 2>/dev/null; echo in > new; exit 0",
               stdin=subprocess.PIPE)
    run.until("up\n")
    os.unlink(ws + "/gone")
    shutil.rmtree(ws + "/d")
    for name, text in (("later", "l\n"), ("a", "mine\n")):
        with open(os.path.join(ws, name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(os.path.join(ws, name), 0o644)
    run.send("go\n")
    assert run.wait() == 0, run.text("err")
    if mode == "cow":
        assert anyone("apply", "last").code == 0
    assert sorted(os.listdir(ws)) == ["a", "later", "new"]
    assert open(ws + "/a", encoding="utf-8").read() == "mine\n"


def test_an_empty_one_stays_as_it_is(anyone, workspace):
    ws = workspace(anyone)
    before = os.stat(ws)
    for mode in MODES:
        assert anyone.run("--workspace", f"{ws}:{mode}", "--", "true").code == 0
    after = os.stat(ws)
    assert (before.st_mtime_ns, before.st_ctime_ns, tree(ws)) == (after.st_mtime_ns, after.st_ctime_ns, {})
