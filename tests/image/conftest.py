# SPDX-License-Identifier: Apache-2.0
"""What drives `pinfold image` from outside, each test over a state directory of its own.

    def test_x(images, tree):                 as who runs the tests; anyones: also as an ordinary user
        images.ok("import", "--name", "x", tree({"bin/sh": ("...", 0o755)}))
        images.json("inspect", "x")["digest"]

    small_tar     a tar of a root with busybox, made once
    debian_tar    a tar of Debian's minbase, made by mmdebstrap once and kept in BUILD/test-cache
"""
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import tarfile
import tempfile
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("O", "build"))
CACHE = os.path.join(BUILD, "test-cache")
EPOCH = "1672531200"
DEBIAN = "minbase-bookworm-1.tar"    # another number when the recipe below changes
DEBIAN_SECONDS = 900


class Images:
    """pinfold image VERB..., and what is in its store."""

    def __init__(self, who, state):
        self.who = type(who)(who.program, state, who.runtime, who.prefix, who.env)
        self.state, self.dir = state, os.path.join(state, "images")

    def __call__(self, *args, **options):
        return self.who("image", *args, **options)

    def popen(self, *args, **options):
        return self.who.popen("image", *args, **options)

    def ok(self, *args, **options):
        """What it printed; it must have ended with 0."""
        done = self(*args, **options)
        assert done.code == 0, repr(done)
        return done.out

    def fails(self, *args, **options):
        """What it said; it must have ended with 125 and printed nothing else."""
        done = self(*args, **options)
        assert done.code == 125 and done.err.startswith("pinfold: "), repr(done)
        assert done.out == "" or args[0] == "rm", repr(done)
        return done.err

    def json(self, *args, **options):
        return json.loads(self.ok(args[0], "--json", *args[1:], **options))

    def add(self, *args, **options):
        """import; the digest."""
        return self.json("import", *args, **options)["digest"]

    def path(self, digest, *names):
        return os.path.join(self.dir, digest.replace(":", "-"), *names)

    def remains(self):
        """What is in the making or going, and what a cut-off one left."""
        return sorted(n for n in os.listdir(self.dir) if n.startswith(".")) if os.path.isdir(self.dir) else []

    def digests(self):
        return {i["digest"] for i in self.json("ls")["images"]}

    def run(self, *args, **options):
        return self.who("run", *args, **options)


@contextlib.contextmanager
def _images(who, place):
    home = tempfile.mkdtemp(prefix="images-", dir=place)
    if who.prefix:
        subprocess.run(["chown", "--reference", os.path.dirname(who.state), home], check=True)
    yield Images(who, os.path.join(home, "state"))
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def images(pinfold, _place):
    with _images(pinfold, _place) as made:
        yield made


@pytest.fixture
def user_images(as_user, _place):
    with _images(as_user, _place) as made:
        yield made


@pytest.fixture
def anyones(anyone, _place):
    with _images(anyone, _place) as made:
        yield made


@pytest.fixture
def place(_place):
    """A directory that everybody may look into."""
    path = tempfile.mkdtemp(prefix="place-", dir=_place)
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def tree(place):
    """tree({"a": "text", "bin/x": ("text", 0o755), "dir": None}): a directory with that in it."""
    count = 0

    def make(files):
        nonlocal count
        count += 1
        root = os.path.join(place, f"tree-{count}")
        os.mkdir(root, 0o755)
        for name, content in files.items():
            path = os.path.join(root, name)
            os.makedirs(path if content is None else os.path.dirname(path), exist_ok=True)
            if content is None:
                continue
            text, mode = content if isinstance(content, tuple) else (content, 0o644)
            with open(path, "wb") as f:
                f.write(text if isinstance(text, bytes) else text.encode())
            os.chmod(path, mode)
        return root

    return make


def _cached(name, make):
    """BUILD/test-cache/name, made under another name by one process at a time; None if make() says why not."""
    os.makedirs(CACHE, exist_ok=True)
    path = os.path.join(CACHE, name)
    with open(os.path.join(CACHE, f".{name}.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            temporary = path + ".new"
            make(temporary)
            os.chmod(temporary, 0o644)
            os.rename(temporary, path)
    return path


def _make_debian(path):
    argv = ["mmdebstrap", "--mode=unshare", "--variant=minbase", "--format=tar", "bookworm", path]
    done = subprocess.run(argv, env=dict(os.environ, SOURCE_DATE_EPOCH=EPOCH, LC_ALL="C.UTF-8"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEBIAN_SECONDS, check=False)
    if done.returncode != 0:
        why = [line for line in done.stdout.decode(errors="replace").splitlines() if line.startswith("E: ")]
        pytest.skip(f"mmdebstrap could not make a Debian root: {why[:1]}")


@pytest.fixture(scope="session")
def debian_tar():
    if not shutil.which("mmdebstrap"):
        pytest.skip("mmdebstrap is not installed")
    return _cached(DEBIAN, _make_debian)


APPLETS = ["sh", "ls", "cat", "echo", "true", "false", "id", "env", "sleep", "mkdir", "rm", "cp", "mv", "ln", "stat", "find",
           "grep", "sed", "head", "tail", "wc", "touch", "chmod", "pwd", "test", "printf", "readlink", "du", "sha256sum"]


def _make_small(path):
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("busybox is not installed")

    def entry(name, kind, mode, **more):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = kind, mode, int(EPOCH)
        for key, value in more.items():
            setattr(info, key, value)
        return info

    files = {"etc/passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:1234:1234::/home/app:/bin/sh\n",
             "etc/group": "root:x:0:\napp:x:1234:\n", "etc/small": "a root with busybox\n"}
    with tarfile.open(path, "w") as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("proc", 0o555), ("tmp", 0o1777), ("home", 0o755)):
            tar.addfile(entry(name, tarfile.DIRTYPE, mode))
        tar.addfile(entry("home/app", tarfile.DIRTYPE, 0o755, uid=1234, gid=1234))
        with open(busybox, "rb") as f:
            tar.addfile(entry("bin/busybox", tarfile.REGTYPE, 0o755, size=os.path.getsize(busybox)), f)
        for name in APPLETS:
            tar.addfile(entry(f"bin/{name}", tarfile.SYMTYPE, 0o777, linkname="busybox"))
        for name, text in files.items():
            with tempfile.TemporaryFile() as f:
                f.write(text.encode())
                f.seek(0)
                tar.addfile(entry(name, tarfile.REGTYPE, 0o644, size=len(text)), f)


@pytest.fixture(scope="session")
def small_tar():
    # The checkout may lie where only its owner may look, as below /root.
    with tempfile.TemporaryDirectory(prefix="pf-small-") as place:
        os.chmod(place, 0o755)
        copy = shutil.copy(_cached("small-2.tar", _make_small), place)
        os.chmod(copy, 0o644)
        yield copy


@pytest.fixture(name="wait_for")
def _wait_for():
    def wait_for(condition, what, seconds=60):
        """Poll until condition() is true; its value."""
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                pytest.fail(f"waited {seconds} s for {what}")
            select.select([], [], [], 0.01)

    return wait_for
