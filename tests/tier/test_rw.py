# SPDX-License-Identifier: Apache-2.0
"""Changes that go into the workspace by themselves: mode rw, --apply, and rw,live, which is the directory itself."""
import json
import os
import shutil
import socket
import subprocess

import pytest

from test_workspace import tree

NEVER = "sleep 3600"


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as f:
        return f.read()


def applied(result):
    """(state, entries, what was held back) of a result, with no conflict and no reason."""
    a = result["changes"]["applied"]
    assert a["conflicts"] == [] and a["why"] is None, a
    return a["state"], a["entries"], a["protected"]


@pytest.fixture
def steps(built):
    """steps(who, options, step...): see steps.c. The results, and the changes that the end left."""

    def run(who, options, *words):
        program = built("steps")
        if who.prefix:
            program = shutil.copy(program, os.path.join(os.path.dirname(who.program), "steps"))
        libexec = os.path.join(os.path.dirname(who.program), "libexec/pinfold")
        tier = os.environ.get("PF_TIER") or "auto"
        argv = [*who.prefix, program, who.state, who.runtime, libexec, f"tier={tier}", *options, "--", *words]
        p = subprocess.run(argv, env=who.environment(), cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=60, check=False)
        assert p.returncode == 0, f"{p.returncode}\n{p.stdout}{p.stderr}"
        lines = [json.loads(line) for line in p.stdout.splitlines()]
        assert lines[-1]["error"] is None, lines[-1]
        return lines[:-1], lines[-1]["changes"]

    return run


# --- rw ---------------------------------------------------------------------------------------


def test_rw(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "old\n", "gone": "x", "d/x": "y"})
    r = sh(anyone, "cat a; echo new > a; rm gone; mkdir n; echo f > n/f; ln -s a l; exit 3", "--workspace", ws + ":rw")
    assert (r.stdout, r.exit_code, r.code) == ("old\n", 3, 3)
    assert applied(r) == ("all", 5, []) and r["changes"]["id"] is None
    assert r["changes"]["added"] == 3 and r["changes"]["modified"] == 1 and r["changes"]["deleted"] == 1
    assert read(ws, "a") == "new\n" and read(ws, "n/f") == "f\n" and os.readlink(ws + "/l") == "a"
    assert sorted(os.listdir(ws)) == ["a", "d", "l", "n"]
    assert os.stat(ws + "/n/f").st_uid == os.stat(ws).st_uid
    assert r["receipt"]["workspace"]["mode"] == "rw"
    assert "changes" not in anyone("ls").out


def test_rw_without_a_change(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "x"})
    before = tree(ws)
    r = sh(anyone, "cat a; touch b; rm b", "--workspace", ws + ":rw")
    assert applied(r) == ("all", 0, []) and tree(ws) == before
    assert "applied" not in r.err


@pytest.mark.parametrize("script,cause", [(f"echo half > f; {NEVER}", "timeout"), ("echo half > f; kill -9 $$", "signalled")])
def test_rw_however_it_ends(anyone, sh, workspace, script, cause):
    """What a command wrote is there, as it would be without a sandbox."""
    ws = workspace(anyone)
    r = sh(anyone, script, "--workspace", ws + ":rw", "--timeout", "500ms")
    assert r.cause == cause and applied(r) == ("all", 1, []) and read(ws, "f") == "half\n"


def test_rw_command_that_is_not_there(anyone, workspace):
    ws = workspace(anyone)
    r = anyone.result("--workspace", ws + ":rw", "--", "no-such-command")
    assert (r.exit_code, r.code) == (127, 127) and os.listdir(ws) == []


def change(path, text):
    """Write it so that its time is later than any from before (clocks of file systems are coarse)."""
    with open(path + ".t", "w", encoding="utf-8"):
        before = os.stat(path + ".t").st_ctime_ns
    os.unlink(path + ".t")
    while os.stat(path).st_ctime_ns <= before:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


def conflicted(who, live, ws, *options):
    """A run that changes what we change meanwhile. Its end as (code, stderr)."""
    run = live(who, "run", *options, "-i", "--", "sh", "-c", "echo up; read x; echo in > f; echo in > g", stdin=subprocess.PIPE)
    run.until("up\n")
    change(ws + "/f", "mine\n")
    run.send("go\n")
    code = run.wait()
    return code, run.text("err").decode()


def test_rw_conflict(anyone, live, workspace):
    ws = workspace(anyone, {"f": "old\n"})
    code, err = conflicted(anyone, live, ws, "--workspace", ws + ":rw")
    assert code == 125 and "NOT applied" in err and "conflicts: f: " in err and "--force" in err
    assert read(ws, "f") == "mine\n" and os.listdir(ws) == ["f"]
    assert anyone("apply", "last", "--force").code == 0
    assert read(ws, "f") == "in\n" and read(ws, "g") == "in\n"


def test_rw_conflict_is_told_quietly_too(anyone, live, workspace):
    ws = workspace(anyone, {"f": "old\n"})
    code, err = conflicted(anyone, live, ws, "--quiet", "--workspace", ws + ":rw")
    assert code == 125 and "NOT applied" in err


def test_rw_conflict_with_rm(anyone, live, workspace):
    ws = workspace(anyone, {"f": "old\n"})
    code, err = conflicted(anyone, live, ws, "--rm", "--workspace", ws + ":rw")
    assert code == 125 and "NOT applied" in err and "--rm: what was not applied is not kept" in err and "pinfold apply" not in err
    assert anyone("diff", "last").code != 0


def test_rw_holds_protected_paths_back(anyone, sh, workspace):
    ws = workspace(anyone, {".git/config": "[core]\n", ".git/hooks/sample": "s", "a": "x"})
    r = sh(anyone, "echo evil > .git/hooks/pre-commit; echo x >> .git/config; echo i > .git/index; echo y > a; mkdir .vscode;"
                   " echo {} > .vscode/tasks.json", "--workspace", ws + ":rw")
    state, entries, held = applied(r)
    assert (state, entries, r.code) == ("some", 2, 0)
    assert {".git/hooks/pre-commit", ".git/config", ".vscode", ".vscode/tasks.json"} == set(held)
    assert read(ws, "a") == "y\n" and read(ws, ".git/index") == "i\n" and read(ws, ".git/config") == "[core]\n"
    assert not os.path.exists(ws + "/.git/hooks/pre-commit") and not os.path.exists(ws + "/.vscode")
    change = r["changes"]["id"]
    names = anyone("diff", change, "--list").out
    assert "pre-commit" in names and "index" not in names
    assert anyone("apply", change, "--allow-protected").code == 0
    assert read(ws, ".git/hooks/pre-commit") == "evil\n" and os.path.exists(ws + "/.vscode/tasks.json")


def test_rw_does_not_touch_hidden_files(anyone, sh, workspace):
    ws = workspace(anyone, {".env": "KEY=host\n", "a": "x"})
    r = sh(anyone, "cat .env 2>/dev/null; echo INSIDE > .env; echo y > b", "--workspace", ws + ":rw")
    assert r.stdout == "" and read(ws, ".env") == "KEY=host\n" and read(ws, "b") == "y\n"
    assert applied(r) == ("some", 1, [".env"])


# --- --apply ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 3])
def test_apply_at_the_end(anyone, sh, workspace, code):
    """Whatever the code says: a failed test run may have written what it was asked for."""
    ws = workspace(anyone, {"a": "old\n"})
    r = sh(anyone, f"echo new > a; echo b > b; exit {code}", "--workspace", ws, "--apply")
    assert (r.exit_code, r.code) == (code, code) and applied(r) == ("all", 2, []) and r["changes"]["id"] is None
    assert read(ws, "a") == "new\n" and read(ws, "b") == "b\n"


def test_apply_not_after_a_kill(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "old\n"})
    r = sh(anyone, f"echo half > a; {NEVER}", "--workspace", ws, "--apply", "--timeout", "500ms")
    assert r.code == 124 and read(ws, "a") == "old\n"
    a = r["changes"]["applied"]
    assert a["state"] == "none" and "timeout" in a["why"] and r["changes"]["id"]
    assert anyone("apply", r["changes"]["id"]).code == 0 and read(ws, "a") == "half\n"


def test_apply_says_what_it_did(anyone, workspace):
    ws = workspace(anyone, {".git/hooks/x": "x"})
    p = anyone.run("--workspace", ws, "--apply", "--", "sh", "-c", "echo a > a; echo evil > .git/hooks/post-merge")
    assert p.code == 0 and "applied in part" in p.err and "held back, because protected: .git/hooks/post-merge" in p.err
    assert "--allow-protected" in p.err
    p = anyone.run("--workspace", ws, "--apply", "--", "sh", "-c", "echo b > b")
    assert p.code == 0 and p.err.splitlines() == ["pinfold: applied: 1 added"]


@pytest.mark.parametrize("options", [[], ["--workspace", "WS:ro"], ["--workspace", "WS:rw,live"]])
def test_apply_of_nothing_is_refused(anyone, workspace, options):
    ws = workspace(anyone)
    p = anyone.run("--apply", *[o.replace("WS", ws) for o in options], "--", "true")
    assert p.code == 125 and "--apply needs" in p.err


# --- sessions -----------------------------------------------------------------------------------


def test_many_commands(anyone, steps, workspace):
    """Each sees what the ones before it wrote, and what the user did in between, and is applied by itself."""
    ws = workspace(anyone, {"a": "a\n"})
    done, left = steps(anyone, [f"workspace={ws}:rw"], "echo 1 > one; cat a",
                       f"host cd {ws} && test \"$(cat one)\" = 1 && echo host > h",
                       "cat one h; echo 2 >> one; rm a; mkdir d; echo f > d/f", "cat d/f; ls; true", "rm -r d; echo 3 >> one; echo more >> h",
                       "cat one h")
    assert [d["stdout"] for d in done] == ["a\n", "1\nhost\n", "f\nd\nh\none\n", "", "1\n2\n3\nhost\nmore\n"]
    assert [applied(d)[:2] for d in done] == [("all", 1), ("all", 4), ("all", 0), ("all", 4), ("all", 0)]
    assert left is None and sorted(os.listdir(ws)) == ["h", "one"] and read(ws, "one") == "1\n2\n3\n"


def test_many_commands_and_git(anyone, steps, workspace, need_program):
    need_program("git")
    ws = workspace(anyone, {"a": "a\n"})
    git = "git -c user.name=t -c user.email=t@t"
    done, _ = steps(anyone, [f"workspace={ws}:rw"], f"{git} init -q -b main .", f"{git} add a && {git} commit -qm one && {git} log --oneline | wc -l",
                    f"echo b > b && {git} add b && {git} commit -qm two && {git} status --porcelain && {git} fsck 2>&1 && {git} log --oneline | wc -l")
    assert done[0]["changes"]["applied"]["state"] == "some"     # its hooks and config are for the user to take
    assert [d["exit_code"] for d in done] == [0, 128, 128] or [d["exit_code"] for d in done] == [0, 0, 0], done


def test_a_conflict_does_not_end_the_session(anyone, steps, workspace):
    ws = workspace(anyone, {"f": "old\n"})
    done, left = steps(anyone, [f"workspace={ws}:rw"],
                       f"start echo up; while [ ! -e {ws}/go ]; do if read x < f && [ \"$x\" = mine ]; then break; fi; sleep 0.02; done; echo in > f",
                       f"host cd {ws} && : > t && until [ f -nt t ]; do echo mine > f; done; rm t", "wait", "cat f; echo fine > g", "cat g")
    first = done[0]["changes"]["applied"]
    assert first["state"] == "none" and "f: " in first["conflicts"][0] and done[0]["changes"]["id"]
    assert [d["stdout"] for d in done[1:]] == ["mine\n", "fine\n"] and left is None
    assert read(ws, "f") == "mine\n" and read(ws, "g") == "fine\n"
    assert anyone("apply", done[0]["changes"]["id"], "--force").code == 0 and read(ws, "f") == "in\n"


def test_others_still_run(pinfold, steps, workspace, holds):
    """Then the apply waits for the end of the last of them."""
    if not holds(pinfold, "memory"):
        pytest.skip("one command at a time without control groups")
    ws = workspace(pinfold)
    done, left = steps(pinfold, [f"workspace={ws}:rw"], "start echo A > a; echo up; while [ ! -e b ]; do sleep 0.02; done; echo A2 >> a",
                       "start echo B > c; echo up; cat a; while [ ! -e d ]; do sleep 0.02; done",
                       f"start echo x > b; echo up", "wait", "start echo x > d; echo up", "wait", "wait", "wait", "cat a b c d")
    states = [d["changes"]["applied"]["state"] for d in done]
    assert sorted(states[:-1]) == ["all", "pending", "pending", "pending"] and states[-1] == "all", states
    assert done[-1]["stdout"] == "A\nA2\nx\nB\nx\n" and left is None
    assert sorted(os.listdir(ws)) == ["a", "b", "c", "d"]


def test_killed_and_ended(anyone, steps, workspace):
    ws = workspace(anyone)
    done, left = steps(anyone, [f"workspace={ws}:rw"], f"start echo k > killed; echo up; {NEVER}", "kill", "cat killed",
                       f"start echo e > ended; echo up; {NEVER}")
    assert done[0]["cause"] == "killed" and applied(done[0]) == ("all", 1, []) and done[1]["stdout"] == "k\n"
    assert left is None and read(ws, "ended") == "e\n"


def test_secrets_stay_hidden(anyone, steps, workspace):
    """Also where the user made one between two commands, and where a command makes one itself."""
    ws = workspace(anyone, {".env": "KEY=1\n", "d/x": ""})
    done, _ = steps(anyone, [f"workspace={ws}:rw"], "cat .env; echo a > a", f"host echo KEY=2 > {ws}/d/.env; chmod 644 {ws}/d/.env",
                    "echo b > b", "cat .env d/.env; ls -A . d; echo MADE > new.pem; cat new.pem", "cat new.pem d/.env .env")
    assert not any("KEY" in d["stdout"] for d in done) and done[2]["stdout"].endswith("MADE\n")
    assert read(ws, ".env") == "KEY=1\n" and read(ws, "d/.env") == "KEY=2\n" and done[3]["stdout"] == ""


def test_the_directory_is_replaced(anyone, steps, workspace):
    """A session works on one directory: another one of the same name gets nothing."""
    ws = workspace(anyone, {"a": "a\n"})
    top = os.path.dirname(ws)
    other = ws + ".other"
    os.chmod(top, 0o777)
    try:
        done, _ = steps(anyone, [f"workspace={ws}:rw"], f"start echo x > new; echo up; {NEVER}", f"host mv {ws} {other} && mkdir {ws}", "kill")
    finally:
        os.chmod(top, 0o755)
        shutil.rmtree(other, ignore_errors=True)
    assert done[0]["changes"]["applied"]["state"] == "none" and done[0]["changes"]["applied"]["why"]
    assert os.listdir(ws) == []


def test_every_command_is_confined_alike(anyone, steps, workspace):
    """A fresh workspace changes nothing of the wall: nothing of the host appears, and the root stays closed."""
    ws = workspace(anyone, {"a": "x"})
    look = "cat /proc/self/mountinfo | cut -d' ' -f5,6 | sort; touch /x /usr/x 2>/dev/null; echo w > w$$; grep -E 'Cap|NoNewPrivs|Seccomp' /proc/self/status"
    done, _ = steps(anyone, [f"workspace={ws}:rw"], look, look, look)
    assert done[0]["stdout"] == done[1]["stdout"] == done[2]["stdout"]


# --- rw,live --------------------------------------------------------------------------------------


def test_live(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "old\n", "d/x": "y", "run": ("#!/bin/sh\necho run\n", 0o755)})
    r = sh(anyone, "cat a; echo new > a; echo n > n; mv d e; ./run; rm run; pwd", "--workspace", ws + ":rw,live")
    assert r.stdout == f"old\nrun\n{ws}\n" and r["changes"] is None, r
    assert read(ws, "a") == "new\n" and sorted(os.listdir(ws)) == ["a", "e", "n"]
    assert (os.stat(ws + "/n").st_uid, os.stat(ws + "/n").st_gid) == (os.stat(ws).st_uid, os.stat(ws).st_gid)
    assert r["receipt"]["workspace"] == {"mode": "rw,live", "upper": None, "lower": r["receipt"]["workspace"]["lower"]}
    assert "disk" in {u["limit"] for u in r["receipt"]["unenforced"]}


def test_live_both_ways_at_once(anyone, live, workspace):
    ws = workspace(anyone, {"a": "x"})
    run = live(anyone, "run", "-i", "--workspace", ws + ":rw,live", "--", "sh", "-c", "echo in > in; echo up; read x; cat out", stdin=subprocess.PIPE)
    run.until("up\n")
    assert read(ws, "in") == "in\n"
    with open(ws + "/out", "w", encoding="utf-8") as f:
        f.write("from outside\n")
    os.chmod(ws + "/out", 0o644)
    run.send("go\n")
    assert run.wait() == 0 and run.text() == b"up\nfrom outside\n"


def test_live_creates_nothing(anyone, sh, workspace):
    """Not a mount point for what is protected and absent, and no time of a directory changes."""
    ws = workspace(anyone, {"a": "x", ".git/config": "[core]\n", ".env": "KEY", "d/.vscode/x": "y"})
    before = tree(ws)
    sh(anyone, "ls -R > /dev/null", "--workspace", ws + ":rw,live")
    assert tree(ws) == before


def test_live_hides_and_protects(anyone, sh, workspace):
    ws = workspace(anyone, {".env": "KEY=1", "sub/.env": "KEY=2", "k.pem": "KEY=3", ".git/config": "[core]\n", ".git/hooks/s": "s",
                            "sub/.vscode/tasks.json": "{}", "a": "x"})
    before = tree(ws)
    script = ("cat .env sub/.env k.pem; mv sub other; cat other/.env; for f in .env .git/config .git/hooks/s .git/hooks/new other/.vscode/tasks.json"
              " other/.vscode/x; do echo evil > $f; rm -f $f; mv $f y; ln $f z; done 2>/dev/null; mv .git .gone; mv .git/hooks .git/h; rm -rf .git other/.vscode;"
              " rmdir .git/hooks; mv other sub; true")
    r = sh(anyone, script, "--workspace", ws + ":rw,live")
    assert r.exit_code == 0 and "KEY" not in r.stdout
    after = tree(ws)
    for name in (".env", "sub/.env", "k.pem", ".git/config", ".git/hooks/s", "sub/.vscode/tasks.json"):
        assert after[name] == before[name], name
    assert not [n for n in after if "evil" in str(after[n][4])], after
    unprotected = "\n".join(r["receipt"]["unprotected"])
    assert "protect: .github/workflows: does not exist yet" in unprotected and "rw,live" in unprotected


def test_live_git_works(anyone, sh, workspace, need_program):
    need_program("git")
    ws = workspace(anyone, {"a": "one\n"})
    git = ["git", "-c", "safe.directory=*", "-c", "user.name=t", "-c", "user.email=t@t", "-C", ws]
    subprocess.run([*anyone.prefix, *git, "init", "-q", "-b", "main"], check=True, env=anyone.environment(), cwd="/")
    r = sh(anyone, "git add a && git -c user.name=t -c user.email=t@t commit -qm one && git branch x && git log --oneline | wc -l && git status --porcelain"
                   "; git config a.b c 2>/dev/null || echo refused", "--workspace", ws + ":rw,live")
    assert r.stdout == "1\nrefused\n", r
    out = subprocess.run([*anyone.prefix, *git, "log", "--oneline"], capture_output=True, env=anyone.environment(), cwd="/", check=True)
    assert out.stdout.count(b"\n") == 1


def test_live_sockets_lead_nowhere(anyone, workspace):
    ws = workspace(anyone, {"d/x": ""})
    servers = []
    for where in ("s", "d/t"):
        server = socket.socket(socket.AF_UNIX)
        os.chdir(ws)
        server.bind(where)
        server.listen()
        os.chmod(os.path.join(ws, where), 0o777)
        servers.append(server)
    os.chdir("/")
    try:
        code = ("import socket\nfor n in ('s', 'd/t'):\n s = socket.socket(socket.AF_UNIX)\n s.settimeout(5)\n try:\n  s.connect(n)\n  print('CONNECTED')\n"
                " except OSError as e:\n  print('refused')")
        r = anyone.result("--workspace", ws + ":rw,live", "--", "python3", "-c", code)
        assert r.stdout == "refused\nrefused\n", r
    finally:
        for server in servers:
            server.close()


def test_live_has_no_disk_limit(anyone, sh, workspace):
    ws = workspace(anyone)
    r = sh(anyone, "echo ran", "--workspace", ws + ":rw,live", "--disk", "10M")
    assert (r.cause, r.code, r.stdout) == ("boundary", 125, "") and "rw,live" in r.error


def test_live_at_another_path(anyone, sh, workspace):
    ws = workspace(anyone, {".env": "KEY", ".git/config": "x\n", "a": "x\n"})
    r = sh(anyone, "pwd; cat a .env; echo n > n; echo e > .git/config; mv .git b; true", "--workspace", ws + ":rw,live:path=/work/it")
    assert r.stdout == "/work/it\nx\n" and read(ws, "n") == "n\n" and read(ws, ".git/config") == "x\n"
