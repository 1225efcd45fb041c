# SPDX-License-Identifier: Apache-2.0
"""Attacks on what goes into the workspace by itself: what an apply has prepared, repositories that Git keeps within
another, further names for protected files, and secrets that are renamed away in rw,live.

Where the defence has no switch the control is the same deed with the door open: `apply --allow-protected`, or the
files of a directory that no apply is half way in.
"""
import os
import subprocess
import time

STAGE = ".pinfold-apply-" + "0123456789abcdef" * 2


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as f:
        return f.read()


def give(path, like):
    st = os.stat(like)
    for top, _, files in os.walk(path):
        for name in [top, *(os.path.join(top, f) for f in files)]:
            os.chown(name, st.st_uid, st.st_gid)


def half(ws, name=STAGE):
    os.mkdir(os.path.join(ws, name), 0o700)
    with open(os.path.join(ws, name, "0"), "w", encoding="utf-8") as f:
        f.write("good\n")
    give(os.path.join(ws, name), ws)


def test_stage_is_not_shown(anyone, workspace):
    """What an apply will put somewhere is neither seen nor written by a command; another directory is (the control)."""
    ws = workspace(anyone, {"f": "x"})
    half(ws)
    half(ws, "other")
    seen = anyone.run("--quiet", "--workspace", ws, "--", "sh", "-c", f"cat {STAGE}/0 other/0; ls -A")
    assert seen.out.split() == ["good", "f", "other"], seen.out
    done = anyone.result("--workspace", ws + ":rw", "--", "sh", "-c", f"mkdir -p {STAGE}; echo owned > {STAGE}/0; echo owned > other/0; exit 0")
    assert read(ws, "other/0") == "owned\n" and read(ws, STAGE, "0") == "good\n", done
    assert done["changes"]["applied"]["protected"] or done["changes"]["applied"]["conflicts"], done["changes"]


def test_no_live_workspace_with_a_stage(anyone, workspace):
    ws = workspace(anyone, {"f": "x"})
    half(ws)
    r = anyone.result("--workspace", ws + ":rw,live", "--", "sh", "-c", f"echo owned > {STAGE}/0")
    assert (r["cause"], r.code) == ("error", 125) and "half applied" in r["error"] and read(ws, STAGE, "0") == "good\n"


def test_no_apply_beside_a_live_workspace(anyone, workspace):
    """The other way round: while a command works in the directory itself nothing is prepared in it."""
    ws = workspace(anyone, {"f": "x"})
    made = anyone.result("--workspace", ws, "--", "sh", "-c", "echo new > n")["changes"]["id"]
    live = subprocess.Popen([*anyone.prefix, anyone.program, "run", "--quiet", "--workspace", ws + ":rw,live", "--", "sh", "-c", "echo up > up; sleep 50"],
                            env=anyone.environment(), stdin=subprocess.DEVNULL, cwd="/")
    try:
        end = time.monotonic() + 20
        while not os.path.exists(os.path.join(ws, "up")):
            assert live.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        refused = anyone("apply", made)
        assert refused.code == 125 and "rw,live" in refused.err and not os.path.exists(os.path.join(ws, "n"))
        rw = anyone.result("--workspace", ws + ":rw", "--", "sh", "-c", "echo rw > m")
        assert rw["changes"]["applied"]["state"] == "none" and not os.path.exists(os.path.join(ws, "m")), rw["changes"]
    finally:
        live.terminate()
        live.wait()
    assert anyone("apply", made).code == 0 and read(ws, "n") == "new\n"


WITHIN = {
    ".git/HEAD": "ref: refs/heads/main\n", ".git/config": "[core]\n", ".git/modules/sub/HEAD": "ref: refs/heads/main\n",
    ".git/modules/sub/config": "[core]\n", ".git/modules/sub/objects/x": "", ".git/modules/sub/refs/x": "",
    ".git/worktrees/wt/HEAD": "ref: refs/heads/wt\n", ".git/worktrees/wt/commondir": "../..\n",
}
PLANTS = [".git/modules/sub/commondir", ".git/modules/sub/config.worktree", ".git/modules/sub/info/attributes", ".git/worktrees/wt/commondir",
          ".git/modules/sub/hooks/post-checkout", "q/.git/modules/y/commondir"]


def test_repositories_within_one(anyone, workspace):
    """A submodule's or a worktree's directory obeys the same files; its HEAD changes with every commit and is free."""
    ws = workspace(anyone, dict(WITHIN))
    plant = "; ".join(f"mkdir -p {os.path.dirname(p)}; echo owned > {p}" for p in PLANTS)
    r = anyone.result("--workspace", ws + ":rw", "--", "sh", "-c", f"{plant}; echo 'ref: refs/heads/new' > .git/modules/sub/HEAD")
    assert set(r["changes"]["applied"]["protected"]) >= set(PLANTS), r["changes"]["applied"]
    for path in PLANTS:
        assert not os.path.exists(os.path.join(ws, path)) or "owned" not in read(ws, path), path
    assert read(ws, ".git/modules/sub/HEAD") == "ref: refs/heads/new\n"
    assert anyone("apply", "--allow-protected", "last").code == 0 and read(ws, PLANTS[0]) == "owned\n"    # the control


def test_a_further_name_for_a_protected_file(anyone, workspace):
    ws = workspace(anyone, {".git/config": "[core]\n", ".git/HEAD": "ref: refs/heads/main\n", "plain": "p\n"})
    r = anyone.result("--workspace", ws + ":rw", "--", "sh", "-c", "ln .git/config foo; ln plain bar")
    assert r["changes"]["applied"]["protected"] == ["foo"], r["changes"]["applied"]
    assert not os.path.exists(os.path.join(ws, "foo"))
    assert os.stat(os.path.join(ws, "bar")).st_ino == os.stat(os.path.join(ws, "plain")).st_ino    # the control


def test_a_secret_is_renamed_away(anyone, prove, own, workspace, canary):
    """In rw,live a directory with a hidden file in it cannot be moved to where no pattern hides the file from the next sandbox."""
    ws = workspace(anyone, {".docker/config.json": canary, ".config/gh/hosts.yml": canary, "plain/x": "x"})

    def attack(program):
        program.run("--quiet", "--workspace", ws + ":rw,live", "--", "sh", "-c", "mv .docker d; mv .config c; mv plain p; exit 0")
        seen = program.run("--quiet", "--workspace", ws, "--", "sh", "-c", "echo tried; cat d/config.json c/gh/hosts.yml .docker/config.json; exit 0")
        for name, back in (("d", ".docker"), ("c", ".config"), ("p", "plain")):
            if os.path.isdir(os.path.join(ws, name)) and not os.path.exists(os.path.join(ws, back)):
                os.rename(os.path.join(ws, name), os.path.join(ws, back))
        return seen

    prove(anyone, None, ["ways"], run=attack, worked=lambda done: canary in done.out)
