# SPDX-License-Identifier: Apache-2.0
"""The user's directory inside: where it is, what of it is seen, what is never touched."""
import os
import stat
import subprocess

import pytest


def tree(top):
    found = {}
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(at, name)
            info = os.lstat(path)
            content = os.readlink(path) if stat.S_ISLNK(info.st_mode) else \
                open(path, "rb").read() if stat.S_ISREG(info.st_mode) else None
            found[os.path.relpath(path, top)] = (info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, content)
    return found


def test_cow(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "old\n", "gone": "x", "dir/x": "y", "run": ("#!/bin/sh\necho run\n", 0o755)})
    before = tree(ws)
    r = sh(anyone, "cat a; echo new > a; rm gone; mv dir dir2; mkdir n; ln -s a l; ./run; chmod 600 run; cat a dir2/x; ls",
           "--workspace", ws)
    assert r.stdout == "old\nrun\nnew\nya\ndir2\nl\nn\nrun\n"
    assert tree(ws) == before
    changes = r["changes"]
    assert changes["id"] and changes["added"] >= 3 and changes["modified"] >= 2 and changes["deleted"] >= 2


def test_nothing_changed_nothing_kept(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "x"})
    r = sh(anyone, "cat a > /dev/null; touch new; rm new", "--workspace", ws)
    changes = r["changes"]
    assert changes["id"] is None and changes["added"] == changes["modified"] == changes["deleted"] == 0
    assert "changes" not in anyone("ls").out


def test_without_a_workspace_there_are_no_changes(anyone, sh):
    assert sh(anyone, "true")["changes"] is None


def test_rm_keeps_nothing(anyone, sh, workspace):
    ws = workspace(anyone)
    r = sh(anyone, "touch new", "--workspace", ws, "--rm")
    assert r["changes"] is None and anyone("diff", "last").code == 125


def test_ro(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "x\n", "d/b": "y"})
    before = tree(ws)
    r = sh(anyone, "cat a; for f in a new d/new; do (: > $f) 2>/dev/null && echo WROTE $f; done; rm a 2>/dev/null && echo RM;"
                   " chmod 777 a 2>/dev/null && echo CHMOD; mkdir e 2>/dev/null && echo MKDIR; true", "--workspace", ws + ":ro")
    assert (r.stdout, r["changes"], tree(ws)) == ("x\n", None, before)


def test_at_another_path(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "x\n"})
    for mode in ("", ":cow", ":ro"):
        r = sh(anyone, f"pwd; cat a; ls -d {ws} 2>/dev/null; true", "--workspace", f"{ws}{mode}:path=/work/it")
        assert r.stdout == "/work/it\nx\n", mode


def test_relative_path_and_link(anyone, sh, workspace):
    ws = workspace(anyone, {"sub/a": "x\n", "sub/deep/b": ""})
    os.symlink("sub", ws + "/link")
    r = sh(anyone, "pwd; cat a", "--workspace", ".", cwd=ws + "/sub")
    assert r.stdout == f"{ws}/sub\nx\n"
    r = sh(anyone, "cat a", "--workspace", ws + "/link")
    assert r.stdout == "x\n"
    assert sh(anyone, "cat ../a 2>/dev/null || echo no", "--workspace", "deep", cwd=ws + "/sub").stdout == "no\n"


@pytest.mark.parametrize("name", ["with space", "new\nline", "quote'\"$(x)`", "-dash", "ünïcode", "colon:ro", "comma,a=b\\c", "%s%n"])
def test_names(anyone, sh, workspace, own, name):
    ws = os.path.join(workspace(anyone), name)
    os.mkdir(ws)
    with open(os.path.join(ws, name), "w") as f:
        f.write("x\n")
    own(anyone, ws)
    if ":" in name:
        # the last colon separates a mode; a path with one can be given in a policy
        policy = os.path.join(os.path.dirname(ws), "p.json")
        import json
        with open(policy, "w") as f:
            json.dump({"workspace": {"path": ws}}, f)
        os.chmod(policy, 0o644)
        options = ["--policy", policy]
    else:
        options = ["--workspace", ws]
    r = sh(anyone, 'cat "./$1"; echo new > "./$1"; echo y > "./$1 2"; pwd', *options, "--env", "X=1") if False else \
        anyone.result(*options, "--", "sh", "-c", 'cat "./$1"; echo new > "./$1"; echo y > "./$1 2"; pwd', "sh", name)
    assert r.stdout == f"x\n{ws}\n" and r["changes"]["added"] == r["changes"]["modified"] == 1
    p = anyone("apply", "last")
    assert p.code == 0, p
    assert {n: open(os.path.join(ws, n)).read() for n in os.listdir(ws)} == {name: "new\n", name + " 2": "y\n"}


def test_below_tmp(anyone, sh, tmp_path_factory):
    """/tmp inside is empty, but for a workspace that lies there."""
    import shutil
    import tempfile
    ws = tempfile.mkdtemp(prefix="pf-ws-", dir="/tmp")
    try:
        os.chmod(ws, 0o755)
        with open(ws + "/a", "w") as f:
            f.write("x\n")
        if anyone.prefix:
            subprocess.run(["chown", "-R", "12345:12345", ws], check=True)
        r = sh(anyone, "pwd; cat a; ls -A /tmp; echo t > /tmp/t; echo n > n; cat /tmp/t n", "--workspace", ws)
        assert r.stdout == f"{ws}\nx\n{os.path.basename(ws)}\nt\nn\n"
        assert os.listdir(ws) == ["a"]
    finally:
        shutil.rmtree(ws)


def test_git_works(anyone, sh, workspace, need_program):
    """No dubious ownership, no lock that is left, a commit inside."""
    need_program("git")
    ws = workspace(anyone, {"a": "one\n"})
    git = [*anyone.prefix, "git", "-c", "safe.directory=*", "-c", "user.name=t", "-c", "user.email=t@t", "-C", ws]
    env = anyone.environment()
    for args in (["init", "-q", "-b", "main"], ["add", "a"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *args], check=True, env=env, cwd="/")
    script = ("git status --porcelain && echo two >> a && git diff --stat && git -c user.name=t -c user.email=t@t commit -qam second"
              " && git log --oneline | wc -l && git status --porcelain && git fsck 2>/dev/null && echo ok")
    r = sh(anyone, script, "--workspace", ws)
    assert r.exit_code == 0 and "dubious" not in r.stderr and r.stdout.endswith("2\nok\n"), r
    assert subprocess.run([*git, "log", "--oneline"], capture_output=True, env=env, cwd="/", check=True).stdout.count(b"\n") == 1
    p = anyone("apply", "last")
    assert p.code == 0, p
    assert subprocess.run([*git, "log", "--oneline"], capture_output=True, env=env, cwd="/", check=True).stdout.count(b"\n") == 2
    assert subprocess.run([*git, "status", "--porcelain"], capture_output=True, env=env, cwd="/", check=True).stdout == b""


def test_owners(anyone, sh, workspace):
    """The owner of the workspace is the command's user; what it makes belongs to that owner again after apply."""
    ws = workspace(anyone, {"a": "x", "d/b": "y"})
    r = sh(anyone, "stat -c '%u %g' . a d d/b; echo n > new; mkdir nd; echo n > nd/f; echo c > a; chmod 640 new", "--workspace", ws)
    assert r.stdout == "1000 1000\n" * 4
    assert anyone("apply", "last").code == 0
    owner = os.stat(ws).st_uid, os.stat(ws).st_gid
    for name in ("a", "new", "nd", "nd/f"):
        info = os.stat(os.path.join(ws, name))
        assert (info.st_uid, info.st_gid) == owner, name
    assert stat.S_IMODE(os.stat(ws + "/new").st_mode) == 0o640


def test_root_with_a_workspace_of_a_user(pinfold, need_root, sh, workspace):
    ws = workspace(pinfold, {"a": "x", "d/b": "y"})
    subprocess.run(["chown", "-R", "12345:12346", ws], check=True)
    r = sh(pinfold, "stat -c '%u %g' . a; echo n > new; echo c > a; id -u", "--workspace", ws)
    assert r.stdout == "1000 1000\n1000 1000\n1000\n"
    assert pinfold("apply", "last").code == 0
    for name in ("a", "new"):
        info = os.stat(os.path.join(ws, name))
        assert (info.st_uid, info.st_gid) == (12345, 12346), name


def test_files_of_others(pinfold, need_root, sh, workspace):
    """They appear as nobody's, cannot be changed, and are counted."""
    ws = workspace(pinfold, {"mine": "x", "theirs": "y"})
    os.chown(ws + "/theirs", 4321, 4321)
    r = sh(pinfold, "stat -c %u mine theirs; (echo z > theirs) 2>/dev/null || echo no; cat theirs", "--workspace", ws)
    assert r.stdout == "1000\n65534\nno\ny"
    assert r["receipt"]["foreign_owned"] == 1


def test_user_root_owns_the_workspace_too(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "x"})
    r = sh(anyone, "stat -c %u . a; echo n > new; stat -c %u new", "--workspace", ws, "--user", "root")
    assert r.stdout == "0\n0\n0\n"
    assert anyone("apply", "last").code == 0
    assert os.stat(ws + "/new").st_uid == os.stat(ws).st_uid


def test_sockets_of_the_workspace_lead_nowhere(anyone, sh, workspace):
    import socket
    ws = workspace(anyone)
    where = ws + "/s"
    server = socket.socket(socket.AF_UNIX)
    os.chdir("/")
    server.bind(where)
    server.listen()
    os.chmod(where, 0o777)
    try:
        code = ("import socket\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(5)\ntry:\n s.connect('s')\n print('CONNECTED')\n"
                "except OSError as e:\n print('refused')")
        for mode in ("", ":ro"):
            r = anyone.result("--workspace", ws + mode, "--", "python3", "-c", code)
            assert r.stdout == "refused\n", (mode, r)
    finally:
        server.close()


def test_fifos_of_the_workspace_lead_nowhere(anyone, sh, workspace):
    """A FIFO of the host's directory is another one inside: nothing passes."""
    ws = workspace(anyone)
    os.mkfifo(ws + "/f", 0o666)
    os.chmod(ws + "/f", 0o666)
    fd = os.open(ws + "/f", os.O_RDONLY | os.O_NONBLOCK)
    try:
        code = "import os; os.write(os.open('f', os.O_WRONLY | os.O_NONBLOCK), b'out')"
        for mode in (":ro", ""):
            anyone.result("--workspace", ws + mode, "--", "python3", "-c", code)
        got = b""
        try:
            got = os.read(fd, 100)
        except BlockingIOError:
            pass
        assert got == b""
    finally:
        os.close(fd)


# --- secrets and protected paths -----------------------------------------------------------------------


SECRETS = {".env": "KEY=1", "sub/.env": "KEY=2", "sub/deep/.env.local": "KEY=3", "server.pem": "KEY=4", ".ssh/id_rsa": "KEY=5",
           "sub/.env.example": "shown", "other": "shown"}


def test_secrets_are_not_shown(anyone, sh, workspace):
    ws = workspace(anyone, SECRETS)
    before = tree(ws)
    for mode in ("", ":ro"):
        r = sh(anyone, "find . -type f | sort; grep -r KEY . ; true", "--workspace", ws + mode)
        assert "KEY" not in r.stdout, mode
        assert sorted(r.stdout.split()) == ["./other", "./sub/.env.example"], mode
    assert tree(ws) == before and "KEY" not in anyone("diff", "last").out


def test_a_plain_secret_that_appears_later(anyone, live, workspace):
    ws = workspace(anyone, {"a": "x"})
    script = "echo up; read x; cat .env 2>/dev/null; ls -A | grep env; echo end"
    run = live(anyone, "run", "-i", "--workspace", ws, "--", "sh", "-c", script, stdin=subprocess.PIPE)
    run.until("up\n")
    with open(ws + "/.env", "w") as f:
        f.write("KEY=later\n")
    os.chmod(ws + "/.env", 0o644)
    run.send("go\n")
    assert run.wait() == 0
    assert run.text() == b"up\nend\n"
    assert open(ws + "/.env").read() == "KEY=later\n"


def test_secrets_of_a_policy(anyone, sh, workspace):
    ws = workspace(anyone, {"token.txt": "KEY", "deep/er/x.secret": "KEY", "deep/y.secret": "KEY", ".env": "shown"})
    policy = workspace(anyone, {"p.json": '{"secrets": {"mask": ["token.txt", "**/*.secret", "no/such/dir/file"]}}'}) + "/p.json"
    r = sh(anyone, "find . -type f | sort", "--workspace", ws, "--policy", policy)
    assert r.stdout == "./.env\n"
    assert any("no/such/dir/file" in u for u in r["receipt"]["unprotected"]), r["receipt"]["unprotected"]


def test_own_files_of_a_secrets_name(anyone, sh, workspace):
    """The command may make a file of that name; the user's is not lost by an apply."""
    ws = workspace(anyone, {".env": "KEY=host\n", "a": "x"})
    r = sh(anyone, "echo INSIDE > .env; cat .env; echo y > b", "--workspace", ws)
    assert "KEY" not in r.stdout
    anyone("apply", "last")
    assert open(ws + "/.env").read() == "KEY=host\n"


def test_protected_paths(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "x", ".git/config": "[core]\n", ".git/hooks/pre-commit.sample": ""})
    before = tree(ws)
    r = sh(anyone, "echo evil > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; echo '[alias]' >> .git/config;"
                   " mkdir -p .vscode; echo {} > .vscode/tasks.json; echo y > a; echo fine > b", "--workspace", ws)
    assert r.exit_code == 0, r.stderr
    assert '"protected": true' in anyone("diff", "last", "--json").out
    p = anyone("apply", "last")
    assert p.code == 1 and "protected .git/hooks/pre-commit" in p.out and "protected .git/config" in p.out
    assert ".vscode" in p.out and "--allow-protected" in p.err and tree(ws) == before
    p = anyone("apply", "last", "a", "b")
    assert p.code == 0 and open(ws + "/a").read() == "y\n" and open(ws + "/b").read() == "fine\n"
    assert not os.path.exists(ws + "/.git/hooks/pre-commit")
    p = anyone("apply", "last", "--allow-protected")
    assert p.code == 0 and open(ws + "/.git/hooks/pre-commit").read() == "evil\n"


def test_a_place_within_what_is_read_only(anyone, workspace):
    """The same words each time, whoever of the two notices first that the other has given up."""
    ws = workspace(anyone, {"f": "x"})
    errors = {anyone.result("--workspace", ws + ":path=/usr/x", "--", "true").error for _ in range(12)}
    assert len(errors) == 1 and "read-only" in errors.pop(), errors


def test_an_unknown_mode(anyone, workspace):
    ws = workspace(anyone, {"f": "x"})
    r = anyone.result("--workspace", ws + ":rx", "--", "true")
    assert (r.cause, r.code) == ("error", 125) and "rw,live" in r.error
