# SPDX-License-Identifier: Apache-2.0
"""What surrounds pinfold itself: the caller's environment, the directories that it names, policy documents of others.

LD_PRELOAD and its like have no effect on static programs; the control is the same library under one that is not. Where
pinfold-init comes from is decided by where pinfold is and never by the environment. State and run-time directories
that others could write are refused; the control is the same directory made private.
"""
import os
import shutil
import stat
import subprocess

import pytest

PRELOAD = """
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void in(void) { FILE *f = fopen(getenv("PF_MARK"), "w"); if (f) fclose(f); }
"""


def test_preload(anyone, own, workspace, need_program):
    compiler = need_program("gcc")
    ws = workspace(anyone, {"p.c": PRELOAD})
    library, mark = os.path.join(ws, "p.so"), os.path.join(ws, "mark")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, os.path.join(ws, "p.c")], check=True)
    own(anyone, ws)
    env = {"LD_PRELOAD": library, "LD_AUDIT": library, "PF_MARK": mark, "PATH": os.environ["PATH"]}
    subprocess.run(["true"], env=env, check=True)
    assert os.path.exists(mark), "inconclusive: the library does nothing"
    os.unlink(mark)
    who = type(anyone)(anyone.program, anyone.state, anyone.runtime, [], anyone.env) if not anyone.prefix else anyone
    prefix = [*who.prefix, "env", *(f"{k}={v}" for k, v in env.items() if k != "PATH")] if who.prefix else []
    # env(1) itself is dynamic and sets the mark after it has started the program only if it were preloaded: it is not
    who = type(who)(who.program, who.state, who.runtime, prefix, who.env)
    done = who.run("--quiet", "--", "sh", "-c", "echo ran; env", env=None if prefix else env)
    assert done.out.startswith("ran\n") and "p.so" not in done.out, repr(done)
    assert not os.path.exists(mark)


def test_names_that_decide_nothing(anyone, workspace):
    """A libexec, a break and a policy by environment: none is heard."""
    ws = workspace(anyone, {"pinfold-init": ("#!/bin/sh\necho OWNED\n", 0o755), "libexec/pinfold/pinfold-init": ("#!/bin/sh\necho OWNED\n", 0o755)})
    env = {"PF_LIBEXEC": ws, "PINFOLD_LIBEXEC": ws, "PF_BREAK": "root,userns,seccomp,caps", "PINFOLD_POLICY": ws}
    r = anyone.result("--", "/bin/true", env=env)
    assert r["cause"] == "exited" and r["exit_code"] == 0 and r["receipt"]["build"] is None, r
    assert r["receipt"]["outside"]["seccomp_filters"] in (2, None) and r["receipt"]["inside"]["seccomp"] == 2


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_runtime_directory_that_others_write(as_user, workspace, mode):
    top = workspace(as_user, {"pinfold": None})
    os.chmod(top, 0o755)
    runtime = os.path.join(top, "pinfold")
    os.chmod(runtime, mode)
    done = as_user.run("--quiet", "--", "echo", "RAN", env={"XDG_RUNTIME_DIR": top})
    assert done.code == 125 and "RAN" not in done.out, repr(done)
    os.chmod(runtime, 0o700)
    assert as_user.run("--quiet", "--", "echo", "RAN", env={"XDG_RUNTIME_DIR": top}).out == "RAN\n"


def test_a_runtime_directory_of_somebody_else(as_user, need_root, workspace, pinfold):
    top = workspace(pinfold, {"pinfold": None})
    done = as_user.run("--quiet", "--", "echo", "RAN", env={"XDG_RUNTIME_DIR": top})
    assert done.code == 125 and "RAN" not in done.out, repr(done)


def test_a_runtime_directory_that_is_a_link(as_user, own, workspace):
    top = workspace(as_user, {"real": None})
    os.chmod(os.path.join(top, "real"), 0o700)
    os.symlink("real", os.path.join(top, "pinfold"))
    own(as_user, top)
    done = as_user.run("--quiet", "--", "echo", "RAN", env={"XDG_RUNTIME_DIR": top})
    assert done.code == 125 and "RAN" not in done.out, repr(done)


def test_a_state_directory_that_others_write(as_user, own, workspace):
    """Its change sets would be somebody else's words, for apply to write."""
    state = workspace(as_user, {"changes": None})
    ws = workspace(as_user, {"f": "x"})
    os.chmod(os.path.join(state, "changes"), 0o777)
    done = as_user.run("--quiet", "--workspace", ws, "--", "sh", "-c", "echo > g", env={"PINFOLD_STATE": state})
    assert done.code == 125 or not os.listdir(os.path.join(state, "changes")), repr(done)
    for verb in (["ls"], ["apply", "last"], ["diff", "last"]):
        assert as_user(*verb, env={"PINFOLD_STATE": state}).code != 0
    os.chmod(os.path.join(state, "changes"), 0o700)
    assert as_user.run("--quiet", "--workspace", ws, "--", "sh", "-c", "echo > g", env={"PINFOLD_STATE": state}).code == 0


def test_a_policy_that_others_write(pinfold, need_root, workspace):
    """container.md section 4, "config as root". A document that somebody else can change decides what is mounted."""
    ws = workspace(pinfold, {"p.json": "{}"})
    path = os.path.join(ws, "p.json")
    assert pinfold.run("--quiet", "--policy", path, "--", "echo", "RAN").out == "RAN\n", "inconclusive"
    for mode, uid in ((0o666, 0), (0o644, 12345), (0o602, 0)):
        os.chmod(path, mode)
        os.chown(path, uid, uid)
        done = pinfold.run("--quiet", "--policy", path, "--", "echo", "RAN")
        assert done.code == 125 and "RAN" not in done.out, (oct(mode), uid, done)


def test_programs_that_ship_are_static_and_plain(pinfold):
    for path in (pinfold.program, os.path.join(os.path.dirname(pinfold.program), "libexec/pinfold/pinfold-init")):
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o7000 == 0
        if shutil.which("readelf"):
            out = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout
            assert "INTERP" not in out and "GNU_STACK" in out and " RWE " not in out, out
