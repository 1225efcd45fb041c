# SPDX-License-Identifier: Apache-2.0
"""Output redaction: the ways of ways.py with real tools, the verb as a filter, text without secrets."""
import os
import subprocess

import pytest

from ways import ARCHIVES, MISSED, WAYS

SECRET = "sk_live_7fA1b9Qx2ZpL8mNvRtY3wK6d"
LEAST = 0.907                  # of the ways: 68 of 75


def printed(line, secret):
    done = subprocess.run(["bash", "-c", line], env=dict(os.environ, K=secret), capture_output=True, timeout=30)
    return done.stdout + done.stderr


def filtered(pinfold, data, secret, *options):
    return subprocess.run([pinfold.program, "guard", "output", "--secret", "K=env:K", *options], input=data,
                          env=dict(os.environ, K=secret), capture_output=True, timeout=30)


def test_ways(pinfold):
    missed = set()
    for name, line in WAYS:
        data = printed(line, SECRET)
        assert data, name
        done = filtered(pinfold, data, SECRET)
        assert done.returncode in (0, 1), done
        if done.returncode == 0:
            assert done.stdout == data
            missed.add(name)
        else:
            assert b"[redacted:K]" in done.stdout
            assert not any(SECRET[i:i + 8].encode() in done.stdout for i in range(len(SECRET) - 7)), name
    assert missed <= MISSED, missed - MISSED
    assert len(missed - ARCHIVES) <= (1 - LEAST) * len(WAYS)


def test_chunks_on_a_pipe(pinfold):
    process = subprocess.Popen([pinfold.program, "guard", "output", "--secret", "K=env:K"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=dict(os.environ, K=SECRET))
    for c in f"a {SECRET} b":
        process.stdin.write(c.encode())
        process.stdin.flush()
    out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == (b"a [redacted:K] b", 1)


def test_what_is_clean_passes_as_it_is(pinfold):
    data = bytes(range(256)) * 1000 + b"\xff\xfe" + b"x" * 3_000_000 + b"\0" * 100_000
    done = filtered(pinfold, data, SECRET)
    assert (done.returncode, done.stdout, done.stderr) == (0, data, b"")


def test_audit(pinfold):
    data = f"a {SECRET} b".encode()
    done = filtered(pinfold, data, SECRET, "--audit", "--counts")
    assert (done.returncode, done.stdout) == (1, data)
    assert done.stderr == b"pinfold: known:K (plain): 1\n"


@pytest.mark.parametrize("spec, says", [
    ("K", "never the value itself"), ("K=value", "never the value itself"), ("=env:X", "never the value itself"),
    ("K=env:", "never the value itself"), ("K=@", "never the value itself"), ("K=env:NOT_THERE", "is not set"),
    ("K=@/not/there", "cannot read"),
])
def test_bad_secret(pinfold, spec, says):
    done = pinfold("guard", "output", "--secret", spec)
    assert done.code == 125 and says in done.err and not done.out


def test_secret_that_is_too_short(pinfold, tmp_path):
    (tmp_path / "key").write_text("abc\n")
    done = pinfold("guard", "output", "--secret", f"K=@{tmp_path}/key")
    assert done.code == 125 and "shorter than 4 bytes" in done.err


def texts(most):
    """Text of this system: documentation, headers, scripts."""
    total = 0
    for top, _, names in os.walk("/usr"):
        for name in sorted(names):
            path = os.path.join(top, name)
            if not name.endswith((".py", ".pm", ".h", ".txt", "copyright", ".html", ".xml", ".js")) or os.path.islink(path):
                continue
            with open(path, "rb") as f:
                data = f.read(2 << 20)
            total += len(data)
            yield data
            if total > most:
                return


def no_false_hit(pinfold, most):
    found = filtered(pinfold, b"\n".join(texts(most)), SECRET, "--counts")
    # Whole keys and tokens that stand in manuals as examples are what they look like.
    lines = [line for line in found.stderr.splitlines() if b"jwt" not in line and b"private-key" not in line]
    assert not lines


def test_no_false_hit(pinfold):
    no_false_hit(pinfold, 8 << 20)


@pytest.mark.slow
def test_no_false_hit_in_100_mb(pinfold):
    no_false_hit(pinfold, 100 << 20)
