# SPDX-License-Identifier: Apache-2.0
"""The store under everything that may happen to it: several at once, an end at any moment, a full disk, damage."""
import contextlib
import ctypes
import fcntl
import json
import os
import random
import select
import shutil
import signal
import subprocess
import time

import pytest

MOMENTS = 50
LIBC = ctypes.CDLL(None, use_errno=True)


def whole(images):
    """Every image in the store is there and is what it was made of; every name leads to one."""
    listed = images.json("ls")["images"]
    for image in listed:
        assert image["damage"] is None, image
        assert images.json("inspect", "--verify", image["digest"])["verified"] is True
    names = os.path.join(images.dir, "names")
    for name in os.listdir(names) if os.path.isdir(names) else []:
        assert images("inspect", name).code == 0, name
    return listed


def ended(processes, seconds=120):
    """[(exit status, stdout, stderr)]"""
    out = []
    for process in processes:
        o, e = process.communicate(timeout=seconds)
        out.append((process.returncode, o.decode(), e.decode()))
    return out


# --- at once ---------------------------------------------------------------------------------


def test_the_same_image_imported_at_once(anyones, small_tar):
    done = ended([anyones.popen("import", "--json", "--name", f"n{i}", small_tar) for i in range(6)])
    assert [d[0] for d in done] == [0] * 6, done
    told = [json.loads(d[1]) for d in done]
    assert len({t["digest"] for t in told}) == 1
    assert [t["existed"] for t in told].count(False) == 1
    listed = whole(anyones)
    assert len(listed) == 1 and listed[0]["names"] == [f"n{i}" for i in range(6)] and anyones.remains() == []


def test_other_images_imported_at_once(images, tree):
    roots = [tree({"a": str(i)}) for i in range(6)]
    done = ended([images.popen("import", "--name", "same", root) for root in roots])
    assert [d[0] for d in done] == [0] * 6, done
    listed = whole(images)
    assert len(listed) == 6 and sorted(len(i["names"]) for i in listed) == [0] * 5 + [1]


def test_import_while_rm(images, tree):
    """Whoever comes last decides, and nobody is told a lie: an import that said yes is there unless a later rm took it."""
    root = tree({"a": "x"})
    digest = images.add("--name", "x", root)
    for _ in range(8):
        work = [images.popen("import", "--name", "x", root) for _ in range(2)] + [images.popen("rm", "x") for _ in range(2)]
        done = ended(work)
        assert [d[0] for d in done[:2]] == [0, 0], done
        for code, _, said in done[2:]:
            assert code == 0 or "there is no image" in said or "in use" in said, done
        listed = whole(images)
        assert {i["digest"] for i in listed} <= {digest} and images.remains() == []


def test_ls_and_inspect_while_it_changes(images, tree):
    root = tree({"a": "x"})
    images.add("--name", "keep", tree({"b": "y"}))
    end = time.monotonic() + 3
    changes = 0
    while time.monotonic() < end and changes < 12:
        work = [images.popen("import", "--name", "x", root), images.popen("ls", "--json"), images.popen("inspect", "keep"),
                images.popen("ls")]
        assert [d[0] for d in ended(work)] == [0] * 4
        assert ended([images.popen("rm", "x"), images.popen("ls", "--json")])[1][0] == 0
        changes += 1
    assert [i["names"] for i in whole(images)] == [["keep"]]


@contextlib.contextmanager
def held(images, digest):
    """As a sandbox does that runs on it (pf_image_hold())."""
    with open(images.path(digest, "lock"), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def test_rm_of_what_is_held(anyones, small_tar):
    digest = anyones.add("--name", "x", small_tar)
    with held(anyones, digest):
        for word in ("x", digest, digest[7:20]):
            assert "in use" in anyones.fails("rm", word)
        assert anyones.ok("ls").splitlines()[1].endswith("  in use")
        assert anyones.json("inspect", "x")["in_use"] is True
        anyones.ok("tag", "x", "y")
        assert anyones.ok("rm", "y") == "untagged: y\n"    # a name is no image
        anyones.ok("unpack", "x")
        anyones.ok("import", "--name", "z", small_tar)
        assert len(whole(anyones)) == 1
        anyones.ok("rm", "z")
    assert f"deleted: {digest}" in anyones.ok("rm", "x")


def test_rm_names_the_sandboxes_that_use_it(images, small_tar, tree):
    digest = images.add("--name", "x", small_tar)
    other = images.add("--name", "other", tree({"a": "x"}))
    with images.who.popen("run", "-i", "--image", "x", "--", "cat", stdin=subprocess.PIPE) as running:
        running.stdin.write(b"hello\n")
        running.stdin.flush()
        assert running.stdout.readline() == b"hello\n"
        sandbox = images.json("inspect", "x")["sandboxes"]
        assert len(sandbox) == 1 and images.json("inspect", "other")["sandboxes"] == []
        said = images.fails("rm", "x")
        assert f"in use by the sandbox {sandbox[0]}: end it first" in said
        assert "1 sandbox" in images.ok("ls")
        assert f"deleted: {other}" in images.ok("rm", "other")
        running.stdin.close()
        assert running.wait(60) == 0
        running.stdout.close()
        running.stderr.close()
    assert f"deleted: {digest}" in images.ok("rm", "x")


# --- an end at any moment --------------------------------------------------------------------------


def _kill_after(process, seconds):
    """SIGKILL after so long, or when it ended by itself. Does it live at that moment?"""
    poller = select.poll()
    fd = os.pidfd_open(process.pid)
    poller.register(fd, select.POLLIN)
    alive = not poller.poll(seconds * 1000)
    os.close(fd)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return alive


def _time_of(images, args):
    begun = time.monotonic()
    images.ok(*args)
    return time.monotonic() - begun


def killed_at_random(images, args, moments, check):
    """Kill `pinfold image ARGS` at random moments of its life; how many of them were alive then, and what they left."""
    chance = random.Random(1)
    took = []
    for _ in range(3):
        took.append(_time_of(images, args))
        check()
    alive = left = 0
    for _ in range(moments):
        alive += _kill_after(images.popen(*args), chance.uniform(0, min(took)))
        left += bool(images.remains())
        check()
    return alive, left


def test_import_killed_at_any_moment(images, small_tar):
    """kill -9 at 50 moments: the image is there whole or not at all, what is left goes with the next verb, and the next
    import is as if nothing had been."""
    digest = images.add("--name", "x", small_tar)
    images.ok("rm", "x")

    def check():
        listed = whole(images)    # its ls sweeps
        assert {i["digest"] for i in listed} <= {digest}
        end = time.monotonic() + 20
        while images.remains() and time.monotonic() < end:    # its children may live a moment longer
            images.ok("ls")
        assert images.remains() == []
        for image in listed:    # cut off between its place and its name: it has none
            images.ok("rm", *(image["names"] or [image["digest"]]))

    alive, left = killed_at_random(images, ["import", "--name", "x", small_tar], MOMENTS, check)
    assert alive >= MOMENTS // 4 and left >= 3, f"alive at {alive}, left something at {left} of {MOMENTS}"
    assert images.add("--name", "x", small_tar) == digest
    assert len(whole(images)) == 1


def test_unpack_killed_at_any_moment(images, small_tar):
    images.ok("import", "--name", "x", small_tar)
    directory = images.json("inspect", "x")["directory"]

    def check():
        root = os.path.join(directory, "root")
        if os.path.exists(root):
            assert images.json("inspect", "x")["unpacked"] is True
            assert os.path.exists(os.path.join(root, "bin/busybox")) and os.path.exists(os.path.join(root, "etc/small"))
            shutil.rmtree(root)

    alive, _ = killed_at_random(images, ["unpack", "x"], 15, check)
    assert alive >= 3
    images.ok("unpack", "x")
    assert ".root" not in os.listdir(directory)


def test_rm_killed_at_any_moment(images, small_tar):
    chance = random.Random(2)
    for _ in range(10):
        digest = images.add("--name", "x", small_tar)
        images.ok("unpack", "x")
        _kill_after(images.popen("rm", "x"), chance.uniform(0, 0.05))
        listed = whole(images)
        assert {i["digest"] for i in listed} <= {digest} and images.remains() == []


def test_interrupted_by_the_keyboard(images, small_tar):
    """^C reaches all of a terminal's foreground processes."""
    running = images.popen("import", "--name", "x", "-", stdin=subprocess.PIPE, start_new_session=True)
    with open(small_tar, "rb") as f:
        running.stdin.write(f.read(300000))
    running.stdin.flush()
    end = time.monotonic() + 30
    while not images.remains() and time.monotonic() < end:
        select.select([], [], [], 0.01)
    os.killpg(running.pid, signal.SIGINT)
    running.communicate()
    assert running.returncode == -signal.SIGINT
    while images.remains() and time.monotonic() < end:
        images.ok("ls")
    assert images.remains() == [] and images.digests() == set()


def test_a_sweep_leaves_what_is_in_the_making(images, small_tar):
    with images.popen("import", "--name", "x", "-", stdin=subprocess.PIPE) as running:
        with open(small_tar, "rb") as f:
            data = f.read()
        running.stdin.write(data[:300000])
        running.stdin.flush()
        end = time.monotonic() + 30
        while not images.remains() and time.monotonic() < end:
            select.select([], [], [], 0.01)
        for verb in (["ls"], ["rm", "nothing"], ["import", small_tar], ["tag", "nothing", "y"]):
            images(*verb)
            assert len(images.remains()) == 1
        out, err = running.communicate(data[300000:])
        assert running.returncode == 0, (out, err)
    assert len(whole(images)) == 1


# --- a full disk --------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(images, need_root):
    """The state directory on a tmpfs of 8 MiB."""
    os.makedirs(images.state, 0o700)
    if LIBC.mount(b"tmpfs", images.state.encode(), b"tmpfs", 6, b"size=8m,mode=0700") != 0:
        pytest.skip(f"cannot mount a tmpfs: {os.strerror(ctypes.get_errno())}")
    yield images
    LIBC.umount2(images.state.encode(), 2)


def test_no_room(small_disk, tree):
    images = small_disk
    keep = images.add("--name", "keep", tree({"a": "x"}))
    big = tree({f"f{i}": os.urandom(1 << 20) for i in range(12)})
    said = images.fails("import", "--name", "big", big)
    assert "No space left on device" in said and images.state in said
    assert images.remains() == [] and images.digests() == {keep}
    whole(images)
    # as it is filled up, step by step: each import is there or is not
    for size in range(0, 7 << 20, 512 << 10):
        with open(os.path.join(images.state, "ballast"), "wb") as f:
            f.write(bytes(size))
        done = images("import", "--name", "more", tree({"b": os.urandom(700000), "size": str(size)}))
        assert done.code == 0 or (done.code == 125 and "No space left" in done.err), repr(done)
        assert images.remains() == []
        if done.code == 0:
            images.ok("rm", "more")
    os.unlink(os.path.join(images.state, "ballast"))
    assert [i["names"] for i in whole(images)] == [["keep"]]
    images.ok("import", "--name", "after", tree({"b": "x"}))


def test_no_room_to_unpack(small_disk, tree):
    images = small_disk
    images.ok("import", "--name", "x", tree({f"f{i}": os.urandom(1 << 20) for i in range(3)}))
    with open(os.path.join(images.state, "ballast"), "wb") as f:
        f.write(bytes(4 << 20))
    assert "No space left" in images.fails("unpack", "x")
    one = images.json("inspect", "x")
    assert one["unpacked"] is False and ".root" not in os.listdir(one["directory"])
    os.unlink(os.path.join(images.state, "ballast"))
    images.ok("unpack", "x")


# --- damage --------------------------------------------------------------------------------------------


def write(path, data):
    os.unlink(path)
    with open(path, "wb") as f:
        f.write(data)


def flip(path, at):
    os.chmod(path, 0o600)
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("file", ["manifest.json", "info.json", "image.erofs"])
@pytest.mark.parametrize("how", ["missing", "empty", "link", "directory"])
def test_a_damaged_file_is_named(images, tree, file, how):
    root = tree({"a": "x" * 5000})
    digest = images.add("--name", "x", root)
    good = images.add("--name", "good", tree({"b": "y"}))
    path = images.path(digest, file)
    os.unlink(path)
    if how == "empty":
        with open(path, "wb"):
            pass
    elif how == "link":
        os.symlink(images.path(good, file), path)
    elif how == "directory":
        os.mkdir(path)
    for args in (["inspect", "x"], ["unpack", "x"], ["ensure", "x"], ["inspect", digest]):
        said = images.fails(*args)
        assert "is damaged" in said and file in said and "pinfold image rm" in said, said
    listed = images("ls")
    assert listed.code == 0 and file in listed.err and "damaged" in listed.out and "good" in listed.out
    damage = {i["digest"]: i["damage"] for i in images.json("ls")["images"]}
    assert file in damage[digest] and damage[good] is None
    # importing it again mends it
    assert images.json("import", "--name", "x", root) | {"digest": digest, "existed": False} == images.json(
        "import", "--name", "x", root) | {"existed": False}
    whole(images)
    assert images.remains() == []


def test_a_damaged_image_can_be_removed(images, tree):
    digest = images.add("--name", "x", tree({"a": "x"}))
    for name in os.listdir(images.path(digest)):
        os.unlink(images.path(digest, name))
    assert f"deleted: {digest}" in images.ok("rm", "x")
    assert images.remains() == [] and images.digests() == set()


def test_one_bit_of_the_file(images, tree):
    root = tree({"a": "x" * 100000})
    digest = images.add("--name", "x", root)
    path = images.path(digest, "image.erofs")
    flip(path, os.path.getsize(path) // 2)
    images.ok("inspect", "x")    # which looks at its size alone
    assert "image.erofs has another digest" in images.fails("inspect", "--verify", "x")
    told = images.json("import", root)
    assert told["digest"] == digest and told["existed"] is False    # it was replaced
    whole(images)


def test_a_damaged_image_in_use_is_not_replaced(images, tree):
    root = tree({"a": "x" * 100000})
    digest = images.add("--name", "x", root)
    flip(images.path(digest, "image.erofs"), 50000)
    with held(images, digest):
        assert "damaged, and a sandbox uses it" in images.fails("import", "--name", "x", root)
        assert images.remains() == []
    images.ok("import", "--name", "x", root)
    whole(images)


def test_an_image_file_that_is_no_file_system(images, tree):
    """Of the right size and digest, as somebody with the right to write there may make it: refused when it is unpacked."""
    digest = images.add("--name", "x", tree({"a": "x" * 100000}))
    path = images.path(digest, "image.erofs")
    size = os.path.getsize(path)
    write(path, os.urandom(size))
    said = images.fails("unpack", "x")
    assert "image.erofs" in said
    write(path, bytes(size))
    images.fails("unpack", "x")
    assert images.json("inspect", "x")["unpacked"] is False


def test_what_is_none_of_ours_stays(images, tree):
    images.ok("import", "--name", "x", tree({"a": "x"}))
    for name in ("README", "sha256-abc", "sha512-" + "0" * 64, ".other", "sha256-" + "Z" * 64):
        os.mkdir(os.path.join(images.dir, name))
    for name in ("%new.x", "a b", "-x", "host", "abcdef", "a%2Gb"):
        with open(os.path.join(images.dir, "names", name), "w", encoding="ascii") as f:
            f.write("x")
    assert len(images.json("ls")["images"]) == 1
    assert len([n for n in os.listdir(images.dir) if n not in ("names", "lock")]) == 6
    images.ok("import", "--name", "y", tree({"a": "x"}))
    images.ok("rm", "x", "y")


# --- finding ----------------------------------------------------------------------------------------------


def test_beginnings_of_digests(images, tree):
    digests = [images.add(tree({"a": str(i)})) for i in range(3)]
    for digest in digests:
        for n in (6, 7, 12, 40, 64):
            assert images.json("inspect", digest[7:7 + n])["digest"] == digest
            assert images.json("inspect", digest[:7 + n])["digest"] == digest
        assert "there is no image" in images.fails("inspect", digest[7:12])    # five digits are a name
        assert "cannot be the name" in images.fails("inspect", digest[:12])
    os.mkdir(images.path(digests[0][:-1] + ("0" if digests[0][-1] != "0" else "1")))
    assert "several images" in images.fails("inspect", digests[0][7:40])
    assert images.json("inspect", digests[0])["digest"] == digests[0]
    assert "cannot be the name" in images.fails("tag", digests[0], digests[1][7:17])


def test_a_name_whose_image_is_gone(images, tree):
    digest = images.add("--name", "x", tree({"a": "x"}))
    shutil.rmtree(images.path(digest))
    said = images.fails("inspect", "x")
    assert 'the name "x" leads to' in said and '"pinfold image rm x" forgets the name' in said
    assert images.ok("rm", "x") == "untagged: x\n"


def test_state_of_somebody_else(images, as_user, tree, need_root):
    images.ok("import", "--name", "x", tree({"a": "x"}))
    other = type(images)(as_user, images.state)
    said = other.fails("ls")
    assert "Permission denied" in said or "belongs to uid 0" in said
    os.chmod(images.state, 0o777)
    assert "open to others" in images.fails("ls")
    os.chmod(images.state, 0o700)
    os.rename(images.dir, images.dir + ".aside")
    os.symlink(images.dir + ".aside", images.dir)
    assert "no symbolic link" in images.fails("ls")
