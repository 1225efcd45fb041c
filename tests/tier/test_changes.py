# SPDX-License-Identifier: Apache-2.0
"""From a change set to the user's directory and back: ls, diff, apply, drop. Nothing of the user's may be lost."""
import json
import os
import stat
import subprocess

import pytest

from test_workspace import tree

SCRIPT = """
printf 'new line\\n' >> changed; echo added > added; rm removed; rm -r gone; mkdir -p new/deep; echo x > new/deep/x
ln -s changed link; chmod 755 mode; mv moved elsewhere; rm kind; mkdir kind; echo k > kind/k; printf 'a\\000b\\377' > binary
touch empty; mkdir emptydir; echo 'späce' > 'with space'
"""
FILES = {"changed": "old line\n", "removed": "r\n", "gone/a": "a\n", "gone/b/c": "c\n", "mode": "m\n", "moved": "v\n",
         "kind": "a file\n", "same": "s\n", "binary": "b\n"}


def content(top):
    return {name: (stat.S_IFMT(mode), data) for name, (mode, _, _, _, data) in tree(top).items()}


def expected(anyone, workspace, own):
    """What SCRIPT does to FILES without a sandbox."""
    ws = workspace(anyone, FILES)
    subprocess.run(["sh", "-c", SCRIPT], cwd=ws, check=True)
    return content(ws)


@pytest.fixture
def changed(anyone, sh, workspace):
    """A workspace, and SCRIPT run over it in a sandbox."""
    ws = workspace(anyone, FILES)
    r = sh(anyone, SCRIPT, "--workspace", ws)
    assert r.exit_code == 0, r
    return ws, r["changes"]["id"]


def test_end_to_end(anyone, changed, workspace, own):
    ws, change = changed
    before = tree(ws)
    table = anyone("ls").out
    assert change in table and "changes" in table
    row, = [row for row in json.loads(anyone("ls", "--json").out)["sandboxes"] if row["id"] == change]
    assert row["state"] == "changes" and row["workspace"] == ws and row["changes"]["deleted"] >= 3
    names = anyone("diff", change, "--list").out.splitlines()
    assert {"M changed", "A added", "D removed"} <= set(names)
    assert "+new line" in anyone("diff", "last").out and "changed" in anyone("diff", change, "--stat").out
    listed = json.loads(anyone("diff", change, "--json").out)
    assert listed
    p = anyone("apply", change, "--dry-run")
    assert p.code == 0 and "would apply" in p.out and tree(ws) == before
    p = anyone("apply", change)
    assert p.code == 0, p
    assert content(ws) == expected(anyone, workspace, own)
    assert stat.S_IMODE(os.stat(ws + "/mode").st_mode) == 0o755
    assert tree(ws)["same"] == before["same"]
    p = anyone("apply", change)
    assert p.code == 0, p    # again: all is as it should be
    assert content(ws) == expected(anyone, workspace, own)
    assert anyone("drop", change).code == 0
    assert anyone("diff", change).code == 125 and change not in anyone("ls").out


def test_the_diff_applies_with_git(anyone, sh, workspace, need_program):
    need_program("git")
    files = {"a": "1\n2\n3\n", "b": "no newline", "d/x y": "x\n", "d/z": "z\n"}
    ws, other = workspace(anyone, files), workspace(anyone, files)
    sh(anyone, "echo 4 >> a; printf 'still none' > b; rm 'd/x y'; echo new > n; chmod 755 n", "--workspace", ws)
    diff = anyone("diff", "last").out_bytes
    p = subprocess.run(["git", "apply"], input=diff, cwd=other, capture_output=True, check=False)
    assert p.returncode == 0, (p, diff)
    assert anyone("apply", "last").code == 0
    assert content(ws) == content(other)


def test_the_beginning_of_an_id_will_do(anyone, changed):
    _, change = changed
    assert anyone("diff", change[:6], "--list").code == 0
    assert anyone("diff", "zzzz").code == 125 and anyone("apply", "zzzz").code == 125 and anyone("drop", "zzzz").code == 125


# --- conflicts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what, name", [
    ("echo theirs > changed", "changed"),
    ("echo 'old lime' > changed", "changed"),                    # the same size
    ("echo theirs > added", "added"),
    ("ln -s /etc/passwd added", "added"),
    ("mkdir added", "added"),
    ("echo theirs > removed", "removed"),
    ("rm changed", "changed"),
    ("rm changed && mkdir changed", "changed"),
    ("rm changed && ln -s same changed", "changed"),
    ("echo more > gone/unseen", "gone"),
    ("echo theirs > gone/a", "gone"),
    ("chmod 600 mode", "mode"),
    ("echo theirs > kind", "kind"),
    ("rm -r gone && ln -s / gone", "gone"),
])
def test_conflicts_by_name(pinfold, sh, workspace, what, name):
    """What the user did meanwhile is named, nothing is written, and nothing of it is lost."""
    ws = workspace(pinfold, FILES)
    sh(pinfold, SCRIPT, "--workspace", ws)
    subprocess.run(["sh", "-c", what], cwd=ws, check=True)
    before = tree(ws)
    for args in (["apply", "last"], ["apply", "last", "--dry-run"]):
        p = pinfold(*args)
        assert p.code == 1 and f"conflict  {name}" in p.out.replace("conflict ", "conflict  ").replace("   ", "  "), p
        assert "--force" in p.err and tree(ws) == before
    # what is in no conflict can be had
    p = pinfold("apply", "last", "with space")
    assert p.code == 0 and open(ws + "/with space", encoding="utf-8").read() == "späce\n"


def test_conflict_as_anyone(anyone, changed):
    ws, _ = changed
    with open(ws + "/changed", "a") as f:
        f.write("theirs\n")
    before = tree(ws)
    p = anyone("apply", "last")
    assert p.code == 1 and "changed" in p.out and tree(ws) == before
    p = anyone("apply", "last", "--force")
    assert p.code == 0 and open(ws + "/changed").read() == "old line\nnew line\n"


def test_partial(anyone, changed):
    ws, _ = changed
    before = content(ws)
    p = anyone("apply", "last", "new", "added", ws + "/changed")
    assert p.code == 0, p
    after = content(ws)
    assert set(after) - set(before) == {"new", "new/deep", "new/deep/x", "added"} and after["changed"] != before["changed"]
    assert not set(before) - set(after)
    p = anyone("apply", "last", "no/such")
    assert p.code == 125 and "no/such" in p.err
    for bad in ("../x", "/etc/passwd"):
        assert anyone("apply", "last", bad).code == 125
    p = anyone("apply", "last")
    assert p.code == 0 and "gone" not in content(ws)


def test_a_file_changed_while_the_sandbox_ran(anyone, live, workspace):
    ws = workspace(anyone, {"a": "old\n", "b": "old\n"})
    run = live(anyone, "run", "-i", "--workspace", ws, "--", "sh", "-c", "echo inside > a; echo up; read x; echo inside > c",
               stdin=subprocess.PIPE)
    run.until("up\n")
    with open(ws + "/a", "w") as f:
        f.write("host\n")
    run.send("go\n")
    assert run.wait() == 0
    p = anyone("apply", "last")
    assert p.code == 1 and "conflict" in p.out and open(ws + "/a").read() == "host\n" and not os.path.exists(ws + "/c")


# --- attacks -----------------------------------------------------------------------------------------------


def test_links_lead_nowhere(anyone, sh, workspace):
    """A link that the sandbox made, then a change set that would go through it."""
    outside = workspace(anyone, {"victim": "mine\n"})
    ws = workspace(anyone, {"d/x": "x\n"})
    sh(anyone, f"rm -r d; ln -s {outside} d; ln -s {outside}/victim l", "--workspace", ws)
    assert anyone("apply", "last").code == 0
    assert os.readlink(ws + "/d") == outside and os.readlink(ws + "/l") == outside + "/victim"
    sh(anyone, f"rm d; mkdir d; echo evil > d/victim; rm l; echo evil > l; mkdir -p {outside} 2>/dev/null; true", "--workspace", ws)
    assert anyone("apply", "last").code == 0
    assert open(outside + "/victim").read() == "mine\n"
    assert open(ws + "/d/victim").read() == "evil\n" and open(ws + "/l").read() == "evil\n"


def test_a_directory_swapped_for_a_link(anyone, sh, workspace):
    """The host's directory becomes a link between run and apply."""
    outside = workspace(anyone, {"x": "mine\n"})
    ws = workspace(anyone, {"d/x": "x\n"})
    sh(anyone, "echo evil > d/x; echo evil > d/new", "--workspace", ws)
    os.rename(ws + "/d", ws + "/d2")
    os.symlink(outside, ws + "/d")
    for args in (["apply", "last"], ["apply", "last", "--force"]):
        anyone(*args)
        assert open(outside + "/x").read() == "mine\n" and os.listdir(outside) == ["x"], args


def test_the_workspace_swapped_for_a_link(anyone, sh, workspace):
    outside = workspace(anyone, {"a": "mine\n"})
    ws = workspace(anyone, {"a": "x\n"})
    sh(anyone, "echo evil > a", "--workspace", ws)
    os.rename(ws, ws + "-away")
    os.symlink(outside, ws)
    try:
        p = anyone("apply", "last")
        assert p.code != 0 and open(outside + "/a").read() == "mine\n"
    finally:
        os.unlink(ws)
        os.rename(ws + "-away", ws)


def test_special_files_and_modes(anyone, sh, workspace):
    """FIFOs and sockets are no business of a user's directory; nothing becomes set-user-id."""
    ws = workspace(anyone, {"a": "x"})
    r = sh(anyone, "mkfifo f; cp /usr/bin/id s; chmod 6755 s; chmod 000 a; mkdir closed; echo y > closed/y; chmod 000 closed;"
                   " python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'; echo z > z", "--workspace", ws)
    assert r.exit_code == 0 and r["changes"]["id"], r
    anyone("apply", "last")
    assert open(ws + "/z").read() == "z\n"
    if os.path.exists(ws + "/s"):
        assert stat.S_IMODE(os.stat(ws + "/s").st_mode) & 0o6000 == 0
    for name in ("f", "sock"):
        assert not os.path.lexists(ws + "/" + name) or stat.S_ISFIFO(os.lstat(ws + "/" + name).st_mode)
    if os.path.exists(ws + "/closed"):
        os.chmod(ws + "/closed", 0o700)
        assert open(ws + "/closed/y").read() == "y\n"


def test_names_with_control_bytes(anyone, sh, workspace):
    ws = workspace(anyone)
    r = anyone.result("--workspace", ws, "--", "python3", "-c",
                      "for n in (b'a\\033[2Jb', b'new\\nline', b'\\xff\\xfe', b'-rf', b' '):\n open(n, 'w').write('x')")
    assert r.exit_code == 0 and r["changes"]["added"] == 5
    for args in (["diff", "last", "--list"], ["diff", "last", "--stat"], ["ls"], ["apply", "last", "--dry-run"]):
        p = anyone(*args)
        assert p.code == 0 and b"\x1b" not in p.out_bytes, args
    assert anyone("apply", "last").code == 0
    assert sorted(os.listdir(os.fsencode(ws))) == sorted([b"a\033[2Jb", b"new\nline", b"\xff\xfe", b"-rf", b" "])


def test_a_large_change_set(anyone, sh, workspace):
    ws = workspace(anyone, {"big": b"0" * 3000000})
    r = sh(anyone, "mkdir -p d; cd d; seq 1 1000 | xargs touch; cd ..; head -c 6M /dev/urandom > blob; sha256sum blob;"
                   " printf x | dd of=big bs=1 seek=1500000 conv=notrunc 2>/dev/null", "--workspace", ws)
    assert r["changes"]["added"] == 1002 and r["changes"]["modified"] == 1
    assert anyone("apply", "last").code == 0
    import hashlib
    assert hashlib.sha256(open(ws + "/blob", "rb").read()).hexdigest() == r.stdout.split()[0]
    assert open(ws + "/big", "rb").read() == b"0" * 1500000 + b"x" + b"0" * 1499999
    assert len(os.listdir(ws + "/d")) == 1000


def test_changes_of_others_are_not_ours(as_user, pinfold, need_root, sh, workspace):
    ws = workspace(pinfold, {"a": "x"})
    r = sh(pinfold, "echo y > a", "--workspace", ws)
    assert as_user("apply", r["changes"]["id"]).code == 125
    assert as_user("apply", r["changes"]["id"], env={"PINFOLD_STATE": pinfold.state}).code == 125
    assert open(ws + "/a").read() == "x"


def test_last_is_the_newest(anyone, sh, workspace):
    ws = workspace(anyone)
    for i in range(3):
        sh(anyone, f"echo {i} > f{i}", "--workspace", ws)
    assert anyone("diff", "last", "--list").out == "A f2\n"
    ids = [row["id"] for row in json.loads(anyone("ls", "--json").out)["sandboxes"] if row["state"] == "changes"]
    assert len(ids) == 3 and anyone("drop", *ids).code == 0
    assert anyone("diff", "last").code == 125


def test_live_and_dead_in_ls(anyone, live, workspace, wait_for):
    ws = workspace(anyone)
    run = live(anyone, "run", "--workspace", ws, "--", "sh", "-c", "echo x > x; echo up; sleep 3600")
    run.until("up\n")

    def rows():
        return [row for row in json.loads(anyone("ls", "--json").out)["sandboxes"] if row["workspace"] == ws]

    row, = rows()
    assert row["state"] == "live" and "sleep 3600" in row["command"] and row["tier"] and row["pid"]
    os.kill(row["pid"], 9)
    run.wait()
    row, = rows()
    assert row["state"] == "dead" and "lost" in anyone("ls").out
    wait_for(lambda: anyone.sweep().code == 0 and not rows(), "the sweep")
    assert os.listdir(ws) == []
