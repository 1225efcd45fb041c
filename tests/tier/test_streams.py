# SPDX-License-Identifier: Apache-2.0
"""Bytes in and out: as they come, exact, each stream for itself, and what happens when somebody does not read or write."""
import base64
import hashlib
import json
import os
import subprocess
import time

import pytest

MB = 1 << 20


def sha(data):
    return hashlib.sha256(data).hexdigest()


# --- as they are written ------------------------------------------------------------------------


def test_output_arrives_as_it_is_written(anyone, live):
    """The command waits for our answer to each line, so that a line that were held back would never come."""
    script = "echo one; read a; echo two >&2; read b; printf three; read c; echo $a$b$c"
    run = live(anyone, "run", "-i", "--", "sh", "-c", script, stdin=subprocess.PIPE)
    run.until("one\n")
    run.send("1\n")
    run.until("two\n", "err")
    run.send("2\n")
    run.until("three")
    run.send("3\n")
    run.until("123\n")
    assert run.wait() == 0


def test_json_stream_arrives_as_it_is_written(anyone, live):
    run = live(anyone, "run", "--json=stream", "-i", "--", "sh", "-c", "echo one; read a; echo two >&2; read b; exit 4",
               stdin=subprocess.PIPE)
    run.until('"started"')
    run.until('"one\\n"')
    run.send("1\n")
    run.until('"two\\n"')
    run.send("2\n")
    assert run.wait() == 4
    lines = [json.loads(line) for line in run.text().splitlines()]
    assert [line["type"] for line in lines] == ["started", "stdout", "stderr", "result"]
    assert lines[3]["result"]["id"].startswith(lines[0]["id"]) and lines[3]["result"]["exit_code"] == 4


def test_json_stream_does_not_cut_characters(pinfold):
    script = "printf '\\303'; sleep 0.1; printf '\\244\\n'; sleep 0.1; printf 'a\\377b'"
    lines = [json.loads(line) for line in pinfold.run("--json=stream", "--", "sh", "-c", script).out.splitlines()]
    pieces = [line for line in lines if line["type"] == "stdout"]
    got = b"".join(base64.b64decode(p["data"]) if p["encoding"] == "base64" else p["data"].encode() for p in pieces)
    assert got == b"\xc3\xa4\na\xffb"
    assert pieces[0]["encoding"] == "utf-8" and pieces[0]["data"].startswith("\u00e4")


# --- much, and exact -----------------------------------------------------------------------------


def test_a_hundred_megabytes(anyone):
    size = 100 * MB
    process = anyone.popen("run", "-q", "--output-limit", "200M", "--", "sh", "-c",
                           f"yes 0123456789abcdef | head -c {size}; echo done >&2", stderr=subprocess.PIPE)
    digest, count = hashlib.sha256(), 0
    while data := process.stdout.read1(MB):
        digest.update(data)
        count += len(data)
    err = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    assert process.wait(60) == 0 and (count, err) == (size, b"done\n")
    line = b"0123456789abcdef\n"
    assert digest.hexdigest() == sha((line * (size // len(line) + 1))[:size])


def test_more_than_the_limit_ends_it(anyone):
    p = anyone.run("--", "sh", "-c", "yes | head -c 100M")
    assert p.code == 124 and len(p.out_bytes) >= 64 * MB and "output_limit" in p.err


def test_binary_bytes(anyone):
    data = bytes(range(256)) * 300
    p = anyone.run("-i", "--", "cat", stdin=data)
    assert p.code == 0 and p.out_bytes == data
    r = anyone.result("-i", "--", "sh", "-c", "tee /proc/self/fd/2", stdin=data)
    assert r.stdout_encoding == r.stderr_encoding == "base64"
    assert base64.b64decode(r.stdout) == base64.b64decode(r.stderr) == data


def test_long_output_is_kept_head_and_tail(pinfold, sh):
    r = sh(pinfold, "echo first; yes middle | head -c 8M; echo last")
    assert r.truncated and r.stdout_bytes == 8 * MB + 11
    assert r.stdout.startswith("first\nmiddle\n") and r.stdout.endswith("last\n")
    assert len(r.stdout) < MB + 200


def test_input_of_ten_megabytes(anyone):
    data = os.urandom(10 * MB)
    p = anyone.run("-i", "--", "sha256sum", stdin=data)
    assert p.out.split()[0] == sha(data)
    p = anyone.run("-i", "--", "cat", stdin=data)
    assert p.code == 0 and sha(p.out_bytes) == sha(data)


def test_input_from_a_file_and_its_end(anyone, tmp_path):
    path = tmp_path / "in"
    path.write_bytes(b"x" * 70000)
    with open(path, "rb") as f:
        p = anyone.run("-i", "--", "wc", "-c", stdin=f)
    assert p.out.split() == ["70000"]


# --- who does not read ------------------------------------------------------------------------------


def test_a_slow_reader_of_stdout_does_not_hold_up_stderr(anyone, live):
    """stdout is not read at all while the command has megabytes for it; its lines on stderr come all the same."""
    script = "yes | head -c 4M & sleep 0.3; for i in 1 2 3; do echo line $i >&2; read a; done; wait; echo end >&2"
    process = anyone.popen("run", "-i", "--", "sh", "-c", script, stdin=subprocess.PIPE)
    seen = b""
    os.set_blocking(process.stderr.fileno(), True)
    try:
        for i in (1, 2, 3):
            while f"line {i}\n".encode() not in seen:
                assert readable(process.stderr, 20), f"stderr is held up after {seen!r}"
                seen += os.read(process.stderr.fileno(), 4096)
            process.stdin.write(b"on\n")
            process.stdin.flush()
        out = process.stdout.read()
        assert len(out) == 4 * MB
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def readable(stream, seconds):
    import select
    return bool(select.select([stream], [], [], seconds)[0])


def test_a_reader_that_rests_loses_nothing(anyone, wait_for):
    """The command is long gone when its output is read; longer than we wait for streams to close."""
    process = anyone.popen("run", "--", "sh", "-c", "seq 1 60000; echo done >&2", stderr=subprocess.PIPE)
    begun = time.monotonic()
    wait_for(lambda: time.monotonic() - begun > 2.6, "a reader that rests")
    out = process.stdout.read()
    process.stdout.close()
    assert process.wait(30) == 0
    assert sha(out) == sha("".join(f"{i}\n" for i in range(1, 60001)).encode()), len(out)
    assert process.stderr.read() == b"done\n"
    process.stderr.close()


def test_a_command_that_does_not_read(anyone):
    """More input than it takes: no hang, no error of ours."""
    p = anyone.run("-i", "--", "sh", "-c", "head -c 5; exit 7", stdin=b"0123456789" * MB)
    assert (p.code, p.out_bytes) == (7, b"01234")
    p = anyone.run("-i", "--", "sh", "-c", "exec <&-; echo closed", stdin=b"x" * 5 * MB)
    assert (p.code, p.out) == (0, "closed\n")


def test_timeout_although_nobody_reads(anyone):
    """A stopped reader must not keep us from ending the command."""
    process = anyone.popen("run", "--timeout", "1s", "--", "yes")
    try:
        begun = time.monotonic()
        assert process.stdout.read(2) == b"y\n"
        # nothing more is read; only the deadline can end it, and what was written is then drained
        rest = b""
        import select
        select.select([], [], [], 1.3)
        rest = process.stdout.read()
        assert process.wait(30) == 124 and rest and time.monotonic() - begun < 30
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


# --- stdin ----------------------------------------------------------------------------------------------


def test_without_i_stdin_is_dev_null(anyone, sh):
    r = sh(anyone, "readlink /proc/self/fd/0; cat | wc -c", stdin=b"nothing of this")
    assert r.stdout == "/dev/null\n0\n"


def test_closed_stdin(anyone):
    """Our own 0 is closed: nothing takes its number, and the command sees an end of file."""
    for extra in ([], ["-i"]):
        argv = [*anyone.prefix, anyone.program, "run", *extra, "--", "sh", "-c", "cat | wc -c; echo ok >&2"]
        p = subprocess.run(["bash", "-c", 'exec "$@" <&-', "bash", *argv], env=anyone.environment(), cwd="/",
                           capture_output=True, timeout=30, check=False)
        assert (p.returncode, p.stdout.strip(), p.stderr) == (0, b"0", b"ok\n"), p


def test_closed_stdout_and_stderr(anyone):
    argv = [*anyone.prefix, anyone.program, "run", "--", "sh", "-c", "echo out; echo err >&2"]
    for how in (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        p = subprocess.run(["bash", "-c", f'exec "$@" {how}', "bash", *argv], env=anyone.environment(), cwd="/",
                           capture_output=True, timeout=30, check=False)
        assert p.returncode in (0, 125, 141), (how, p)
        assert p.stdout in (b"", b"out\n") and (b"err" in p.stderr or "2>&-" in how), (how, p)


def test_full_stdout(anyone):
    """/dev/full: said, and the command is not left to run on."""
    argv = [*anyone.prefix, anyone.program, "run", "--", "yes"]
    with open("/dev/full", "wb") as full:
        p = subprocess.run(argv, env=anyone.environment(), cwd="/", stdout=full, stderr=subprocess.PIPE, timeout=30,
                           stdin=subprocess.DEVNULL, check=False)
    assert p.returncode == 125 and b"No space left" in p.stderr


def test_streams_are_pipes_that_can_be_reopened(anyone, sh):
    r = sh(anyone, "echo a > /dev/stdout; echo b > /dev/stderr; echo c > /proc/self/fd/1; echo d | tee /dev/stdout;"
                   "echo e | tee /dev/stderr > /dev/null; python3 -c 'print(\"f\", file=open(\"/dev/stdout\", \"w\"))'")
    assert r.exit_code == 0, r
    assert r.stdout == "a\nc\nd\nd\nf\n"
    assert r.stderr == "b\ne\n"


def test_no_descriptor_but_the_three(anyone, sh):
    r = sh(anyone, "ls /proc/self/fd | tr '\\n' ' '")
    assert r.stdout.split()[:3] == ["0", "1", "2"] and len(r.stdout.split()) == 4    # and the directory that ls reads


@pytest.mark.parametrize("command", [["true"], ["sh", "-c", "printf x"]])
def test_nothing_of_ours_on_the_streams(anyone, command):
    p = anyone.run("--", *command)
    assert (p.code, p.err) == (0, "") and p.out in ("", "x")
