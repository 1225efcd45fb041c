# SPDX-License-Identifier: Apache-2.0
"""What a person meets on the command line: nothing of a change set goes unsaid, and what is refused says what to do."""
import json
import os
import signal
import subprocess

import pytest


@pytest.fixture
def tree(workspace):
    """tree(who, *options, script): a run over a workspace with a secret; the id of its change set."""

    def run(who, script, **files):
        ws = workspace(who, {".env": "KEY=real\n", "m": "m\n", **files})
        done = who.run("--workspace", ws, "--", "sh", "-c", script)
        assert done.code == 0, done
        return ws

    return run


# --- changes ----------------------------------------------------------------------------------------


def test_a_change_over_a_hidden_secret_is_no_harmless_new_file(anyone, tree):
    ws = tree(anyone, "echo KEY=fake > .env")
    for form in ("--list", "--stat"):
        assert "(hidden from the sandbox)" in anyone("diff", "last", form).out
    (change,) = json.loads(anyone("diff", "last", "--json").out)["changes"]
    assert change["hidden"] is True and change["op"] == "added"
    done = anyone("diff", "last")
    assert "KEY=real" not in done.out and ".env: is in the directory, but was hidden from the sandbox" in done.err
    done = anyone("apply", "last")
    assert done.code == 1
    assert ".env: is there, but was hidden from the sandbox (secrets.mask)" in done.out
    assert "--allow-protected" in done.err
    done = anyone("apply", "last", "--force")
    assert done.code == 1 and "protected .env" in done.out
    assert open(os.path.join(ws, ".env")).read() == "KEY=real\n"
    done = anyone("apply", "last", "--force", "--allow-protected")
    assert done.code == 0 and open(os.path.join(ws, ".env")).read() == "KEY=fake\n"


def test_diff_says_what_a_patch_cannot_hold(anyone, tree):
    tree(anyone, "chmod 600 m; mkfifo pipe; mkdir empty")
    done = anyone("diff", "last")
    assert done.code == 0 and done.out == ""
    assert done.err.splitlines() == ["pinfold: note: empty: an empty directory (a patch cannot hold it)",
                                     "pinfold: note: m: mode 600 (a patch cannot hold it)",
                                     "pinfold: note: pipe: a FIFO (a patch cannot hold it)"]


def test_diff_says_that_a_new_file_exists_now(anyone, tree):
    ws = tree(anyone, "echo inside > new")
    with open(os.path.join(ws, "new"), "w") as f:
        f.write("outside\n")
    done = anyone("diff", "last")
    assert "+inside" in done.out and "outside" not in done.out
    assert "new: exists in the directory now with other content" in done.err


def test_drop_all(anyone, tree):
    tree(anyone, "echo a > a")
    tree(anyone, "echo b > b")
    assert anyone("drop", "--all", "last").code == 125
    assert anyone("drop", "--all").code == 0
    assert [r for r in json.loads(anyone("ls", "--json").out)["sandboxes"] if r["state"] == "changes"] == []


# --- a sandbox that lives -----------------------------------------------------------------------------


NUMBERS = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGXCPU, signal.SIGVTALRM, signal.SIGRTMIN + 3]


@pytest.mark.parametrize("signo", NUMBERS, ids=str)
def test_signals_keep_the_changes(pinfold, live, workspace, signo):
    ws = workspace(pinfold, {"a": "a\n"})
    run = live(pinfold, "run", "--workspace", ws, "--", "sh", "-c", "echo x > new; echo ready; sleep 100")
    run.until("ready\n")
    run.process.send_signal(signo)
    assert run.process.wait(30) == 137
    assert pinfold("diff", "last", "--list").out == "A new\n"


def test_the_id_of_a_live_and_of_a_dead_sandbox(as_user, live, workspace):
    ws = workspace(as_user, {"a": "a\n"})
    run = live(as_user, "run", "--workspace", ".", "--", "sh", "-c", "echo ready; sleep 100", cwd=ws)
    run.until("ready\n")
    (row,) = [r for r in json.loads(as_user("ls", "--json").out)["sandboxes"] if r["pid"] == run.process.pid]
    assert row["workspace"] == os.path.realpath(ws)
    for verb in ("diff", "apply", "drop"):
        done = as_user(verb, row["id"])
        assert done.code == 125 and "still runs" in done.err
    os.kill(row["pid"], signal.SIGKILL)
    run.process.wait(30)
    try:
        for verb in ("diff", "apply", "drop"):
            done = as_user(verb, row["id"])
            assert done.code == 125 and "is dead and its changes are lost" in done.err
    finally:
        as_user.sweep()


# --- options and hints --------------------------------------------------------------------------------


def test_a_misspelt_option_with_json(pinfold):
    result = pinfold.result("--bad", "--memory", "64M", "nosuch", "x")
    assert result.code == 125 and result.cause == "error"
    assert result["argv"] == ["nosuch", "x"] and result.error == "there is no option --bad"


def test_the_value_that_is_a_command(pinfold):
    assert '--memory: "ls" is not a size' in pinfold.run("--memory", "ls").err


def test_a_program_of_the_callers_path(anyone, workspace):
    ws = workspace(anyone, {"tool-of-mine": "#!/bin/sh\n"})
    os.chmod(os.path.join(ws, "tool-of-mine"), 0o755)
    done = anyone.run("tool-of-mine", env={"PATH": f"/usr/bin:{ws}"})
    assert done.code == 127 and f"it is at {ws}/tool-of-mine on this host: --tools DIR" in done.err
    done = anyone.run("no-tool-of-mine", env={"PATH": f"/usr/bin:{ws}"})
    assert done.code == 127 and "--tools" not in done.err


def test_what_is_hidden_is_counted(anyone, workspace):
    ws = workspace(anyone, {".env": "x\n"})
    assert "1 path of the workspace was hidden" in anyone.run("--verbose", "--workspace", ws, "true").err
    assert "hidden" not in anyone.run("--workspace", ws, "true").err
    assert "1 of the workspace's paths (secrets.mask)" in anyone.run("--receipt", "--workspace", ws, "true").err


def test_entries_of_another_user(pinfold, workspace):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    ws = workspace(pinfold, {"theirs": "x\n"})
    os.chown(os.path.join(ws, "theirs"), 4321, 4321)
    done = pinfold.run("--workspace", ws, "--", "sh", "-c", "echo > theirs")
    assert done.code != 0 and "1 entry at the top of the workspace belongs to another user" in done.err


def test_what_holds_the_processes_without_groups(as_user):
    result = as_user.result("true")
    if result.receipt["limits_by"] != "none":
        pytest.skip("this user has control groups")
    (memory,) = [u for u in result.receipt["unenforced"] if u["limit"] == "memory"]
    assert "RLIMIT_NPROC holds processes" in memory["why"] and "pinfold doctor" in memory["why"]
    assert "by none; processes by RLIMIT_NPROC" in as_user.run("--receipt", "true").err


def test_version(pinfold):
    assert pinfold("version").code == 0
    assert pinfold("version", "x").code == 125
    assert "usage: pinfold version" in pinfold("help", "version").out
