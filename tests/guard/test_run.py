# SPDX-License-Identifier: Apache-2.0
"""guard.command in a run: what is refused does not start, what is asked needs a person, what is audited is told."""
import json
import os
import pty
import select
import time

import pytest

ENFORCE = {"guard": {"command": "enforce"}}
SECONDS = 20


@pytest.fixture(name="document")
def _document(tmp_path):
    os.chmod(tmp_path, 0o755)

    def write(value):
        path = tmp_path / "policy.json"
        path.write_text(json.dumps(value))
        return "--policy", str(path)
    return write


@pytest.fixture(name="judged")
def _judged(pinfold, workspace, document):
    """judged(value of guard.command, *arguments of run): the result in a workspace with a file."""
    def run(command, *args):
        where = workspace(pinfold, {"a.txt": "text\n", "run.sh": "echo ran > proof.txt\n"})
        return pinfold.result(*document({"guard": {"command": command}}), "--workspace", where, *args)
    return run


def test_off_is_the_default(pinfold):
    r = pinfold.result("--shell", "echo $((1 + 2)); exit 4")
    assert (r.cause, r.code, r.stdout, r.guard) == ("exited", 4, "3\n", None)
    assert r.argv == ["sh", "-c", "echo $((1 + 2)); exit 4"]


@pytest.mark.parametrize("args", [["--shell", "cat a.txt | tr a-z A-Z; true"], ["--", "cat", "a.txt"], ["--", "sh", "-c", "cat a.txt"]])
def test_allowed(judged, args):
    r = judged("enforce", *args)
    assert (r.cause, r.code) == ("exited", 0) and r.stdout.lower() == "text\n" and r.denials == []
    assert r.guard["command"]["verdict"] == "allow" and r.guard["command"]["would_allow"]


@pytest.mark.parametrize("args, rule", [
    (["--shell", "rm -rf /"], "rm"), (["--", "rm", "-rf", "/"], "rm"), (["--", "sh", "-c", "rm -rf /"], "rm"),
    (["--", "timeout", "5", "rm", "-rf", "/"], "rm")])
def test_denied(judged, args, rule):
    r = judged("enforce", *args)
    assert (r.cause, r.code, r.exit_code, r.signal) == ("denied", 126, None, None)
    assert r.guard["command"]["verdict"] == "deny" and r.guard["command"]["rule"] == rule
    (denial,) = r.denials
    assert denial["kind"] == "command" and denial["rule"] == rule and denial["target"] and denial["hint"]
    assert r.started_at is None and r.receipt["inside"] is None and r.stdout_bytes == 0


@pytest.mark.parametrize("command, cause", [("off", "exited"), ("audit", "exited"), ("enforce", "denied"),
                                            ({"repository_code": True}, "exited"), ({"repository_code": False}, "denied")])
def test_what_is_denied_did_not_run(judged, command, cause):
    line = "sh run.sh" if isinstance(command, dict) else "touch proof.txt; curl http://192.0.2.1/"
    r = judged(command, "--shell", line)
    assert r.cause == cause
    assert (r.changes or {}).get("added", 0) == (1 if cause == "exited" else 0)
    if command == "audit":
        assert r.guard["command"]["would_allow"] is False and r.guard["command"]["verdict"] == "allow"


def test_ask_is_refused_without_a_person(judged, pinfold, document):
    r = judged("enforce", "--shell", "curl http://192.0.2.1/")
    assert (r.cause, r.guard["command"]["verdict"]) == ("denied", "ask")
    said = pinfold.run(*document(ENFORCE), "--shell", "curl http://192.0.2.1/")
    assert said.code == 126 and "guard.command says ask: " in said.err and "denied command curl" in said.err
    r = judged({"unknown": "deny"}, "--shell", "whatever $(x)")
    assert (r.cause, r.guard["command"]["verdict"]) == ("denied", "deny")


def at_a_terminal(pinfold, document, answer, line, stdin=None):
    pid, master = pty.fork()
    if pid == 0:
        if stdin:
            os.dup2(os.open(stdin, os.O_RDONLY), 0)
        os.execvpe(pinfold.program, [pinfold.program, "run", *document(ENFORCE), "--shell", line], pinfold.environment())
    seen, end = b"", time.monotonic() + SECONDS
    while time.monotonic() < end:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        seen += piece
        if answer and b"[y/N] " in seen:
            os.write(master, answer)
            answer = None
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


@pytest.mark.parametrize("answer, ran", [(b"y\n", True), (b"yes\n", True), (b"\n", False), (b"n\n", False), (b"yy\n", False), (b"\x03", False)])
def test_a_person_is_asked(pinfold, document, answer, ran):
    code, seen = at_a_terminal(pinfold, document, answer, "hostname -f; echo it $((6*7)) ran")
    assert "Run it in the sandbox?" in seen and "guard.command asks (" in seen
    assert ("it 42 ran" in seen) == ran and code == (0 if ran else 126), seen


def test_nobody_is_asked_about_what_is_denied(pinfold, document):
    code, seen = at_a_terminal(pinfold, document, b"y\n", "rm -rf /")
    assert code == 126 and "[y/N]" not in seen


def test_text_is_no_person(pinfold, document):
    code, seen = at_a_terminal(pinfold, document, b"y\n", "echo $((6*7))", stdin="/dev/null")
    assert code == 126 and "[y/N]" not in seen


@pytest.mark.parametrize("args, message", [
    (["--shell", "ls", "--", "ls"], "no command beside it"), (["--shell", " \t"], "empty"), (["--shell"], "--shell")])
def test_misuse(pinfold, args, message):
    done = pinfold.run(*args)
    assert done.code == 125 and message in done.err


def test_as_anyone(anyone):
    r = anyone.result("--policy", "-", "--shell", "rm -rf /", stdin=json.dumps(ENFORCE).encode())
    assert (r.cause, r.code) == ("denied", 126)
    r = anyone.result("--policy", "-", "--", "echo", "it's", stdin=json.dumps(ENFORCE).encode())
    assert (r.cause, r.stdout) == ("exited", "it's\n")
