# SPDX-License-Identifier: Apache-2.0
"""Why a command ended: every cause, each provoked for real, and the exit code that goes with it (DESIGN section 6)."""
import json
import os
import select
import signal
import subprocess
import time

import pytest

NEVER = "sleep 3600"


@pytest.mark.parametrize("code", [0, 1, 77, 124, 255])
def test_exited(pinfold, sh, code):
    r = sh(pinfold, f"echo out; echo err >&2; exit {code}")
    assert (r.cause, r.exit_code, r.signal, r.error) == ("exited", code, None, None)
    assert (r.stdout, r.stderr, r.stdout_bytes, r.stderr_bytes, r.truncated) == ("out\n", "err\n", 4, 4, False)
    assert r.code == code and r.limits_hit == []
    assert r.argv == ["sh", "-c", f"echo out; echo err >&2; exit {code}"]


def test_exited_as_anyone(anyone, sh):
    r = sh(anyone, "exit 3")
    assert (r.cause, r.exit_code, r.code) == ("exited", 3, 3)
    assert r.duration_ms is not None and r.started_at and r.usage["cpu_ms"] is not None


@pytest.mark.parametrize("name", ["SEGV", "ABRT", "KILL", "TERM", "RTMIN+3"])
def test_signalled(pinfold, sh, name):
    number = 37 if name == "RTMIN+3" else getattr(signal, "SIG" + name)
    r = pinfold.result("--", "python3", "-c", f"import os; print('before', flush=True); os.kill(os.getpid(), {int(number)})")
    assert (r.cause, r.exit_code, r.signal, r.code) == ("signalled", None, "SIG" + name, 128 + number)
    assert r.stdout == "before\n"


def test_signalled_as_anyone(anyone, sh):
    r = sh(anyone, "kill -SEGV $$")
    assert (r.cause, r.exit_code, r.signal, r.code) == ("signalled", None, "SIGSEGV", 139)


def test_timeout(anyone, sh):
    r = sh(anyone, f"echo before; echo err >&2; {NEVER}", "--timeout", "600ms")
    assert (r.cause, r.exit_code, r.signal, r.code) == ("timeout", None, "SIGKILL", 124)
    assert (r.stdout, r.stderr) == ("before\n", "err\n")
    assert "timeout" in r.hits() and 600 <= r.duration_ms < 10000


def test_timeout_of_a_command_that_ignores_everything(anyone, sh):
    r = sh(anyone, "trap '' TERM INT HUP QUIT; echo before; while :; do :; done", "--timeout", "600ms")
    assert (r.cause, r.stdout, r.code) == ("timeout", "before\n", 124)


def test_timeout_is_said_to_people(pinfold):
    p = pinfold.run("--timeout", "300ms", "--", "sh", "-c", f"echo before; {NEVER}")
    assert p.code == 124 and p.out == "before\n"
    assert "timeout" in p.err and "--timeout" in p.err


def test_idle_timeout(anyone, sh):
    script = f"for i in 1 2 3; do echo $i; sleep 0.2; done; {NEVER}"
    r = sh(anyone, script, "--idle-timeout", "1s")
    assert (r.cause, r.exit_code, r.signal, r.code) == ("idle_timeout", None, "SIGKILL", 124)
    assert r.stdout == "1\n2\n3\n" and "idle_timeout" in r.hits()
    assert r.duration_ms >= 400 + 1000


def test_output_keeps_the_idle_clock_back(pinfold, sh):
    r = sh(pinfold, "for i in 1 2 3 4 5 6 7; do echo $i >&2; sleep 0.2; done", "--idle-timeout", "1s")
    assert (r.cause, r.exit_code) == ("exited", 0)


def test_input_keeps_the_idle_clock_back(pinfold, live):
    """No byte on *any* stream."""
    run = live(pinfold, "run", "--json", "-i", "--idle-timeout", "1s", "--", "cat", stdin=subprocess.PIPE)
    begun = time.monotonic()
    while time.monotonic() - begun < 1.7:
        run.send("x")
        select.select([], [], [], 0.1)
    run.process.stdin.close()
    assert run.wait() == 0


def test_output_limit(anyone, sh):
    r = sh(anyone, "yes", "--output-limit", "2M")
    assert (r.cause, r.exit_code, r.signal, r.code) == ("output_limit", None, "SIGKILL", 124)
    assert "output_limit" in r.hits() and r.stdout_bytes >= 2 << 20
    assert r.stdout.startswith("y\ny\n") and r.truncated


def test_output_limit_counts_both_streams(pinfold, sh):
    r = sh(pinfold, "head -c 700000 /dev/zero | tr '\\0' o; head -c 700000 /dev/zero | tr '\\0' e >&2; sleep 3600",
           "--output-limit", "1M")
    assert r.cause == "output_limit" and r.stdout_bytes + r.stderr_bytes > 1 << 20


def test_output_at_the_limit_is_no_hit(pinfold, sh):
    r = sh(pinfold, "head -c 1048576 /dev/zero", "--output-limit", "1M")
    assert (r.cause, r.exit_code, r.stdout_bytes) == ("exited", 0, 1 << 20)


# --- memory ---------------------------------------------------------------------------------


def test_oom(anyone, sh, holds):
    if not holds(anyone, "memory"):
        r = sh(anyone, "echo ran", "--memory", "64M")
        assert (r.cause, r.code, r.stdout) == ("boundary", 125, "")
        assert "memory" in r.error
        return
    r = sh(anyone, "echo before; exec tail /dev/zero", "--memory", "64M")
    assert (r.cause, r.exit_code, r.signal, r.code) == ("oom", None, "SIGKILL", 137)
    assert r.stdout == "before\n" and "oom" in r.hits()


def test_oom_of_a_child_that_takes_the_command_with_it(pinfold, sh, holds):
    if not holds(pinfold, "memory"):
        pytest.skip("nothing holds memory here")
    r = sh(pinfold, "tail /dev/zero || exit 9", "--memory", "64M")
    assert (r.cause, r.exit_code, r.signal, r.code) == ("oom", 9, None, 9)


def test_oom_that_the_command_survives(pinfold, sh, holds):
    if not holds(pinfold, "memory"):
        pytest.skip("nothing holds memory here")
    r = sh(pinfold, "tail /dev/zero; echo survived; exit 0", "--memory", "64M")
    assert (r.cause, r.exit_code, r.stdout) == ("exited", 0, "survived\n")
    assert r.hits() == {"oom"}


def test_files_in_memory_count(pinfold, sh, holds):
    """/tmp holds at most half of the memory, so it is full before the memory is."""
    if not holds(pinfold, "memory"):
        pytest.skip("nothing holds memory here")
    r = sh(pinfold, "head -c 60M /dev/zero > /tmp/big", "--memory", "64M")
    assert (r.cause, r.exit_code) == ("disk_limit", 1)


# --- processes --------------------------------------------------------------------------------

FORKS = "i=0; while [ $i -lt 60 ]; do sleep 3600 & i=$((i+1)); done; echo all"


def test_pids(anyone, sh):
    r = sh(anyone, FORKS, "--processes", "24", "--timeout", "40s")
    assert "all" not in r.stdout and r.exit_code not in (0, None)
    assert "fork" in r.stderr.lower() or "Resource temporarily" in r.stderr
    if r["receipt"]["limits_by"] in (None, "none"):
        assert r.cause == "exited"    # the kernel counts no word where RLIMIT_NPROC holds it: nothing is guessed
    else:
        assert r.cause == "pids" and "pids" in r.hits()
    assert r.code == r.exit_code


def test_pids_survived(anyone, sh):
    r = sh(anyone, f"({FORKS}); kill $(jobs -p) 2>/dev/null; echo survived", "--processes", "24", "--timeout", "40s")
    assert (r.cause, r.exit_code) == ("exited", 0) and "survived" in r.stdout
    assert r["receipt"]["limits_by"] in (None, "none") or r.hits() == {"pids"}


# --- disk -------------------------------------------------------------------------------------


def test_disk_limit_of_the_workspace(anyone, sh, workspace):
    ws = workspace(anyone, {"a": "a"})
    r = sh(anyone, "echo before; head -c 8M /dev/zero > big", "--workspace", ws, "--disk", "2M")
    assert (r.cause, r.exit_code, r.signal, r.code) == ("disk_limit", 1, None, 1)
    assert r.stdout == "before\n" and "disk_limit" in r.hits()
    assert os.listdir(ws) == ["a"]


def test_disk_limit_survived(anyone, sh, workspace):
    ws = workspace(anyone)
    r = sh(anyone, "head -c 8M /dev/zero > big; echo survived", "--workspace", ws, "--disk", "2M")
    assert (r.cause, r.exit_code, r.stdout) == ("exited", 0, "survived\n")
    assert r.hits() == {"disk_limit"}


MANY = "i=0; while [ $i -lt %d ]; do : > n$i || exit 1; i=$((i+1)); done; echo all"


def test_disk_limit_of_inodes(anyone, sh, workspace):
    """Empty files take no block, but each takes an inode, of which there are as many as the size allows."""
    ws = workspace(anyone)
    r = sh(anyone, MANY % 20000, "--workspace", ws, "--disk", "2M", "--rm")
    assert (r.cause, r.exit_code) == ("disk_limit", 1) or r.exit_code == 2, r
    assert r.cause == "disk_limit" and "all" not in r.stdout and os.listdir(ws) == []


def test_disk_limit_met_and_tidied_up(anyone, live, workspace):
    """Seen when the command spoke of it, though there is room again at its end."""
    ws = workspace(anyone)
    run = live(anyone, "run", "--json=stream", "-i", "--workspace", ws, "--disk", "2M", "--", "sh", "-c",
               "head -c 8M /dev/zero > big; read x; rm big; exit 7", stdin=subprocess.PIPE)
    run.until("space")
    run.send("go\n")
    run.wait()
    r = json.loads(run.text().splitlines()[-1])["result"]
    assert (r["cause"], r["exit_code"]) == ("disk_limit", 7), r


# A limit that memory cannot hold: as root its file system is a file on the disk.


@pytest.fixture
def on_disk(pinfold, need_root, need_program, sh, workspace):
    """on_disk(script, *options): the result of a run whose changes are bounded by a file system on disk."""
    need_program("mkfs.ext4")

    def run(script, *options, ws=None):
        r = sh(pinfold, script, "--workspace", ws or workspace(pinfold), *options)
        if r.cause == "boundary" and "loop" in (r.error or ""):
            pytest.skip(r.error)
        assert r["receipt"]["workspace"]["upper"] == "ext4", r
        return r

    return run


def test_disk_limit_beyond_memory(on_disk, workspace, pinfold):
    """More than the memory is written, nothing is killed for memory, and the limit is where it was asked for."""
    ws = workspace(pinfold, {"a": "a"})
    r = on_disk("head -c 150M /dev/zero > big && stat -c %s big; df -m . | tail -1", "--memory", "96M", "--disk", "200M", "--rm", ws=ws)
    assert r.exit_code == 0 and r.hits() == set() and r.stdout.startswith("157286400\n")
    assert os.listdir(ws) == ["a"]
    r = on_disk("head -c 300M /dev/zero > big; stat -c %s big; exit 1", "--memory", "96M", "--disk", "200M", "--rm")
    assert (r.cause, r.exit_code) == ("disk_limit", 1)
    assert 196 << 20 <= int(r.stdout) <= 200 << 20


def test_disk_limit_beyond_memory_survived(on_disk):
    r = on_disk("head -c 300M /dev/zero > big; echo survived", "--memory", "96M", "--disk", "100M", "--rm")
    assert (r.cause, r.exit_code, r.stdout) == ("exited", 0, "survived\n") and r.hits() == {"disk_limit"}


def test_disk_limit_beyond_memory_of_inodes(on_disk):
    r = on_disk(MANY % 40000, "--memory", "96M", "--disk", "49M", "--rm", "--timeout", "120s")
    assert r.cause == "disk_limit" and "all" not in r.stdout, r


def test_changes_on_disk_are_changes(on_disk, workspace, pinfold):
    ws = workspace(pinfold, {"a": "old\n", "d/x": "y"})
    r = on_disk("echo new > a; mv d e; ln -s a l; mkdir n; setfattr -n user.x -v 1 a 2>/dev/null; rm -r e", "--memory", "96M", "--disk", "64M", ws=ws)
    assert r.exit_code == 0 and r["changes"]["added"] == 2 and r["changes"]["modified"] == 1
    assert pinfold("apply", "last").code == 0 and sorted(os.listdir(ws)) == ["a", "l", "n"]


def test_a_killed_keeper_leaves_no_file_system(pinfold, on_disk, live, workspace):
    """No file, no mount and no loop device: the file has no name and the kernel frees the rest."""
    on_disk("true", "--memory", "96M", "--disk", "64M")
    ws = workspace(pinfold)
    run = live(pinfold, "run", "--workspace", ws, "--memory", "96M", "--disk", "64M", "--", "sh", "-c", f"echo x > x; echo up; {NEVER}")
    run.until("up")
    run.process.kill()
    run.wait()
    pinfold.sweep()
    assert os.listdir(os.path.join(pinfold.state, "scratch")) == []


def test_disk_limit_that_the_state_cannot_hold(pinfold, need_root, need_program, workspace, _place):
    """Said by name before anything runs."""
    need_program("mkfs.ext4")
    small = os.path.join(_place, "small-state")
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "none", small], check=True)
    try:
        r = pinfold.result("--workspace", workspace(pinfold), "--memory", "96M", "--disk", "64M", "--", "echo", "ran",
                           env={"PINFOLD_STATE": small + "/state"})
        assert (r.cause, r.code, r.stdout) == ("boundary", 125, "") and "64 MiB" in r.error and "PINFOLD_STATE" in r.error
    finally:
        subprocess.run(["umount", small], check=True)
        os.rmdir(small)


def test_disk_limit_of_tmp(anyone, sh):
    r = sh(anyone, "head -c 4G /dev/zero > /tmp/big")
    assert (r.cause, r.exit_code) == ("disk_limit", 1)


def test_a_full_tmp_is_not_blamed_for_another_end(pinfold, sh):
    """What was there before and is not full is no limit that was met."""
    r = sh(pinfold, "head -c 8M /dev/zero > /tmp/small; exit 5")
    assert (r.cause, r.exit_code, r.limits_hit) == ("exited", 5, [])


# --- killed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_killed_by_a_signal_to_us(anyone, live, signo):
    run = live(anyone, "run", "--json=stream", "--", "sh", "-c", f"trap '' INT TERM HUP QUIT; echo before; {NEVER}")
    run.until("before")
    run.process.send_signal(signo)
    assert run.wait() == 137
    r = json.loads(run.text().splitlines()[-1])["result"]
    assert (r["cause"], r["exit_code"], r["signal"], r["stdout"]) == ("killed", None, "SIGKILL", "before\n")


def test_killed_keeps_the_changes(anyone, live, workspace):
    ws = workspace(anyone)
    run = live(anyone, "run", "--workspace", ws, "--", "sh", "-c", f"echo text > new; echo before; {NEVER}")
    run.until("before")
    run.process.terminate()
    assert run.wait() == 137
    assert "changes: 1 added" in run.text("err").decode()
    assert anyone("diff", "last", "--list").out.split() == ["A", "new"]


# --- boundary ---------------------------------------------------------------------------------


def test_boundary_a_stronger_tier(anyone):
    for tier in ("microvm", "sentry"):
        done = anyone.run("--tier", tier, "--", "echo", "ran")
        if done.code == 0:
            pytest.skip(f"{tier} is there")
        assert done.code == 125 and done.out == "" and tier in done.err


def test_boundary_disk_beyond_memory_names_what_would_do(as_user, workspace):
    r = as_user.result("--disk", "2G", "--workspace", workspace(as_user), "--", "echo", "ran")
    assert (r.cause, r.exit_code, r.signal, r.code) == ("boundary", None, None, 125)
    assert "--memory 4128M" in r.error and r.stdout == ""


def test_boundary_require(as_user, holds):
    if holds(as_user, "memory"):
        pytest.skip("everything is held here")
    for words in ("limits", "memory", "seccomp,memory"):
        r = as_user.result("--require", words, "--", "echo", "ran")
        assert (r.cause, r.exit_code, r.code, r.stdout) == ("boundary", None, 125, "")
        assert "memory" in r.error


# --- error --------------------------------------------------------------------------------------


def test_error_workspace_missing(anyone, tmp_path):
    r = anyone.result("--workspace", "/nowhere/at/all", "--", "echo", "ran")
    assert (r.cause, r.exit_code, r.signal, r.code, r.stdout) == ("error", None, None, 125, "")
    assert "/nowhere/at/all" in r.error


def test_error_workspace_is_a_file(anyone, workspace):
    ws = workspace(anyone, {"file": "x"})
    r = anyone.result("--workspace", ws + "/file", "--", "true")
    assert (r.cause, r.code) == ("error", 125) and "file" in r.error


def test_error_workspace_not_ours_to_read(as_user, need_root, workspace, pinfold):
    ws = workspace(pinfold, {"file": "x"})
    os.chmod(ws, 0o700)
    r = as_user.result("--workspace", ws, "--", "true")
    assert (r.cause, r.code) == ("error", 125)


@pytest.mark.parametrize("args", [
    ["--no-such-option", "--", "true"],
    ["--timeout", "soon", "--", "true"],
    ["--memory", "-1", "--", "true"],
    ["--require", "magic", "--", "true"],
    ["--workspace", "", "--", "true"],
    ["--cwd", "relative", "--", "true"],
    ["--policy", "/nowhere/p.json", "--", "true"],
    ["--"],
])
def test_error_bad_option(pinfold, args):
    r = pinfold.result(*args)
    assert (r.cause, r.exit_code, r.code) == ("error", None, 125) and r.error
    p = pinfold.run(*args)
    assert p.code == 125 and p.out == "" and p.err


def test_error_bad_policy_names_the_line(anyone, workspace):
    ws = workspace(anyone, {"p.json": '{\n  "limits": {\n    "memory": []\n  }\n}\n',
                            "q.json": '{ "teir": "container" }', "r.json": '{ "root": "ro", "root": "cow" }'})
    r = anyone.result("--policy", ws + "/p.json", "--", "true")
    assert (r.cause, r.code) == ("error", 125) and "line 3" in r.error
    assert "tier" in anyone.result("--policy", ws + "/q.json", "--", "true").error
    assert "root" in anyone.result("--policy", ws + "/r.json", "--", "true").error


def test_error_unreadable_policy(as_user, need_root, workspace, pinfold):
    ws = workspace(pinfold, {"p.json": ("{}", 0o600)})
    r = as_user.result("--policy", ws + "/p.json", "--", "true")
    assert (r.cause, r.code) == ("error", 125) and "p.json" in r.error


def test_error_directory_inside_missing(anyone):
    r = anyone.result("--cwd", "/nowhere", "--", "true")
    assert (r.cause, r.exit_code, r.code) == ("error", None, 125) and "directory" in r.error


# --- 126, 127, 141 ------------------------------------------------------------------------------


def test_not_found(anyone):
    r = anyone.result("--", "no-such-command")
    assert (r.cause, r.exit_code, r.signal, r.code) == ("exited", 127, None, 127)
    assert "no-such-command" in r.error
    assert anyone.result("--", "/no/such/command").exit_code == 127
    p = anyone.run("--", "no-such-command")
    assert p.code == 127 and "no-such-command" in p.err


def test_cannot_be_executed(anyone, workspace):
    ws = workspace(anyone, {"plain": "text", "odd": ("#!/no/interpreter\n", 0o755), "dir/x": "", "script": ("exit 9\n", 0o755)})
    assert anyone.result("--workspace", ws, "--", "./plain").exit_code == 126
    assert anyone.result("--workspace", ws, "--", "./dir").exit_code == 126
    r = anyone.result("--workspace", ws, "--", "./odd")
    assert r.exit_code in (126, 127) and r.cause == "exited" and r.error
    assert anyone.result("--workspace", ws, "--", "./script").exit_code == 9    # as every shell does without #!


def test_nobody_reads(anyone, live):
    run = subprocess.Popen([*anyone.prefix, anyone.program, "run", "--", "yes"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env=anyone.environment(), cwd="/")
    assert run.stdout.read(4) == b"y\ny\n"
    run.stdout.close()
    assert run.wait(30) == 141
    assert run.stderr.read() == b""
    run.stderr.close()


def test_pipe_to_head(anyone):
    line = " ".join([*anyone.prefix, anyone.program, "run", "--", "yes", "|", "head", "-n", "3"])
    p = subprocess.run(["bash", "-c", f"set -o pipefail; {line}; echo $?"], env=anyone.environment(), cwd="/",
                       capture_output=True, timeout=30, check=False)
    assert p.stdout.split() == [b"y", b"y", b"y", b"141"] and p.stderr == b""
