# SPDX-License-Identifier: Apache-2.0
"""An output that is longer than its result shows: kept whole in the state directory, and read by range."""
import errno
import json
import os
import pty
import random
import re
import select
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import pytest

MB = 1 << 20
DAY = 86400


def lines(first, last):
    return "".join(f"{i}\n" for i in range(first, last + 1)).encode()


SEQ = lines(1, 400000)    # 2.6 MiB
LONG = "seq 1 400000"


def outputs(who):
    """What is in STATE/outputs."""
    try:
        return sorted(os.listdir(os.path.join(who.state, "outputs")))
    except FileNotFoundError:
        return []


def rows(who):
    """What ls says is kept; beside our sandboxes others may live."""
    return [r for r in json.loads(who("ls", "--json").out)["sandboxes"] if r["state"] not in ("live", "dead")]


def size_of(who, id):
    row, = (r for r in rows(who) if r["id"] == id)
    return row["output"]


@pytest.fixture
def elsewhere(_place, anyone):
    """The same program with a state directory of its own, which this test may spoil."""
    state = tempfile.mkdtemp(prefix="state-", dir=_place)
    if anyone.prefix:
        shutil.chown(state, 12345, 12345)
    who = type(anyone)(anyone.program, state, anyone.runtime, anyone.prefix, {**anyone.env, "PINFOLD_STATE": state})
    yield who
    shutil.rmtree(state)


# --- whole --------------------------------------------------------------------------------------


def test_long_output_is_kept_whole(anyone, sh):
    r = sh(anyone, f"{LONG}; yes err | head -c 2M >&2; exit 3")
    assert (r.exit_code, r.truncated, r.stdout_bytes, r.stderr_bytes) == (3, True, len(SEQ), 2 * MB)
    p = anyone("output", r.id)
    assert (p.code, p.err) == (0, "") and p.out_bytes == SEQ
    p = anyone("output", "--stderr", r.id)
    assert (p.code, p.err) == (0, "") and p.out_bytes == b"err\n" * (2 * MB // 4)
    assert outputs(anyone) == [r.id] and size_of(anyone, r.id) == {"stdout_bytes": len(SEQ), "stderr_bytes": 2 * MB}


def test_the_result_says_where_it_is(anyone, sh):
    r = sh(anyone, f"{LONG}; yes err | head -c 2M >&2")
    for text, option in ((r.stdout, ""), (r.stderr, " --stderr")):
        match = re.search(r"\n\[pinfold: (\d+) bytes left out here; pinfold output (\S+)( --stderr)? prints all\]\n", text)
        assert match and match.group(2) == r.id and (match.group(3) or "") == option, text[MB // 2 - 100:MB // 2 + 200]
        assert len(text) - len(match.group(0)) + int(match.group(1)) == (r.stderr_bytes if option else r.stdout_bytes)


def test_people_are_told(anyone):
    p = anyone.run("--", "sh", "-c", f"{LONG}; echo done >&2")
    assert p.out_bytes == SEQ
    match = re.fullmatch(r"done\npinfold: output: 2.6 MiB of stdout kept \(pinfold output (\S+); pinfold drop (\S+)\)\n", p.err)
    assert match and anyone("output", match.group(1)).out_bytes == SEQ
    assert anyone("drop", match.group(2)).code == 0 and outputs(anyone) == []
    assert anyone.run("-q", "--", "sh", "-c", LONG).err == ""


def test_the_short_stream_of_a_long_one_is_kept_too(anyone, sh):
    r = sh(anyone, f"echo out; {LONG} >&2")
    assert r.stdout == "out\n" and r.truncated
    assert anyone("output", r.id).out_bytes == b"out\n" and anyone("output", r.id, "--stderr").out_bytes == SEQ


@pytest.mark.parametrize("how", [["--json=stream"], ["-t", "--json"]])
def test_in_every_form(anyone, how):
    p = anyone.run(*how, "--", "sh", "-c", LONG)
    result = json.loads(p.out.splitlines()[-1])
    result = result.get("result", result)
    got = anyone("output", result["id"]).out_bytes
    assert result["truncated"] and got == (SEQ.replace(b"\n", b"\r\n") if "-t" in how else SEQ)


def test_of_a_command_that_is_killed(anyone, sh):
    r = sh(anyone, f"{LONG}; kill -9 $$")
    assert r.cause == "signalled" and anyone("output", r.id).out_bytes == SEQ


def test_only_ours_can_read_it(anyone, sh):
    r = sh(anyone, LONG)
    path = os.path.join(anyone.state, "outputs", r.id)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert {n: stat.S_IMODE(os.stat(os.path.join(path, n)).st_mode) for n in os.listdir(path)} == dict.fromkeys(
        ("stdout", "stderr", "meta.json"), 0o600)


def test_a_cut_goes_through_no_character(anyone, sh):
    """Text stays text, wherever the bounds come to lie."""
    for shift in range(4):
        r = sh(anyone, f"printf '%{shift}s' ''; yes '€äa😀' | head -n 300000")
        assert (r.stdout_encoding, r.stdout_bytes) == ("utf-8", 11 * 300000 + shift)
        head, tail = re.split(r"\n\[pinfold: \d+ bytes left out here[^]]*\]\n", r.stdout)
        left = int(re.search(r"\[pinfold: (\d+) bytes", r.stdout).group(1))
        whole = anyone("output", r.id).out_bytes
        assert whole.startswith(head.encode()) and whole.endswith(tail.encode())
        assert len(head.encode()) + left + len(tail.encode()) == len(whole) == r.stdout_bytes


# --- nothing more than that -----------------------------------------------------------------------


def test_a_usual_run_makes_nothing(elsewhere, sh):
    r = sh(elsewhere, "yes | head -c 1M; yes e | head -c 1M >&2")    # exactly the limit
    assert not r.truncated and len(r.stdout) == len(r.stderr) == MB
    assert not os.path.exists(os.path.join(elsewhere.state, "outputs"))
    assert "no output is kept" in elsewhere("output", "last").err and rows(elsewhere) == []
    assert not os.path.exists(os.path.join(elsewhere.state, "outputs"))    # nor does looking
    r = sh(elsewhere, "yes | head -c 1048577")
    assert r.truncated and elsewhere("output", "last").out_bytes == b"y\n" * (MB // 2) + b"y"


def test_the_limit_is_the_policys(anyone, sh, workspace):
    for limit, script, expected in (('"1K"', "seq 1 2000", lines(1, 2000)), ("1", "printf ab", b"ab")):
        policy = os.path.join(workspace(anyone, {"p.json": f'{{"limits": {{"output_inline": {limit}}}}}'}), "p.json")
        r = sh(anyone, script, "--policy", policy)
        assert r.truncated and anyone("output", r.id).out_bytes == expected


def test_rm_keeps_none(anyone, sh):
    r = sh(anyone, LONG, "--rm")
    assert r.truncated and "bytes left out here]" in r.stdout and outputs(anyone) == []
    p = anyone.run("--rm", "--", "sh", "-c", LONG)
    assert (p.out_bytes, p.err) == (SEQ, "") and outputs(anyone) == []
    p = anyone("output", r.id)
    assert p.code == 125 and p.out == "" and "is kept" in p.err


def test_up_to_the_limit_that_ends_it(anyone, sh):
    r = sh(anyone, "yes | head -c 10M; sleep 3600", "--output-limit", "4M")
    assert r.cause == "output_limit" and r.truncated and r.stdout_bytes > 4 * MB
    assert "prints what came before the limit]" in r.stdout
    assert anyone("output", r.id).out_bytes == b"y\n" * (2 * MB)
    r = sh(anyone, "yes | head -c 1M & yes e | head -c 8M >&2; wait", "--output-limit", "4M")
    out, err = anyone("output", r.id).out_bytes, anyone("output", r.id, "--stderr").out_bytes
    assert len(out) + len(err) == 4 * MB


def test_all_within_the_inline_limit_although_it_was_ended(anyone, sh):
    """What was beyond the limit is nowhere, so nothing claims to have it."""
    r = sh(anyone, "yes | head -c 1M", "--output-limit", "100K")
    assert r.cause == "output_limit" and r.truncated and "bytes left out here]" in r.stdout and outputs(anyone) == []


# --- by range -----------------------------------------------------------------------------------------


@pytest.fixture
def kept(anyone, sh):
    return sh(anyone, LONG).id


def test_ranges(anyone, kept):
    dice = random.Random(7)
    cases = [(0, 0), (0, 9), (len(SEQ) - 1, len(SEQ) - 1), (len(SEQ) - 5, len(SEQ) + 100), (65530, 65545), (0, len(SEQ) - 1)]
    cases += [sorted(dice.randrange(len(SEQ)) for _ in range(2)) for _ in range(6)]
    for first, last in cases:
        assert anyone("output", kept, "--range", f"{first}-{last}").out_bytes == SEQ[first:last + 1], (first, last)
    for first in (0, 1, len(SEQ) - 3, len(SEQ)):
        p = anyone("output", kept, f"--range={first}-")
        assert (p.code, p.out_bytes) == (0, SEQ[first:]), first
    assert anyone("output", kept, "--range", "1K-2K").out_bytes == SEQ[1024:2049]
    for n in (0, 1, 70000, len(SEQ), len(SEQ) * 2):
        assert anyone("output", kept, "--head", n).out_bytes == SEQ[:n], n
        assert anyone("output", kept, "--tail", n).out_bytes == SEQ[max(0, len(SEQ) - n):], n
    assert anyone("output", kept, "--stderr", "--range", "0-").out_bytes == b""


def test_ranges_that_are_none(anyone, kept):
    for args, says in (
            (["--range", "5"], "--range FROM-TO"), (["--range", "9-5"], "ends before it begins"),
            (["--range", "-5"], "--range FROM-TO"), (["--range", "a-b"], "--range FROM-TO"),
            (["--range", "1-2-3"], "--range FROM-TO"), (["--range", ""], "--range FROM-TO"),
            (["--range", "0-18446744073709551616"], "--range FROM-TO"), (["--head", "x"], "--head takes a size"),
            (["--tail", "-1"], "--tail takes a size"), (["--head", "1", "--tail", "1"], "exclude each other"),
            ([f"--range={len(SEQ) + 1}-"], f"there are {len(SEQ)}"), (["--lines", "3"], "--lines"),
            (["more"], "one output at a time")):
        p = anyone("output", kept, *args)
        assert p.code == 125 and p.out == "" and says in p.err, p


def test_the_whole_range_of_numbers(anyone, kept):
    assert anyone("output", kept, "--range", "0-18446744073709551615").out_bytes == SEQ
    assert anyone("output", kept, "--head", "18446744073709551615").out_bytes == SEQ


def test_by_the_beginning_of_an_id_and_last(anyone, sh):
    first, second = sh(anyone, LONG).id, sh(anyone, "seq 2 400000").id
    assert anyone("output", "last", "--head", "2").out == "2\n"
    assert anyone("output", first.partition(".")[0], "--head", "2").out == "1\n"
    assert anyone("output", second[:8], "--head", "2").out == "2\n"
    for name in ("", "none", first + "0", "../outputs/" + first, ".", first.partition(".")[0] + "."[:0] + "x"):
        p = anyone("output", name)
        assert p.code == 125 and p.out == "" and "is kept" in p.err, (name, p)
    assert anyone("output").code == 125


def test_a_terminal_gets_printable_text(anyone, sh):
    r = sh(anyone, r"printf 'a\tb\r\n\033[2Jred\033]0;x\007 \342\202\254 \342\200\256 \r\001\377.\n'; yes '€' | head -c 2M")
    master, slave = pty.openpty()
    p = anyone.popen("output", r.id, "--head", "65611", stdout=slave)
    os.close(slave)
    seen = b""
    while select.select([master], [], [], 20)[0]:
        try:
            data = os.read(master, 65536)
        except OSError as e:
            assert e.errno == errno.EIO
            break
        seen += data
    os.close(master)
    p.stderr.close()
    assert p.wait(20) == 0
    first, rest = seen.replace(b"\r\n", b"\n").replace(b"\r\n", b"\n").split(b"\n", 2)[:2], seen.split(b"\n", 2)[2]
    assert first[0].replace(b"        ", b"\t").rstrip(b"\r") in (b"a\tb", b"a       b"), first
    assert first[1].rstrip(b"\r") == rb"\x1b[2Jred\x1b]0;x\x07 " + "€".encode() + rb" \xe2\x80\xae \x0d\x01\xff."
    assert set(rest.split(b"\r\n")[:-1]) == {"€".encode()} and b"\x1b" not in seen
    assert anyone("output", r.id, "--head", "14").out_bytes == b"a\tb\r\n\x1b[2Jred\x1b]"    # a pipe has it as it was


def test_a_reader_that_stops(anyone, kept):
    p = anyone.popen("output", kept)
    assert p.stdout.read(10) == SEQ[:10]
    p.stdout.close()
    assert p.wait(20) in (141, -signal.SIGPIPE)
    assert p.stderr.read() == b""
    p.stderr.close()


# --- what goes wrong -----------------------------------------------------------------------------------


def not_kept(who, r, why):
    assert (r.cause, r.exit_code, r.truncated) == ("exited", 3, True) and r.error is None
    assert f"bytes left out here; they could not be kept: {why}]" in r.stdout and "prints all" not in r.stdout
    p = who("output", r.id)
    assert p.code == 125 and p.out == ""
    assert outputs(who) == []


def test_a_full_disk(elsewhere, sh, need_root):
    """Of the state directory; the command is not told."""
    sh(elsewhere, "true")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", elsewhere.state], check=True)
    try:
        if elsewhere.prefix:
            os.chown(elsewhere.state, 12345, 12345)
        sh(elsewhere, "true")    # what it makes once
        free = os.statvfs(elsewhere.state)
        with open(os.path.join(elsewhere.state, "filler"), "wb") as f:
            f.write(bytes(free.f_bavail * free.f_bsize - 2 * MB))
        r = sh(elsewhere, f"{LONG}; seq 1 900000; echo fine >&2; exit 3")
        not_kept(elsewhere, r, "No space left on device")
        assert r.stderr == "fine\n"
        p = elsewhere.run("--", "sh", "-c", f"{LONG}; exit 3")
        assert (p.code, p.out_bytes) == (3, SEQ)
        assert p.err == "pinfold: output: stdout could not be kept: No space left on device\n"
        os.unlink(os.path.join(elsewhere.state, "filler"))
        assert elsewhere("output", sh(elsewhere, LONG).id).out_bytes == SEQ
    finally:
        subprocess.run(["umount", elsewhere.state], check=True)


def test_one_stream_fails_and_the_other_is_kept(elsewhere, sh, need_root):
    sh(elsewhere, "true")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", elsewhere.state], check=True)
    try:
        if elsewhere.prefix:
            os.chown(elsewhere.state, 12345, 12345)
        sh(elsewhere, "true")
        free = os.statvfs(elsewhere.state)
        with open(os.path.join(elsewhere.state, "filler"), "wb") as f:
            f.write(bytes(free.f_bavail * free.f_bsize - 4 * MB))
        r = sh(elsewhere, f"{LONG} >&2; read x; yes | head -c 8M", "-i", stdin=b"\n")
        assert "could not be kept" in r.stdout and "--stderr prints all" in r.stderr
        assert elsewhere("output", r.id, "--stderr").out_bytes == SEQ
        p = elsewhere("output", r.id)
        assert p.code == 125 and p.out == "" and "is not kept" in p.err
        assert size_of(elsewhere, r.id) == {"stdout_bytes": None, "stderr_bytes": len(SEQ)}
    finally:
        subprocess.run(["umount", elsewhere.state], check=True)


def test_a_limit_on_the_size_of_files(anyone):
    """RLIMIT_FSIZE of who runs it: a write beyond it would raise SIGXFSZ and end the keeper."""
    argv = [*anyone.prefix, anyone.program, "run", "--json", "--", "sh", "-c", f"{LONG}; exit 3"]
    p = subprocess.run(["prlimit", "--fsize=2097152", "--", *argv], env=anyone.environment(), cwd="/", capture_output=True,
                       timeout=60, check=False)
    assert p.returncode == 3, p
    r = json.loads(p.stdout)
    assert r["cause"] == "exited" and r["truncated"] and "they could not be kept: File too large]" in r["stdout"]
    assert outputs(anyone) == []


def test_a_directory_that_others_may_write(elsewhere, sh):
    path = os.path.join(elsewhere.state, "outputs")
    subprocess.run([*elsewhere.prefix, "mkdir", "-m", "777", path], check=True)
    not_kept(elsewhere, sh(elsewhere, f"{LONG}; exit 3"), f"{path} is open to others (mode 777): chmod 700 {path}")
    os.rmdir(path)
    subprocess.run([*elsewhere.prefix, "ln", "-s", "/", path], check=True)
    r = sh(elsewhere, f"{LONG}; exit 3")
    assert r.exit_code == 3 and "must be a directory and no symbolic link" in r.stdout
    assert "no symbolic link" in elsewhere("output", "last").err
    os.unlink(path)


def test_a_file_that_became_shorter(anyone, kept):
    """As after a crash of the machine: it is not passed off as the whole."""
    path = os.path.join(anyone.state, "outputs", kept)
    os.truncate(os.path.join(path, "stdout"), 1000)
    p = anyone("output", kept)
    assert p.code == 125 and p.out == "" and "is not whole any more" in p.err
    assert anyone("output", kept, "--stderr").code == 0
    with open(os.path.join(path, "meta.json"), "w", encoding="utf-8") as f:
        f.write("{}")
    assert anyone("output", kept).code == 125
    assert "unreadable" in anyone("ls").out
    assert anyone("drop", "--all").code == 0 and outputs(anyone) == []


# --- how long it stays -----------------------------------------------------------------------------------


def spooling(anyone, live):
    """A run that has begun its file and waits."""
    run = live(anyone, "run", "-i", "--", "sh", "-c", f"{LONG}; echo END; read x; seq 400001 500000", stdin=subprocess.PIPE)
    run.until("END\n")
    return run


def test_while_it_runs_nobody_sweeps_it(anyone, live, sh):
    run = spooling(anyone, live)
    stage, = outputs(anyone)
    assert stage.startswith(".")
    assert sh(anyone, "seq 1 400001").truncated and anyone("doctor", "--clean").code in (0, 1)
    assert "still runs" in anyone("output", stage[1:]).err
    assert stage in outputs(anyone)
    run.send("\n")
    assert run.wait() == 0
    assert anyone("output", stage[1:]).out_bytes == SEQ + b"END\n" + lines(400001, 500000)


@pytest.mark.parametrize("how", ["run", "doctor"])
def test_killed_while_it_is_written(anyone, live, how):
    """Only pinfold itself: what it leaves is swept with the sandbox."""
    run = spooling(anyone, live)
    stage, = outputs(anyone)
    run.process.kill()
    run.wait()
    assert outputs(anyone) == [stage]
    assert "is kept" in anyone("output", stage[1:]).err
    if how == "run":
        assert anyone.run("--", "true").code == 0
    else:
        assert anyone("doctor", "--clean").code in (0, 1)
    assert outputs(anyone) == []
    anyone.sweep()


def plant(who, id, size, age):
    """An output as it would be kept, of zeros."""
    path = os.path.join(who.state, "outputs", id)
    os.mkdir(path, 0o700)
    for name, n in (("stdout", size), ("stderr", 0)):
        with open(os.path.join(path, name), "wb") as f:
            f.truncate(n)
    with open(os.path.join(path, "meta.json"), "w", encoding="utf-8") as f:
        json.dump({"schema": 1, "id": id, "command": "x", "ended": int(time.time() - age), "stdout_bytes": size,
                   "stderr_bytes": 0}, f)
    if who.prefix:
        subprocess.run(["chown", "-R", "12345:12345", path], check=True)
    os.utime(path, (time.time() - age,) * 2)


def test_seven_days_and_one_gib(anyone, sh):
    first = sh(anyone, LONG).id
    plant(anyone, "aaaaaaaaaaaa.1", MB, 8 * DAY)
    plant(anyone, "bbbbbbbbbbbb.1", 400 * MB, 6 * DAY)
    plant(anyone, "cccccccccccc.1", 400 * MB, 5 * DAY)
    plant(anyone, "dddddddddddd.1", 300 * MB, 4 * DAY)
    assert len(rows(anyone)) == 5
    new = sh(anyone, LONG).id
    assert outputs(anyone) == sorted(["cccccccccccc.1", "dddddddddddd.1", first, new])
    # what is dated in the future is new
    plant(anyone, "eeeeeeeeeeee.1", 500 * MB, -DAY)
    doctor = json.loads(anyone("doctor", "--json", "--clean").out)
    assert outputs(anyone) == sorted(["dddddddddddd.1", "eeeeeeeeeeee.1", first, new])
    assert doctor["outputs"] == {"count": 4, "bytes": 800 * MB + 2 * len(SEQ)} and doctor["left"]["removed"] >= 1


def test_names_that_are_not_ours_stay(anyone, sh):
    sh(anyone, LONG)
    path = os.path.join(anyone.state, "outputs")
    others = ["readme", "a.b", ".hidden", "x.1.2", "-x.1", "x.", ".1"]
    for name in others:
        subprocess.run([*anyone.prefix, "mkdir", os.path.join(path, name)], check=True)
        os.utime(os.path.join(path, name), (1, 1))
    assert anyone("doctor", "--clean").code in (0, 1) and set(others) <= set(outputs(anyone))
    assert anyone("drop", "--all").code == 0 and outputs(anyone) == sorted(others)
    for name in others:
        os.rmdir(os.path.join(path, name))


# --- drop, ls ----------------------------------------------------------------------------------------------


def test_drop(anyone, sh, workspace):
    a, b = sh(anyone, LONG).id, sh(anyone, LONG).id
    assert anyone("drop", a).code == 0 and outputs(anyone) == [b]
    p = anyone("drop", a)
    assert p.code == 125 and f"no output '{a}' is kept" in p.err
    assert anyone("drop", b.partition(".")[0]).code == 0 and outputs(anyone) == []
    ws = workspace(anyone, {"f": "x"})
    c = sh(anyone, f"{LONG}; echo new > f", "--workspace", ws)
    assert [r["state"] for r in rows(anyone)] == ["changes", "output"]
    d = sh(anyone, LONG).id
    assert anyone("drop", "last").code == 0    # the newest change set, and what is of the same sandbox
    assert outputs(anyone) == [d] and c.changes["id"] not in anyone("ls").out
    c = sh(anyone, f"{LONG}; echo new > f", "--workspace", ws)
    assert anyone("drop", c.id).code == 0 and anyone("diff", c.changes["id"]).code == 0    # the output alone
    p = anyone("drop", "--all")
    assert (p.code, p.err) == (0, "pinfold: 2 dropped\n") and rows(anyone) == []


def test_drop_of_what_begins_several(anyone, sh):
    sh(anyone, LONG)
    for id in ("zzzzzzzzzzza.1", "zzzzzzzzzzzb.1", "zzzzzzzzzzzb.10", "zzzzzzzzzzzb.11"):
        plant(anyone, id, 1, 0)
    for word in ("zzz", "zzzzzzzzzzzb.", ""):
        p = anyone("drop", word)
        assert p.code == 125 and len(outputs(anyone)) == 5, p
    assert anyone("output", "zzzzzzzzzzzb").code == 125
    assert anyone("output", "zzzzzzzzzzzb.1").out_bytes == b"\0"
    assert anyone("drop", "zzzzzzzzzzzb.1").code == 0 and len(outputs(anyone)) == 4
    assert anyone("drop", "zzzzzzzzzzzb", "zzzzzzzzzzzb.10").code == 0 and len(outputs(anyone)) == 2


def test_ls(anyone, sh):
    r = sh(anyone, LONG + "; echo '\033[1m'")
    row, = rows(anyone)
    assert (row["id"], row["state"], row["changes"], row["workspace"]) == (r.id, "output", None, None)
    assert row["output"] == {"stdout_bytes": len(SEQ) + 5, "stderr_bytes": 0} and "seq 1 400000" in row["command"]
    line, = (line for line in anyone("ls").out.splitlines() if line.startswith(r.id))
    assert line.split()[1] == "output" and "2.6 MiB" in line and "\033" not in line


# --- the API -------------------------------------------------------------------------------------------------


def test_over_the_api(anyone, built):
    program = built("outputs")
    if anyone.prefix:
        program = shutil.copy(program, os.path.join(os.path.dirname(anyone.program), "outputs"))
    libexec = os.path.join(os.path.dirname(anyone.program), "libexec/pinfold")
    argv = [*anyone.prefix, program, anyone.state, anyone.runtime, libexec, os.environ.get("PF_TIER") or "auto"]
    if anyone.result("--", "true")["receipt"]["limits_by"].startswith("cgroup"):
        argv.append("separate")
    p = subprocess.run(argv, env=anyone.environment(), cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=120, check=False)
    assert p.returncode == 0, f"{p.returncode}\n{p.stdout}{p.stderr}"
    assert outputs(anyone) == []
