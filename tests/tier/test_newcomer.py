# SPDX-License-Identifier: Apache-2.0
"""What people stumble over in their first hour: the program says what happened, and what to do."""
import json
import os
import stat
import subprocess
import sys

import pytest

from test_workspace import tree


def rows(who, **options):
    return {r["id"]: r for r in json.loads(who("ls", "--json", **options).out)["sandboxes"]}


def test_a_line_as_one_word(anyone):
    p = anyone.run("--", "ls -l")
    assert p.code == 127 and "command not found: ls -l" in p.err and "pinfold run --shell" in p.err
    assert "--shell" not in anyone.run("--", "no-such-program").err


def test_ls_tells_what_was_applied(anyone, workspace):
    ws = workspace(anyone, {"a": "x", "b": "x"})
    ident = anyone.result("--workspace", ws, "--", "sh", "-c", "echo y > a; echo y > b")["changes"]["id"]
    assert rows(anyone)[ident]["changes"]["applied"] is None
    assert anyone("apply", "--dry-run", ident).code == 0
    assert rows(anyone)[ident]["changes"]["applied"] is None
    assert anyone("apply", ident, "a").code == 0
    assert rows(anyone)[ident]["changes"]["applied"] == "part" and "part applied" in anyone("ls").out
    assert anyone("apply", ident).code == 0
    assert rows(anyone)[ident]["changes"]["applied"] == "all" and f"{ident:20} applied " in anyone("ls").out


def test_ls_and_doctor_list_one_state_directory(pinfold, live, tmp_path):
    other = {"PINFOLD_STATE": str(tmp_path / "other")}
    run = live(pinfold, "run", "-i", "--", "sh", "-c", "echo up; read x", stdin=subprocess.PIPE)
    run.until("up\n")
    assert [r["state"] for r in rows(pinfold).values()] == ["live"]
    assert rows(pinfold, env=other) == {}
    left = json.loads(pinfold("doctor", "--json", env=other).out)["left"]
    assert left["live"] == 0 and left["elsewhere"] >= 1
    run.send("\n")
    assert run.wait() == 0


@pytest.mark.parametrize("options", [["--apply"], ["rw"]])
def test_rm_says_that_what_was_held_back_is_gone(anyone, workspace, options):
    ws = workspace(anyone, {".git/hooks/x": "x"})
    at = ws + ":rw" if options == ["rw"] else ws
    options = [o for o in options if o != "rw"]
    p = anyone.run("--rm", *options, "--workspace", at, "--", "sh", "-c", "echo y > .git/hooks/pre-commit; echo z > z")
    assert p.code == 0 and "held back, because protected: .git/hooks/pre-commit" in p.err
    assert "--rm: what was not applied is not kept" in p.err and rows(anyone) == {}


def test_live_names_what_was_made_where_it_cannot_hold(anyone, workspace):
    ws = workspace(anyone, {"a": "x", ".git/hooks/x": "x"})
    p = anyone.run("--workspace", ws + ":rw,live", "--", "sh", "-c", "echo s > .env; mkdir .vscode; echo y > b")
    assert p.code == 0
    told = [line for line in p.err.splitlines() if "rw,live: look at what was made" in line]
    assert len(told) == 1 and told[0].endswith(": .env, .vscode"), p.err
    assert "look at what was made" not in anyone.run("--workspace", ws + ":rw,live", "--", "sh", "-c", "echo t > .env; :").err


@pytest.mark.parametrize("mode", ["cow", "rw"])
def test_the_mode_of_the_workspace_itself(anyone, workspace, mode):
    ws = workspace(anyone, {"a": "x"})
    before = tree(ws)
    r = anyone.result("--workspace", f"{ws}:{mode}", "--", "chmod", "701", ".")
    assert "mode 701" in r["changes"]["note"] and not r["changes"]["incomplete"] and r["changes"]["id"] is None
    assert tree(ws) == before and stat.S_IMODE(os.stat(ws).st_mode) != 0o701
    p = anyone.run("--workspace", f"{ws}:{mode}", "--", "sh", "-c", "chmod 701 .; echo y > a")
    assert "note: the mode 701 that the workspace's own directory was given is not kept" in p.err
    assert anyone.result("--workspace", f"{ws}:{mode}", "--", "true")["changes"]["note"] is None


def test_a_workspace_of_somebody_else(pinfold, as_user, workspace):
    if os.geteuid() != 0:
        pytest.skip("only root can make a directory that is somebody else's")
    p = as_user.run("--workspace", workspace(pinfold), "--", "true")
    assert p.code == 125 and "another user (uid 0)" in p.err and "copy it" in p.err


def test_a_diff_that_git_does_not_take(anyone, workspace, need_program):
    need_program("git")
    ws = workspace(anyone, {"bin": "a\0b", "text": "x\n"})
    ident = anyone.result("--workspace", ws, "--", "sh", "-c", "printf 'a\\0c' > bin; echo y > text; mkfifo f")["changes"]["id"]
    p = anyone("diff", ident)
    assert "note: bin: is not text" in p.err and "note: f: a FIFO" in p.err and "note: text" not in p.err
    assert anyone("apply", ident).code == 0
    p = anyone("diff", ident)
    assert (p.out, p.err) == ("", ""), "what was applied is no difference, a FIFO too"


# A process under Landlock may make a user namespace and nothing is mounted in it: so do hosts with AppArmor's restriction.
UNDER_LANDLOCK = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
attr = struct.pack("Q", 1 << 11)    # to make block devices is handled, which nobody here does
fd = libc.syscall(444, attr, len(attr), 0)
if fd < 0 or libc.prctl(38, 1, 0, 0, 0) or libc.syscall(446, fd, 0):
    sys.exit(99)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_a_host_that_refuses_mounts(as_user):
    under = [*as_user.prefix, sys.executable, "-c", UNDER_LANDLOCK, as_user.program]
    run = subprocess.run([*under, "run", "true"], env=as_user.environment(), cwd="/", capture_output=True, text=True, check=False)
    if run.returncode == 99:
        pytest.skip("no Landlock in this kernel")
    assert run.returncode == 125 and "mounts" in run.stderr and "`pinfold doctor` tells" in run.stderr, run.stderr
    doctor = subprocess.run([*under, "doctor", "--json"], env=as_user.environment(), cwd="/", capture_output=True, text=True, check=False)
    tier = json.loads(doctor.stdout)["tiers"][0]
    assert doctor.returncode == 1 and not tier["usable"]
    item = next(i for i in tier["items"] if i["name"] == "mount")
    assert not item["ok"] and "refuses mounts" in item["mend"]
