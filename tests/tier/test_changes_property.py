# SPDX-License-Identifier: Apache-2.0
"""Random trees and random edits. The same edits run inside a sandbox, whose changes are then applied outside, and by themselves
on a copy: both must come to the same. So must the copy of the old tree over which the exported layer is unpacked.

PF_ROUNDS: how many trees for each user (32; in make test-all 600). PF_SEED: that of a failed run.
"""
import os
import random
import shutil
import stat
import subprocess

import pytest

import trees

USER = 12345
BATCH = 32      # trees in one sandbox
OPS = 40


@pytest.fixture
def place(_place):
    path = os.path.join(_place, f"property-{random.randrange(1 << 32):x}")
    os.mkdir(path)
    yield path
    subprocess.run(["chmod", "-R", "u+rwX", path], check=False)
    shutil.rmtree(path, ignore_errors=True)


def as_plain_user(argv, **options):
    """The command inside is an ordinary user, and so is the native run: as root everything would be allowed."""
    if os.geteuid() == 0:
        argv = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--", *argv]
    done = subprocess.run(argv, capture_output=True, check=False, **options)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def copy(top, to):
    subprocess.run(["cp", "-a", "--reflink=auto", top, to], check=True)


def differences(wanted, have):
    return [(path, wanted.get(path), have.get(path)) for path in sorted(wanted.keys() | have.keys())
            if wanted.get(path) != have.get(path)][:3]


def check(what, old, wanted_top, have_top, times):
    wanted, wanted_names, wanted_more = trees.describe(wanted_top)
    have, have_names, have_more = trees.describe(have_top)
    assert wanted == have, (what, differences(wanted, have))
    assert wanted_names == have_names, what
    # what the edits made of the bytes; what only got another mode keeps its own time
    written = [path for path, (mode, content, _) in wanted.items()
               if stat.S_ISREG(int(mode, 8)) and (path not in old or old[path][1] != content)]
    if times:
        # a new name of an old file has that file's time
        new = [path for path in written if wanted_more[path][0] % 10 != trees.LINKED]
        assert trees.in_order(wanted_more, have_more, new) is None, (what, trees.in_order(wanted_more, have_more, new))
    for path in written:
        assert have_more[path][1] <= wanted_more[path][1] + (1 << 20), (what, path, "holes were filled")
    return len(wanted)


def batch(who, place, seed, count):
    rng = random.Random(seed)
    base, ws = os.path.join(place, f"{seed}-base"), os.path.join(place, f"{seed}-ws")
    native, layer = os.path.join(place, f"{seed}-native"), os.path.join(place, f"{seed}-layer")
    os.mkdir(base)
    tops = [f"t{i}" for i in range(count)]
    for top in tops:
        trees.make(os.path.join(base, top), rng)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-hR", f"{USER}:{USER}", base], check=True)
    for to in (ws, native, layer):
        copy(base, to)
    # a user cannot rename a directory of the workspace in an overlay
    args = [str(seed), str(OPS), "0" if who.prefix or os.geteuid() else "1", *tops]
    program = trees.EDITS.encode()
    r = who.result("-i", "--workspace", ws, "--timeout", "60s", "--", "/usr/bin/python3", "-", *args, stdin=program)
    assert r.exit_code == 0, (seed, r.stderr, r.cause)
    story = as_plain_user(["/usr/bin/python3", "-", *args], cwd=native, input=program).decode().splitlines()
    for inside, outside in zip(r.stdout.splitlines(), story):
        assert inside == outside, f"PF_SEED={seed}: an edit went otherwise inside"
    assert not r["changes"]["incomplete"], (seed, r["changes"])
    tar = os.path.join(place, f"{seed}.tar")
    done = who("export", r["changes"]["id"], stdin=None)
    assert done.code == 0, (seed, done)
    with open(tar, "wb") as f:
        f.write(done.out_bytes)
    assert who("export", r["changes"]["id"]).out_bytes == done.out_bytes, "not twice the same bytes"
    trees.unpack_layer(tar, layer)
    done = who("apply", r["changes"]["id"])
    assert done.code == 0, (seed, done)
    entries = 0
    for i, top in enumerate(tops):
        old, _, _ = trees.describe(os.path.join(base, top))
        for have, times in ((ws, True), (layer, False)):
            entries += check((f"PF_SEED={seed}", f"tree {i}", os.path.basename(have)), old, os.path.join(native, top),
                             os.path.join(have, top), times)
    assert sorted(os.listdir(ws)) == sorted(tops), "something was left in the workspace"
    for path in (base, ws, native, layer):
        subprocess.run(["chmod", "-R", "u+rwX", path], check=True)
        shutil.rmtree(path)
    os.unlink(tar)
    assert who("drop", r["changes"]["id"]).code == 0
    return entries


def rounds(who, place, default):
    left, seed = int(os.environ.get("PF_ROUNDS", default)), int(os.environ.get("PF_SEED", random.randrange(1 << 40)))
    entries, done = 0, 0
    while left > 0:
        count = min(left, BATCH)
        entries += batch(who, place, seed, count)
        left, seed, done = left - count, seed + 1000, done + count
    print(f"{done} trees, {entries} entries compared")


@pytest.fixture
def attributes(place):
    try:
        os.setxattr(place, "user.pinfold", b"")
        os.removexattr(place, "user.pinfold")
    except OSError:
        pytest.skip("the file system of the temporary directory has no attributes")


def test_same_as_without_a_sandbox(anyone, place, attributes, kernel):
    if kernel < (6, 6):
        pytest.skip("before Linux 6.6 a tmpfs upper has no attributes")
    rounds(anyone, place, 32)


@pytest.mark.slow
def test_same_as_without_a_sandbox_many_times(anyone, place, attributes, kernel):
    if kernel < (6, 6):
        pytest.skip("before Linux 6.6 a tmpfs upper has no attributes")
    rounds(anyone, place, 600)
