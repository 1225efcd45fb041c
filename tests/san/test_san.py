# SPDX-License-Identifier: Apache-2.0
"""The shipped programs under sanitizers, in real sandboxes: no scenario may end in a report.

asan: glibc programs under ASan, UBSan and, in what the user starts, LeakSanitizer. A report goes to the caller's stderr,
from init and its launchers too, and its process ends with 99. ubsan: musl programs that trap, which the host sees as an
init or launcher that died. That every one of these would be noticed is tested first (PF_SAN_BUG).

Any other suite can be run over these programs, O=build/asan pytest tests/tier; make test-all does it with that one.
"""
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SECONDS = 60
REPORT = re.compile(
    rb"Sanitizer|runtime error:|pinfold-init (died|stopped)|first process|launcher died|helper that reads the changes died|connection to pinfold-init|the peer")
ENDS = (99, -signal.SIGILL, -signal.SIGABRT, -signal.SIGSEGV, 128 + signal.SIGILL)


def seen(done):
    """Did a sanitizer speak? In what was printed, or by the way that it ended."""
    return bool(REPORT.search(done.out_bytes) or REPORT.search(done.err_bytes)) or done.code in ENDS


# --- the programs, as root and as a user ---------------------------------------------------


@pytest.fixture(scope="session", params=["asan", "ubsan"])
def flavour(request):
    return request.param


def watched(who, flavour):
    """The same somebody with these programs. Every run of them must end without a report."""

    class Watched(type(who)):
        def __call__(self, *args, report=False, **options):
            done = super().__call__(*args, report=report, **options)
            assert seen(done) == report, repr(done)
            return done

    program = os.path.join(os.path.dirname(who.program), flavour, "pinfold")
    if not os.path.exists(program):
        pytest.fail(f"{program} is not built")
    return Watched(program, who.state, who.runtime, who.prefix, who.env)


@pytest.fixture(scope="session")
def _me(_me, flavour):
    return watched(_me, flavour)


@pytest.fixture(scope="session")
def _user(_user, _me, flavour):
    return watched(_user, flavour) if _user.prefix else _me


@pytest.fixture
def session(flavour):
    """session(who, "files"): the program of the public API beside them."""

    def run(who, *words):
        program = type(who)(os.path.join(os.path.dirname(who.program), "session"), who.state, who.runtime, who.prefix, who.env)
        done = program(*words)
        assert (done.code, done.out) == (0, "ok\n"), repr(done)
        return done

    return run


def sh(who, script, *options, **how):
    return who.result(*options, "--", "sh", "-c", script, **how)


# --- what would be noticed ------------------------------------------------------------------


@pytest.mark.parametrize("where", ["host", "child", "init", "launcher"])
@pytest.mark.parametrize("bug", ["int", "heap"])
def test_a_bug_is_noticed(anyone, flavour, where, bug):
    if (flavour, bug) == ("ubsan", "heap"):
        pytest.skip("musl programs have no AddressSanitizer")
    done = anyone.run("--", "true", env={"PF_SAN_BUG": f"{where}-{bug}"}, report=True)
    assert done.code in (125, *ENDS)
    if flavour == "asan":
        assert ("heap-buffer-overflow" if bug == "heap" else "signed integer overflow") in done.err


def test_a_leak_is_noticed(anyone, flavour):
    if flavour == "ubsan":
        pytest.skip("musl programs have no LeakSanitizer")
    done = anyone.run("--", "echo", "ran", env={"PF_SAN_BUG": "host-leak"}, report=True)
    assert (done.code, done.out) == (99, "ran\n") and "detected memory leaks" in done.err


@pytest.mark.parametrize("testing", [None, "", "0"])
def test_refused_outside_tests(pinfold, testing):
    r = pinfold.result("--", "echo", "ran", env={"PF_TESTING": testing})
    assert (r.cause, r.code, r.stdout) == ("error", 125, "") and r.error == "a sanitizer build is for tests"


def test_what_ships_has_none_of_it(pinfold):
    directory = os.path.dirname(os.path.dirname(pinfold.program))
    for name in ("pinfold", "libexec/pinfold/pinfold-init"):
        with open(os.path.join(directory, name), "rb") as f:
            program = f.read()
        assert b"PF_SAN_BUG" not in program and b"PF_TESTING" not in program and b"libasan" not in program


# --- scenarios --------------------------------------------------------------------------------


def test_echo(anyone):
    r = anyone.result("--", "echo", "hello")
    assert (r.cause, r.exit_code, r.stdout) == ("exited", 0, "hello\n")
    assert r["receipt"]["build"] == "sanitizer build" and r["receipt"]["agree"]
    done = anyone.run("--verbose", "--receipt", "--", "sh", "-c", "echo out; echo err >&2; exit 5")
    assert (done.code, done.out) == (5, "out\n") and "sanitizer build" in done.err


def test_ways_to_end(anyone):
    for code in (1, 127, 128, 255):
        assert sh(anyone, f"exit {code}").exit_code == code
    assert sh(anyone, "kill -SEGV $$").signal == "SIGSEGV"
    assert anyone.result("--", "no-such-command").exit_code == 127
    assert anyone.result("--", "/etc/passwd").exit_code == 126
    assert anyone.result("--cwd", "/nowhere", "--", "true").cause == "error"
    assert sh(anyone, "echo x; exit 3", "--user", "root").exit_code == 3


def test_five_megabytes_of_stdin(anyone):
    data = os.urandom(5 << 20)
    done = anyone.run("-i", "--", "cat", stdin=data)
    assert done.code == 0 and done.out_bytes == data
    r = sh(anyone, "head -c 5; exit 0", "-i", stdin=data)    # and a command that does not want it
    assert r.exit_code == 0 and r.stdout_bytes == 5


def test_output_as_a_stream(anyone):
    done = anyone.run("--json=stream", "--", "sh", "-c", "seq 1 20000; seq 1 9 >&2")
    last = json.loads(done.out.splitlines()[-1])
    assert done.code == 0 and last


def drive(who, args, on_data):
    """Run on a terminal. on_data(what came so far) returns what to type, or None."""
    pid, master = pty.fork()
    if pid == 0:
        argv = [*who.prefix, who.program, *args]
        os.chdir("/")
        os.execvpe(argv[0], argv, who.environment())
    out, end = b"", time.monotonic() + SECONDS
    while time.monotonic() < end:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:    # EIO: it ended
            break
        if not data:
            break
        out += data
        answer = on_data(out)
        if answer:
            os.write(master, answer)
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(master)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert not REPORT.search(out) and status not in ENDS, out.decode(errors="replace")
    return status, out


def test_terminal(anyone):
    typed = []

    def answer(out):
        if b"ready" in out and not typed:
            typed.append(1)
            return b"word\r"
        return None

    status, out = drive(anyone, ["run", "-it", "--", "sh", "-c", "tty; echo ready; read x; echo got-$x; exit 4"], answer)
    assert status == 4 and b"/dev/pts/" in out and b"got-word" in out


def test_terminal_interrupted(anyone):
    typed = []

    def answer(out):
        if b"ready" in out and not typed:
            typed.append(1)
            return b"\x03"
        return None

    status, out = drive(anyone, ["run", "-it", "--", "sh", "-c", "trap 'exit 6' INT; echo ready; while :; do :; done"], answer)
    assert status == 6, out


def test_timeouts(anyone):
    assert sh(anyone, "echo before; sleep 3600", "--timeout", "500ms").cause == "timeout"
    assert sh(anyone, "echo before; sleep 3600", "--idle-timeout", "500ms").cause == "idle_timeout"


def test_output_limit(anyone):
    r = sh(anyone, "yes", "--output-limit", "2M")
    assert (r.cause, r.truncated) == ("output_limit", True)


def test_out_of_memory(anyone):
    r = sh(anyone, "tail /dev/zero", "--memory", "64M")
    assert r.cause in ("oom", "boundary")    # the latter where nothing holds it


def test_fork_bomb(anyone):
    r = sh(anyone, "f() { f | f & }; f; sleep 0.3; echo end", "--processes", "40", "--timeout", "5s")
    assert r.cause in ("exited", "pids", "timeout", "signalled", "boundary")
    assert r.cause == "boundary" or "pids" in r.hits() or r["receipt"]["unenforced"]


def test_everything_is_killed(anyone):
    r = sh(anyone, "sleep 3600 & kill -9 -1; exit 4")    # also a launcher that waits for the next command
    assert (r.cause, r.exit_code) == ("exited", 4)


def test_files_in_memory_are_full(anyone):
    r = sh(anyone, "head -c 40m /dev/zero >/tmp/f; exit 1", "--memory", "64M")
    assert r.cause in ("disk_limit", "exited", "boundary")


def test_workspace(anyone, workspace, tmp_path):
    ws = workspace(anyone, {"kept": "one\n", "gone/a": "x", "bin/p": ("#!/bin/sh\n", 0o755), ".git/hooks/h": "x"})
    script = "echo two >>kept; rm -r gone; mkdir -p new/deep; echo n >new/deep/f; ln -s kept link; chmod 600 bin/p; seq 1 50000 >big"
    r = sh(anyone, script, "--workspace", ws)
    assert r.exit_code == 0 and r["changes"]["added"] >= 4
    for words in (["ls"], ["ls", "--json"], ["diff", "last"], ["diff", "last", "--json"], ["diff", "last", "--stat"],
                  ["diff", "last", "--list"], ["apply", "last", "--dry-run"]):
        done = anyone(*words)
        assert done.code == 0 and done.out, repr(done)
    assert anyone("apply", "last").code == 0
    with open(os.path.join(ws, "kept"), encoding="utf-8") as f:
        assert f.read() == "one\ntwo\n"
    assert not os.path.exists(os.path.join(ws, "gone")) and os.path.exists(os.path.join(ws, "new/deep/f"))
    anyone("drop", "last")


def test_apply_refuses(anyone, workspace):
    ws = workspace(anyone, {"kept": "one\n", ".git/hooks/h": "x"})
    assert sh(anyone, "echo two >kept; echo y >.git/hooks/h", "--workspace", ws).exit_code == 0
    with open(os.path.join(ws, "kept"), "w", encoding="utf-8") as f:
        f.write("the host's\n")
    done = anyone("apply", "last")
    assert done.code == 1 and "kept" in done.out + done.err
    assert anyone("apply", "last", "--force", "--allow-protected").code == 0
    assert sh(anyone, "echo 3 >kept", "--workspace", ws).exit_code == 0
    assert anyone("drop", "last").code == 0
    assert anyone("diff", "last").code != 0 or anyone("ls").code == 0


def test_workspace_read_only(anyone, workspace):
    ws = workspace(anyone, {"f": "x"})
    r = sh(anyone, "cat f; echo y >f", "--workspace", ws + ":ro:path=/work")
    assert r.stdout == "x" and r.exit_code != 0
    r = sh(anyone, "echo y >f", "--workspace", ws, "--rm")
    assert r["changes"] is None


@pytest.mark.parametrize("text", ['{ "limits": { "memory": [] } }', '{ "teir": "container" }', "{", '{"a":1,"a":2}', "[" * 300,
                                  '"\\ud800"', '{ "env": { "A": "\x00" } }', '{"limits":{"memory":"99999999999999999999G"}}'])
def test_policy_errors(pinfold, workspace, text):
    path = os.path.join(workspace(pinfold, {"p.json": text}), "p.json")
    r = pinfold.result("--policy", path, "--", "true")
    assert (r.cause, r.code) == ("error", 125) and r.error
    assert pinfold("policy", "check", path).code == 125


def test_policy_verbs(pinfold):
    assert pinfold("policy", "show", "--memory", "2G", "--env", "A=b").code == 0
    for name in os.listdir(os.path.join(TOP, "policies")):
        assert pinfold("policy", "check", os.path.join(TOP, "policies", name)).code == 0


@pytest.mark.parametrize("args", [["--no-such-option", "--", "true"], ["--timeout", "soon", "--", "true"], ["--memory", "-1", "--", "true"],
                                  ["--workspace", "/nowhere/at/all", "--", "true"], ["--cwd", "relative", "--", "true"], ["--"]])
def test_misuse(pinfold, args):
    assert pinfold.result(*args).cause == "error"
    done = pinfold.run(*args)
    assert done.code == 125 and done.err


def test_other_verbs(pinfold):
    assert pinfold("version").code == 0 and pinfold("help").code == 0 and pinfold("help", "run").code == 0
    assert pinfold().code == 125 and pinfold("rnu").code == 125 and pinfold("apply", "no-such-set").code != 0


def test_require(anyone):
    r = anyone.result("--require", "userns,netns,seccomp", "--", "echo", "ran")
    assert r.cause == "exited" and r.stdout == "ran\n"
    assert anyone.result("--require", "limits", "--", "true").cause in ("exited", "boundary")
    assert anyone.result("--require", "magic", "--", "true").cause == "error"


def test_doctor_and_ls(anyone):
    assert anyone("doctor").code == 0
    assert json.loads(anyone("doctor", "--json").out)
    assert anyone("doctor", "--clean").code == 0
    assert anyone("ls").code == 0


def test_listed_while_it_runs(pinfold):
    with pinfold.popen("run", "--", "sh", "-c", "echo ready; sleep 3600") as run:
        assert run.stdout.readline() == b"ready\n"
        assert "ready" in pinfold("ls").out
        run.send_signal(signal.SIGTERM)
        out, err = run.communicate(timeout=SECONDS)
    assert not REPORT.search(out + err) and run.returncode not in ENDS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_killed_by_the_user(anyone, number):
    with anyone.popen("run", "--json", "--", "sh", "-c", "trap '' INT TERM; echo ready >&2; while :; do :; done") as run:
        time_out = time.monotonic() + SECONDS
        while run.poll() is None and time.monotonic() < time_out:
            run.send_signal(number)    # a second one ends what ignores the first
            try:
                run.wait(0.5)
            except subprocess.TimeoutExpired:
                pass
        out, err = run.communicate(timeout=SECONDS)
    assert run.returncode not in (None, *ENDS) and not REPORT.search(out + err)


def test_its_keeper_is_killed(anyone):
    with anyone.popen("run", "--", "sh", "-c", "echo ready; sleep 3600") as run:
        assert run.stdout.readline() == b"ready\n"
        # with a prefix the process is the program itself: setpriv becomes it
        run.kill()
        assert not REPORT.search(run.communicate(timeout=SECONDS)[1])
    assert anyone("doctor", "--clean").code == 0


def test_nobody_reads(anyone):
    with anyone.popen("run", "--", "yes") as run:
        assert run.stdout.read(2) == b"y\n"
        run.stdout.close()
        assert run.wait(SECONDS) == 141 and run.stderr.read() == b""


@pytest.mark.parametrize("what", ["files", "concurrent", "kill", "pause", "terminal", "refused"])
def test_public_api(anyone, session, what):
    session(anyone, what)


def test_public_api_changes(anyone, session, workspace):
    ws = workspace(anyone, {"kept": "one\n", "gone/a": "x"})
    session(anyone, "changes", ws)
    assert os.path.exists(os.path.join(ws, "added")) and not os.path.exists(os.path.join(ws, "gone"))


@pytest.mark.slow
def test_suite_of_the_tiers(flavour, _me):
    """The suite that runs over every tier, over these programs."""
    env = dict(os.environ, O=os.path.dirname(_me.program), PYTHONDONTWRITEBYTECODE="1")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "tests/tier"]
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200, check=False)
    assert done.returncode == 0 and not re.search(rb"Sanitizer: |runtime error: ", done.stdout), done.stdout.decode(errors="replace")
