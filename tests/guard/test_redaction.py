# SPDX-License-Identifier: Apache-2.0
"""Output redaction: the ways of ways.py with real tools, the verb as a filter, text without secrets."""
import json
import os
import subprocess

import pytest

from ways import MISSED, WAYS

SECRET = "sk_live_7fA1b9Qx2ZpL8mNvRtY3wK6d"
LEAST = 0.907             # of the ways: 68 of 75


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
    assert len(missed) <= (1 - LEAST) * len(WAYS)


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


ENV = f"""# settings
PORT=3000
DEBUG=true
LOG_LEVEL=info
APP_URL=https://example.org/app
DATABASE_URL=postgres://app:q7Xz9Kp2Lm4Rt8@db.example.org:5432/app
API_KEY="{SECRET}"
"""


@pytest.fixture
def project(tmp_path):
    where = tmp_path / "project"
    where.mkdir()
    (where / ".env").write_text(ENV)
    return where


def test_ways_in_a_sandbox(pinfold, project):
    """The sandbox does not have the file; it is handed the value, as if it had come by it."""
    missed = set()
    for name, line in WAYS:
        result = pinfold.result("--workspace", project, "--env", f"K={SECRET}", "--timeout", "30s", "--", "bash", "-c", line)
        assert result["cause"] == "exited", name
        if not any(r["rule"] == "known:API_KEY" and r["stream"] != "result" for r in result["redactions"]):
            missed.add(name)
        assert SECRET not in json.dumps(result), name
    assert missed <= MISSED, missed - MISSED


def test_hidden_files(pinfold, project):
    result = pinfold.result("--workspace", project, "--", "sh", "-c", "cat .env; echo 3000 true info; echo q7Xz9Kp2Lm4Rt8 https://example.org/app")
    assert result["stdout"] == "3000 true info\n[redacted:DATABASE_URL] https://example.org/app\n"
    assert {r["rule"] for r in result["redactions"]} == {"known:DATABASE_URL"}


def test_modes(pinfold, project, tmp_path):
    for mode, shown, found in (("enforce", "[redacted:API_KEY]\n", 1), ("audit", SECRET + "\n", 1), ("off", SECRET + "\n", 0)):
        policy = tmp_path / "p.json"
        policy.write_text(json.dumps({"guard": {"output": mode}}))
        script = project / "print.sh"
        script.write_text(f"echo {SECRET}\n")
        result = pinfold.result("--policy", policy, "--workspace", project, "--", "sh", "print.sh")
        assert result["stdout"] == shown
        assert [(r["rule"], r["encoding"], r["stream"], r["count"]) for r in result["redactions"]] == \
            [("known:API_KEY", "plain", "stdout", 1)] * found


def test_words_of_the_command(pinfold, project):
    result = pinfold.result("--workspace", project, "--", "echo", SECRET)
    assert result["argv"] == ["echo", "[redacted:API_KEY]"] and result["stdout"] == "[redacted:API_KEY]\n"
    assert SECRET not in pinfold("ls", "--json").out


def test_long_output(pinfold, project):
    (project / "long.sh").write_text(f"head -c 3000000 /dev/zero | tr '\\0' x; echo {SECRET}; head -c 2000000 /dev/zero | tr '\\0' y\n")
    result = pinfold.result("--workspace", project, "--", "sh", "long.sh")
    assert result["truncated"] and result["stdout_bytes"] == 5_000_001 + len(SECRET)
    kept = pinfold("output", result["id"])
    assert "x[redacted:API_KEY]\ny" in kept.out and SECRET not in kept.out
    pinfold("drop", "--all")


def test_values_of_the_policy(pinfold, tmp_path):
    (tmp_path / "key").write_text("7fA1b9Qx2Z\n")
    policy = tmp_path / "p.json"
    policy.write_text(json.dumps({"secrets": {"values": {"FILE_KEY": f"@{tmp_path}/key"}}}))
    result = pinfold.result("--policy", policy, "--", "sh", "-c", "echo 7fA1b9Qx2Z | rev")
    assert result["stdout"] == "[redacted:FILE_KEY]\n"


@pytest.mark.parametrize("values, says", [({"K": "value"}, "never the value itself"), ({"K": "@/not/there"}, "cannot read"),
                                          ({"K": 3}, "env:VARIABLE"), (["K"], "an object of references")])
def test_bad_values(pinfold, tmp_path, values, says):
    policy = tmp_path / "p.json"
    policy.write_text(json.dumps({"secrets": {"values": values}}))
    done = pinfold("run", "--policy", policy, "--", "true")
    assert done.code == 125 and says in done.err


def test_a_prompt_is_not_held_for_ever(pinfold):
    """Whoever answers a prompt must see it first: held bytes go after a pause."""
    process = subprocess.Popen([pinfold.program, "run", "-q", "-i", "--secret", "K=env:K", "--", "sh", "-c",
                                "printf 'sk_live_'; read x; echo got $x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=dict(os.environ, K=SECRET, PF_TESTING="1", PINFOLD_STATE=pinfold.state, HOME=os.path.dirname(pinfold.state)))
    assert process.stdout.read(8) == b"sk_live_"
    out, _ = process.communicate(b"yes\n", timeout=30)
    assert out == b"got yes\n"


def test_a_file_that_is_copied_is_not_altered(pinfold, project):
    script = project / "w.sh"
    script.write_text(f"echo {SECRET} > out.txt\n")
    result = pinfold.result("--workspace", project, "--", "sh", "w.sh")
    assert pinfold("apply", result["changes"]["id"]).code == 0
    assert (project / "out.txt").read_text() == SECRET + "\n"


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


@pytest.mark.parametrize("mode", ["--json", "--json=stream"])
@pytest.mark.parametrize("args, told", [
    (["--shell", "curl -s http://{}.example.org/"], "network.default=deny"),        # a denial and its hint
    (["--allow", "*:80", "--shell", "curl -s http://{}.invalid/"], "unreached"),    # a connection
    (["--shell", "cat /{}"], "is outside the workspace"),                           # the guard's reason
])
def test_what_is_told_beside_the_output(pinfold, workspace, mode, args, told):
    """A name that was asked for, the hint made of it, the reason of the guard: none has the secret in it."""
    secret = "7fA1b9Qx2ZpL8mNv"
    policy = json.dumps({"guard": {"command": "audit"}}).encode()
    done = pinfold.run(mode, "--policy", "-", "--workspace", workspace(pinfold, {"a": "a"}), "--secret", "K=env:K",
                       *[arg.format(secret) for arg in args], env={"K": secret}, stdin=policy)
    assert told in done.out and "[redacted:K]" in done.out, done
    assert secret.lower() not in (done.out + done.err).lower(), done


def test_no_command_runs_whose_output_cannot_be_looked_at(anyone, workspace):
    where = workspace(anyone, {".env": "".join(f"A{i}_KEY=abcdEFGH{i:05}xyzQ\n" for i in range(300))})
    r = anyone.result("--workspace", where, "--", "sh", "-c", "echo ran > ran.txt")
    assert (r.cause, r.code) == ("error", 125) and "more than 256 secrets" in r.error
    assert not r.changes or not r.changes["added"]


def test_garbage_at_the_door_is_a_denial_and_no_more(anyone):
    r = anyone.result("--", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'x\\r\\n\\r\\n' >&3; cat <&3 >/dev/null; echo on")
    assert (r.cause, r.stdout) == ("exited", "on\n") and r.denials[0]["target"] is None
