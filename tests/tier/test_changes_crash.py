# SPDX-License-Identifier: Apache-2.0
"""`pinfold apply` killed (-9) at random moments. The workspace is then as before, as after, or such that the same call goes on;
what the user does in between is his; what he gives up leaves nothing in his directory. tests/unit/test_apply_crash.c stops at
each single step.

PF_MOMENTS: how many of each (10; in make test-all 200)."""
import json
import os
import random
import subprocess
import time

import pytest

import trees

MODES = ("go on", "edit", "give up")
FILES = {f"d{i % 7}/f{i}": f"old {i}\n" for i in range(70)}
SCRIPT = r"""
for f in d[0-4]/f*; do echo "new $f" > $f; done; rm -r d5; chmod 600 d6/*; mkdir -p n/m; for i in $(seq 60); do echo $i > n/m/$i; done
ln n/m/1 n/linked; ln -s m n/link; rm d0/f0; mkdir d0/f0; echo in > d0/f0/in; rm -r d6/sub; head -c 3M /dev/zero | tr '\0' x > n/large
mkfifo n/fifo; truncate -s 5G n/sparse; rmdir d6/empty; mkdir -m 700 n/shut
"""


def watch(process, seconds):
    """Until it ended, or so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        pass


def prepare(who, sh, workspace):
    ws = workspace(who, {**FILES, "d6/empty": None, "d6/sub/x": "x", "other": "mine\n"})
    r = sh(who, SCRIPT, "--workspace", ws)
    assert r.exit_code == 0, r
    return ws, r["changes"]["id"]


def state_of(who, change):
    row, = [row for row in json.loads(who("ls", "--json").out)["sandboxes"] if row["id"] == change]
    return row["changes"]["half_applied"]


def staged(ws):
    return [name for name in os.listdir(ws) if name.startswith(".pinfold")]


def kinds(ws):
    return trees.describe(ws)[:2]


def wait_a_part_of(process, rng, whole):
    watch(process, rng.uniform(0, whole * 1.1))
    process.kill()
    process.wait(60)


def crash(who, sh, workspace, mode, moments, seed):
    rng = random.Random(seed)
    ws, change = prepare(who, sh, workspace)
    before = kinds(ws)
    began = time.monotonic()
    assert who("apply", change).code == 0
    whole, after = time.monotonic() - began, kinds(ws)
    counts = {"before": 0, "half": 0, "after": 0, "refused": 0}
    for _ in range(moments):
        ws, change = prepare(who, sh, workspace)
        process = who.popen("apply", change, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_a_part_of(process, rng, whole)
        half, now = state_of(who, change), kinds(ws)
        assert half or now in (before, after), "neither before nor after, and nobody knows"
        counts["half" if half else "before" if now == before else "after"] += 1
        assert half or not staged(ws)
        if mode == "edit":
            after_edit(who, ws, change, counts)
        elif mode == "give up":
            given_up(who, ws, change, half)
        else:
            while rng.random() < 0.5:    # killed again
                wait_a_part_of(who.popen("apply", change, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), rng, whole)
            assert who("apply", change).code == 0
            assert kinds(ws) == after and not state_of(who, change)
        assert not staged(ws) and open(ws + "/other").read() == "mine\n"
        who("drop", change)
    print(f"{mode}: {counts}")
    return counts


def after_edit(who, ws, change, counts):
    edits = {"d1/f1": "edited\n", "d5/kept": "kept\n", "n-mine": "mine\n", "d6/f13": "edited too\n"}
    for name, text in edits.items():
        os.makedirs(os.path.dirname(os.path.join(ws, name)) or ".", exist_ok=True)
        if os.path.lexists(os.path.join(ws, name)):
            os.unlink(os.path.join(ws, name))
        with open(os.path.join(ws, name), "w", encoding="utf-8") as f:
            f.write(text)
    p = who("apply", change)
    assert p.code in (0, 1), p
    counts["refused"] += p.code
    for name, text in edits.items():
        with open(os.path.join(ws, name), encoding="utf-8") as f:
            assert f.read() == text, name
    assert p.code == 0 or "conflict" in p.out, p
    p = who("drop", "--force", change)
    assert p.code == 0 and "left" not in p.err, p
    for name, text in edits.items():
        with open(os.path.join(ws, name), encoding="utf-8") as f:
            assert f.read() == text, name


def given_up(who, ws, change, half):
    if half:
        p = who("drop", change)
        assert p.code == 125 and "half applied" in p.err, p
    p = who("drop", "--force", change)
    assert p.code == 0 and "left" not in p.err, p
    for name, old in FILES.items():
        path = os.path.join(ws, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as f:
                assert f.read() in (old, f"new {name}\n"), name


def moments_of(default):
    return int(os.environ.get("PF_MOMENTS", default))


@pytest.mark.parametrize("mode", MODES)
def test_killed_at_random_moments(pinfold, sh, workspace, mode):
    crash(pinfold, sh, workspace, mode, moments_of(10), mode)


def test_killed_at_random_moments_as_a_user(as_user, sh, workspace):
    crash(as_user, sh, workspace, "go on", moments_of(6), 7)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_killed_at_many_moments(anyone, sh, workspace, mode):
    counts = crash(anyone, sh, workspace, mode, moments_of(200), mode)
    assert counts["half"] > 20, counts


def test_two_at_once(pinfold, sh, workspace):
    """The second waits for nothing: it is told, or finds the work done."""
    ws, change = prepare(pinfold, sh, workspace)
    processes = [pinfold.popen("apply", change) for _ in range(4)]
    done = [(p.communicate(timeout=60), p.returncode) for p in processes]
    assert any(code == 0 for _, code in done), done
    for (_, err), code in done:
        assert code == 0 or b"being applied" in err, done
    assert pinfold("apply", change).code == 0 and not staged(ws)


def test_paths_of_the_first_apply_count(pinfold, sh, workspace):
    """Cut off, an apply of some paths is no apply of all."""
    ws, change = prepare(pinfold, sh, workspace)
    for _ in range(200):
        process = pinfold.popen("apply", change, "n", "d1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        watch(process, random.uniform(0, 0.05))
        process.kill()
        process.wait(60)
        if state_of(pinfold, change) or os.path.exists(ws + "/n/m/60"):
            break
    if not state_of(pinfold, change):
        pytest.skip("it was never caught half way")
    p = pinfold("apply", change)
    assert p.code == 0, p
    assert open(ws + "/d2/f2").read() == "old 2\n" and open(ws + "/d1/f1").read() == "new d1/f1\n"
