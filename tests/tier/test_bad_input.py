# SPDX-License-Identifier: Apache-2.0
"""What a bad day brings: a full disk, directories that vanish or belong to somebody else, readers that go away."""
import json
import os
import shutil
import subprocess

import pytest


def test_the_workspace_vanishes_while_it_runs(anyone, live, workspace):
    ws = workspace(anyone, {"a": "x\n", "d/b": "y\n"})
    run = live(anyone, "run", "--json=stream", "-i", "--workspace", ws, "--", "sh", "-c",
               "echo up; read x; echo z > new; cat a; exit 5", stdin=subprocess.PIPE)
    run.until("up")
    shutil.rmtree(ws)
    run.send("\n")
    code = run.wait()
    r = json.loads(run.text().splitlines()[-1])["result"]
    assert r["exit_code"] in (1, 2, 5) and code in (r["exit_code"], 125), r
    if r["changes"] and r["changes"]["id"]:
        p = anyone("apply", "last")
        assert p.code != 0 and p.err and not os.path.exists(ws)


def test_the_workspace_is_replaced_while_it_runs(anyone, live, workspace):
    ws = workspace(anyone, {"a": "x\n"})
    other = workspace(anyone, {"b": "mine\n"})
    run = live(anyone, "run", "-i", "--workspace", ws, "--", "sh", "-c", "echo up; read x; echo z > b; echo z > a", stdin=subprocess.PIPE)
    run.until("up")
    os.rename(ws, ws + "-old")
    os.rename(other, ws)
    run.send("\n")
    run.wait()
    try:
        p = anyone("apply", "last")
        assert p.code != 0 and open(ws + "/b").read() == "mine\n" and os.listdir(ws) == ["b"], p
    finally:
        os.rename(ws, other)
        os.rename(ws + "-old", ws)


@pytest.fixture
def small(need_root, _place):
    """A file system of a few hundred KiB, as a state directory."""
    where = os.path.join(_place, "small")
    os.mkdir(where)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k,mode=755", "none", where], check=True)
    yield where
    subprocess.run(["umount", where], check=True)
    os.rmdir(where)


def test_a_full_state_directory(pinfold, small, sh, workspace):
    """The command's output and end are told all the same; that its changes could not be kept is an error, and nothing of them
    is left half-way."""
    ws = workspace(pinfold, {"a": "x\n"})
    env = {"PINFOLD_STATE": small + "/state"}
    r = sh(pinfold, "head -c 5M /dev/urandom > big; echo y > a; echo out; exit 0", "--workspace", ws, env=env)
    assert r.code == 125 and r.error and "space" in r.error.lower(), r
    assert r.stdout in ("out\n", "")
    p = pinfold("ls", env=env)
    assert p.code == 0 and "changes" not in p.out
    assert open(ws + "/a").read() == "x\n"
    # with room again it works
    subprocess.run(["mount", "-o", "remount,size=60m", small], check=True)
    r = sh(pinfold, "head -c 5M /dev/urandom > big", "--workspace", ws, env=env)
    assert r.code == 0 and r["changes"]["added"] == 1


def test_a_state_directory_that_is_full_from_the_start(pinfold, small, sh):
    env = {"PINFOLD_STATE": small + "/state"}
    with open(small + "/filler", "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass
    r = sh(pinfold, "echo ran", env=env)
    assert r.code == 125 and r.cause == "error" and "space" in r.error.lower() or r.stdout == "ran\n", r


@pytest.mark.parametrize("state", ["relative/path", "/proc/nowhere", "/dev/null"])
def test_a_state_directory_that_is_none(anyone, state):
    r = anyone.result("--", "true", env={"PINFOLD_STATE": state})
    assert (r.cause, r.code) == ("error", 125) and r.error


def test_places_that_others_could_write(as_user, need_root, workspace, sh):
    """RUNTIME and STATE/changes decide what is removed and what apply writes: not those of others, and no links."""
    place = workspace(as_user)
    theirs = workspace(as_user)
    os.chown(theirs, 54321, 54321)
    ws = workspace(as_user)
    for kind in ("link", "open", "theirs"):
        run = os.path.join(place, kind)
        os.mkdir(run)
        if kind == "link":
            os.symlink(theirs, run + "/pinfold")
        else:
            os.mkdir(run + "/pinfold", 0o777)
            os.chmod(run + "/pinfold", 0o777 if kind == "open" else 0o700)
        os.chown(run, 12345, 12345)
        if kind != "link":
            os.chown(run + "/pinfold", *((12345, 12345) if kind == "open" else (54321, 54321)))
        r = as_user.result("--", "true", env={"XDG_RUNTIME_DIR": run})
        assert (r.cause, r.code) == ("error", 125) and run in r.error, kind
    state = os.path.join(place, "state")
    os.makedirs(state + "/changes")
    os.chmod(state + "/changes", 0o777)
    subprocess.run(["chown", "-R", "12345:12345", state], check=True)
    r = sh(as_user, "echo x > x", "--workspace", ws, env={"PINFOLD_STATE": state})
    assert r.code == 125 and "changes" in r.error


def test_garbage_in_the_runtime_directory(anyone, sh):
    """Entries that are none of ours, or broken, are neither followed nor a reason to fail."""
    assert anyone.result("--", "true").exit_code == 0
    top = anyone.runtime
    made = [os.path.join(top, n) for n in ("zzgarbage1", "zzgarbage2", "zzgarbage3", "zzgarbage4")]
    os.mkdir(made[2], 0o700)
    with open(made[0], "wb") as f:
        f.write(b"\xff\xfe cgroup /etc\nscratch /etc/passwd\ncgroup /sys/fs/cgroup\nscratch ../../..\n" * 50)
    with open(made[1], "w") as f:
        f.write("a file")
    os.symlink("/etc", made[3])
    try:
        for path in made[:3]:
            if anyone.prefix:
                subprocess.run(["chown", "-hR", "12345:12345", path], check=True)
        assert anyone.result("--", "true").exit_code == 0
        assert anyone("ls").code == 0
        assert os.path.exists("/etc/passwd") and os.path.exists(made[1]) and os.path.islink(made[3])
    finally:
        shutil.rmtree(made[2], ignore_errors=True)
        for path in made:
            if os.path.lexists(path):
                os.unlink(path)


def test_a_broken_installation(pinfold, workspace):
    """Without its init, or with something else in its place: said by name."""
    place = workspace(pinfold)
    program = shutil.copy(pinfold.program, place + "/pinfold")
    alone = type(pinfold)(program, pinfold.state, pinfold.runtime)
    r = alone.result("--", "true")
    assert r.code == 125 and r.error
    os.makedirs(place + "/libexec/pinfold")
    for content, mode in ((b"", 0o755), (b"garbage", 0o755), (b"#!/bin/sh\nexit 0\n", 0o755), (None, 0o755)):
        path = place + "/libexec/pinfold/pinfold-init"
        if os.path.isdir(path):
            os.rmdir(path)
        elif os.path.exists(path):
            os.unlink(path)
        if content is None:
            os.mkdir(path)
        else:
            with open(path, "wb") as f:
                f.write(content)
            os.chmod(path, mode)
        r = alone.result("--", "echo", "ran")
        assert r.cause in ("error", "boundary") and r.code == 125 and r.error and r.stdout == "", (content, r)


def test_the_reader_of_the_json_goes_away(anyone):
    for form in ("--json", "--json=stream"):
        process = subprocess.Popen([*anyone.prefix, anyone.program, "run", form, "--", "sh", "-c", "yes | head -c 3M"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=anyone.environment(), cwd="/")
        process.stdout.close()
        assert process.wait(60) in (141, 125)
        process.stderr.close()


def test_a_reader_that_goes_away_in_the_middle(anyone):
    process = anyone.popen("run", "--", "sh", "-c", "yes | head -c 30M; sleep 3600")
    assert len(process.stdout.read(100000)) == 100000
    process.stdout.close()
    assert process.wait(60) == 141
    process.stderr.close()


def test_few_descriptors_for_us(anyone):
    """Our own limit is low: an error that says so, and never a sandbox that is less than it would be."""
    argv = [*anyone.prefix, anyone.program, "run", "--json", "--", "true"]
    usual = anyone.result("--", "true")["receipt"]
    for limit in (*range(4, 48), 64, 128):
        p = subprocess.run(["bash", "-c", f'ulimit -n {limit}; exec "$@"', "bash", *argv], env=anyone.environment(), cwd="/",
                           capture_output=True, timeout=60, check=False)
        assert p.returncode in (0, 125, 127, 1, 126), (limit, p)
        if p.returncode == 0:
            receipt = json.loads(p.stdout)["receipt"]
            for key in ("unenforced", "limits_by", "init_uid", "landlock", "filter", "unprotected"):
                assert receipt[key] == usual[key], (limit, key)


def test_no_processes_for_us(as_user, need_root):
    argv = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--", "bash", "-c", 'ulimit -u 1; exec "$@"', "bash",
            as_user.program, "run", "--json", "--", "true"]
    p = subprocess.run(argv, env=as_user.environment(), cwd="/", capture_output=True, timeout=60, check=False)
    assert p.returncode in (0, 125) and (p.returncode == 0 or json.loads(p.stdout)["cause"] in ("error", "boundary")), p


def test_little_memory_for_us(anyone):
    argv = [*anyone.prefix, anyone.program, "run", "--json", "--", "true"]
    for kib in (2000, 3000, 4000, 8000):
        p = subprocess.run(["bash", "-c", f'ulimit -v {kib}; exec "$@"', "bash", *argv], env=anyone.environment(), cwd="/",
                           capture_output=True, timeout=60, check=False)
        assert p.returncode not in (134, 139, -6, -11), (kib, p)


def test_ignored_signals_stay_ours(anyone):
    """nohup: what we were told to ignore is ignored by us, and not by the command."""
    p = subprocess.run(["bash", "-c", 'trap "" INT HUP TERM PIPE CHLD; exec "$@"', "bash", *anyone.prefix, anyone.program, "run", "--",
                        "sh", "-c", "grep ^SigIgn /proc/self/status; kill -HUP $$; echo survived"], env=anyone.environment(), cwd="/",
                       capture_output=True, timeout=60, check=False)
    assert p.returncode == 129 and b"0000000000000000" in p.stdout and b"survived" not in p.stdout, p


def test_blocked_signals_are_not_inherited(anyone):
    code = ("import os, signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nos.execvpe(sys.argv[1], sys.argv[1:], os.environ)")
    p = subprocess.run(["/usr/bin/python3", "-c", code, *anyone.prefix, anyone.program, "run", "--", "grep", "^SigBlk", "/proc/self/status"],
                       env=anyone.environment(), cwd="/", capture_output=True, timeout=60, check=False)
    assert p.returncode == 0 and int(p.stdout.split()[1], 16) == 0, p


def test_from_a_directory_that_is_gone(anyone, workspace):
    ws = workspace(anyone)
    code = f"mkdir {ws}/gone; cd {ws}/gone; rmdir ../gone; exec \"$@\""
    argv = ["bash", "-c", code, "bash", *anyone.prefix, anyone.program, "run"]
    p = subprocess.run([*argv, "--", "pwd"], env=anyone.environment(), capture_output=True, timeout=60, check=False)
    assert p.returncode == 0 and p.stdout == b"/home/user\n", p
    p = subprocess.run([*argv, "--json", "--workspace", ".", "--", "pwd"], env=anyone.environment(), capture_output=True, timeout=60,
                       check=False)
    assert p.returncode == 125 and json.loads(p.stdout)["cause"] == "error", p


def test_open_descriptors_are_not_inherited(anyone, sh, workspace):
    """A shell that has files open must not give them to the command."""
    ws = workspace(anyone, {"private": "text"})
    argv = [*anyone.prefix, anyone.program, "run", "--", "sh", "-c", "ls /proc/self/fd; cat <&7"]
    p = subprocess.run(["bash", "-c", f'exec 7<{ws}/private 9</; exec "$@"', "bash", *argv], env=anyone.environment(), cwd="/",
                       capture_output=True, timeout=60, check=False)
    assert p.stdout.split() == [b"0", b"1", b"2", b"3"] and b"text" not in p.stdout, p
