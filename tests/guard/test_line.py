# SPDX-License-Identifier: Apache-2.0
"""`run --shell` without a shell: what pinfold starts by itself does what dash does with the same line."""
import json
import os
import random
import re

import images
import pytest

SEED = int(os.environ.get("PF_SEED", 20261125))
LINES = int(os.environ.get("PF_LINES", 100))
FILES = {"a.txt": "one\ntwo\nthree\n", "b.txt": "x\n", "d/c.txt": "deep\n", "bare.sh": "echo bare $1\n", "s p.txt": "blank\n"}
FIRST = ["echo a", "echo -n b", "cat a.txt", "cat < b.txt", "true", "false", ":", "sh -c 'exit 3'", "sh -c 'kill -9 $$'", "sh -c 'kill -15 $$'",
         "nosuch", "./bare.sh", "./d", "ls d", "cat 's p.txt'", "printenv PWD", "X='a b' printenv X", "HOME=/x printenv HOME", "X=1 Y=2 sh -c 'echo $X$Y'",
         "cat nope.txt", "cat < nope.txt", "echo 'it'\\''s' \"$\"", "exit", "exit 3", "cd d", "cd ./d/", "cd nope", "cd /tmp", "mkdir new",
         "grep t a.txt", "sh -c 'echo out; echo err >&2'", "env -i sh -c 'echo $PWD'", "echo a=b", "pwd.x", "seq 1 20000", "sleep 0",
         "cat <<E\nhere 'x'\nE", "cat - a.txt <<'E'\n$HOME\nE"]
THEN = ["cat", "head -n 1", "wc -l", "tr a-z A-Z", "grep -c t", "sh -c 'cat >/dev/null; exit 4'", "true", "false", "sort -r", "nosuch"]
REDIRECT = ["> out.txt", ">> b.txt", "2> err.txt", "2>&1", "> /dev/null 2>&1", "2>&1 > out.txt", ">&2", "> nodir/x", "< a.txt", "1> d/o.txt"]
FALL_BACK = ["echo $((1+2))", "echo 'a\\nb'", "echo *.txt", "echo ~", "if true; then echo yes; fi", "for x in a b; do echo \"$x\"; done", "test -f a.txt && echo there",
             "printf '%s-' a b", "pwd", "(exit 4)", "echo -e a", "echo -n -e a", "cd d | cat; ls", "cd d/..; ls", "PATH=/nope ls", ": > z.txt; ls",
             "sh -c 'exit 9' & wait", "! false", "kill -0 1 || echo no", "exit 300", "echo \"$HOME\""]


SHELLS_OWN = "sh: |.*not found|.*: Permission denied|Killed|Terminated|cannot (?:open|create) "


def generated():
    rng = random.Random(SEED)
    for _ in range(LINES):
        line = ""
        for _ in range(rng.randint(1, 4)):
            piece = rng.choice(FIRST)
            here = "\n" in piece
            if rng.random() < 0.25 and not here:
                piece += " " + rng.choice(REDIRECT)
            while rng.random() < 0.3 and not here:
                piece += " | " + rng.choice(THEN)
            line += piece + ("\n" if here else rng.choice([" && ", " || ", "; ", "\n", " ;"]))
        yield line.rstrip(" &|;\n") + ("\n" if "<<" in line else "")


@pytest.fixture(name="both")
def _both(pinfold, workspace, tmp_path):
    """both(line): the result of pinfold's own run, and of the image's shell, with what each changed."""
    os.chmod(tmp_path, 0o755)
    policy = tmp_path / "audit.json"
    policy.write_text(json.dumps({"guard": {"command": "audit"}, "limits": {"wall_time": "20s"}}))

    def run(line):
        seen = []
        where = workspace(pinfold, FILES)
        os.chmod(os.path.join(where, "bare.sh"), 0o755)
        for args in (("--policy", str(policy), "--shell", line), ("--", "sh", "-c", line)):
            r = pinfold.result("--workspace", f"{where}:path=/w", *args)
            changed = pinfold("diff", r.changes["id"]).out if r.changes else ""
            # the words of a shell itself are its own
            err = "".join(sorted(row for row in r.stderr.splitlines(True) if not re.match(SHELLS_OWN, row)))
            # the last command takes the shell's place in bash and busybox and here, but not in dash
            said = [re.sub(r"(?m)^([+ -]?)sh: (\d+: )?", r"\1sh: ", text) for text in (r.stdout, err, changed)]
            said = [re.sub(r"(?m)^([+ -]?)sh: cannot (?:open|create) (.*): .*", r"\1sh: \2: refused", text) for text in said]
            said = [re.sub(r"(?m)^([+ -]?)sh: (.*): (?:No such file or directory|Is a directory)$", r"\1sh: \2: refused", text) for text in said]
            seen.append((r, (r.cause.replace("signalled", "exited"), r.code, *said)))
        return seen
    return run


def test_as_dash(both, pinfold):
    """Exit codes, output and files of generated lines; most are run without a shell."""
    sh = pinfold.result("--", "sh", "-c", "readlink -f /proc/$$/exe")
    if "dash" not in sh.stdout:
        pytest.skip(f"sh is {sh.stdout.strip()}, not dash")
    own = 0
    for line in generated():
        (ours, got), (_, wanted) = both(line)
        own += not ours.guard["command"]["shell"]
        assert got == wanted, line
    assert own >= LINES * 0.7


@pytest.mark.parametrize("line", FALL_BACK)
def test_the_rest_is_the_shell_s(both, line):
    (ours, got), (_, wanted) = both(line)
    assert ours.guard["command"]["shell"] and got == wanted


def test_no_shell_is_there(pinfold, image, workspace, tmp_path):
    """An image without any shell runs pipelines all the same; what needs one says that it is not there."""
    if not os.path.exists(images.BUSYBOX):
        pytest.skip("busybox is not installed")
    os.chmod(tmp_path, 0o755)
    policy = tmp_path / "p.json"
    policy.write_text('{"guard": {"command": "audit"}}')
    name = image(pinfold, images.busybox().remove("bin/sh").remove("bin/ash"))
    run = ("--image", name, "--policy", str(policy), "--shell")
    r = pinfold.result(*run, "echo one two | tr a-z A-Z && cat nope || echo done")
    assert (r.code, r.stdout) == (0, "ONE TWO\ndone\n"), r
    assert pinfold.result(*run, "echo $((1+2))").code == 127


def test_a_signal_is_told(both):
    (ours, got), (_, wanted) = both("sh -c 'kill -9 $$' || echo went on")
    assert got == wanted and ours.stdout == "went on\n" and ours.stderr == "Killed\n"
    (ours, _), _ = both("echo a && sh -c 'kill -9 $$'")
    assert (ours.cause, ours.signal, ours.code) == ("signalled", "SIGKILL", 137)


def test_an_unknown_command(both):
    (ours, got), (_, wanted) = both("echo a; nosuch")
    assert got == wanted and ours.code == 127 and "nosuch: not found" in ours.stderr


def test_caps_go_to_the_shell(both):
    for line in ("cat <<E\n" + "x" * 5000 + "\nE\n", "echo " + "a" * 3000):
        (ours, got), (_, wanted) = both(line)
        assert got == wanted and ours.guard["command"]["shell"] == ("<<" in line)


def test_its_own_commands_die_with_it(pinfold, workspace, tmp_path):
    """A deadline ends the commands that a line has started, as it ends a shell's."""
    policy = tmp_path / "p.json"
    os.chmod(tmp_path, 0o755)
    policy.write_text('{"guard": {"command": "audit"}}')
    r = pinfold.result("--policy", str(policy), "--timeout", "300ms", "--shell", "sleep 60 | cat; echo late")
    assert (r.cause, r.stdout) == ("timeout", "") and r.guard["command"]["shell"] is False
