# SPDX-License-Identifier: Apache-2.0
"""Shared by all tests that drive the program from outside.

    def test_x(pinfold):                     the program of this build (environment O: the build directory)
        r = pinfold.result("--", "echo", "hi")       runs with --json, checks the schema; r["stdout"], r.code
        p = pinfold("run", "--", "false")            any verb; p.code, p.out, p.err

    def test_x(as_user): ...                 the same, as an ordinary user without an account or sub-uids
    def test_x(anyone): ...                  twice: as who runs the tests, and as_user
    pinfold.broken("mounts,filter")          the test build, with these defences off

After every test nothing of it may be left: mounts, loop devices, control groups, processes, directories.
"""
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid

import pytest

import images

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, os.environ.get("O", "build"))
SCHEMA = os.path.join(TOP, "docs/result.schema.json")

USER = 12345              # of as_user: no account, no sub-uids
SECONDS = 60              # one call of the program
QUIET_SECONDS = 5         # until everything of a test must be gone

# In the environment of every program that these tests start: tells its processes from other people's.
MARK = f"PF_TEST_SESSION={uuid.uuid4()}"


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: only in make test-all")
    config.addinivalue_line("markers", "host(boot, situation): tests/hosts: what of which boot a test looks at")
    config.addinivalue_line("markers", "leaks: this test leaves something behind on purpose and removes it itself")


# --- running the program -----------------------------------------------------------------


class Done:
    """A program that ended. out and err are text; out_bytes and err_bytes what it really wrote."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out_bytes, self.err_bytes = argv, code, out, err
        self.out, self.err = out.decode(errors="replace"), err.decode(errors="replace")

    def __repr__(self):
        return f"<{' '.join(self.argv)}: {self.code}\nstdout: {self.out}\nstderr: {self.err}>"


class Result(dict):
    """The JSON of an exec, and how the program itself ended."""

    def __init__(self, done, value):
        super().__init__(value)
        self.done, self.code, self.err = done, done.code, done.err

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def hits(self):
        return {hit["kind"] for hit in self["limits_hit"]}

    def attempts(self):
        """What the launcher tried: {(attempt, detail): error or None if it succeeded}."""
        return {(a["attempt"], a["detail"]): a["error"] for a in self["receipt"]["inside"]["attempts"]}


class Pinfold:
    """The program, run by somebody. prefix: what makes us that somebody."""

    def __init__(self, program, state, runtime, prefix=(), env=None):
        self.program, self.state, self.runtime = program, state, runtime
        self.prefix, self.env = list(prefix), dict(env or {})

    def environment(self, more=None):
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR", "ASAN_OPTIONS")}
        env.update(HOME=os.path.dirname(self.state), PINFOLD_STATE=self.state, PF_TESTING="1")
        env.update([MARK.split("=", 1)])
        env.update(self.env)
        env.update(more or {})
        return {k: v for k, v in env.items() if v is not None}

    def popen(self, *args, env=None, **options):
        """For what needs the program while it runs. The caller waits for it, or `with` does."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("cwd", "/")
        argv = [*self.prefix, self.program, *map(str, args)]
        return subprocess.Popen(argv, env=self.environment(env), **options)

    def __call__(self, *args, stdin=None, timeout=SECONDS, report=False, **options):
        """Run it to its end. stdin: bytes, a file, or None for /dev/null. report: a sanitizer may speak (tests/san)."""
        data = stdin if isinstance(stdin, bytes) else None
        if stdin is not None:
            options["stdin"] = subprocess.PIPE if data is not None else stdin
        process = self.popen(*args, start_new_session=True, **options)
        try:
            out, err = process.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            pytest.fail(f"more than {timeout} s: {Done(process.args, None, out, err)!r}")
        done = Done(process.args, process.returncode, out or b"", err or b"")
        if not report and ("Sanitizer: " in done.err or "runtime error: " in done.err):
            pytest.fail(f"a sanitizer's report: {done!r}")
        return done

    def run(self, *args, **options):
        return self("run", *args, **options)

    def result(self, *args, **options):
        """run --json; what it prints must be one object that follows docs/result.schema.json."""
        done = self("run", "--json", *args, **options)
        return Result(done, parse_result(done))

    def sweep(self):
        """What a test needs at its end that killed a keeper: directories and groups stay until somebody sweeps."""
        return self("doctor", "--clean")

    def broken(self, *defences):
        """The test build with these defences off. Without any: all on."""
        program = os.path.join(os.path.dirname(self.program), "break", "pinfold")
        if not os.path.exists(program):
            pytest.fail(f"{program} is not built")
        env = dict(self.env, PF_BREAK=",".join(defences)) if defences else self.env
        return Pinfold(program, self.state, self.runtime, self.prefix, env)


def parse_result(done):
    try:
        value = json.loads(done.out)
    except ValueError as error:
        pytest.fail(f"--json printed no JSON ({error}): {done!r}")
    validator().validate(value)
    return value


_VALIDATOR = []


def validator():
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    if not _VALIDATOR:
        with open(SCHEMA, encoding="utf-8") as f:
            schema = json.load(f)
        jsonschema.Draft202012Validator.check_schema(schema)
        _VALIDATOR.append(jsonschema.Draft202012Validator(schema))
    return _VALIDATOR[0]


# --- who runs it ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _place():
    """A directory that everybody may pass through. Not below pytest's own, which is closed to other users."""
    path = tempfile.mkdtemp(prefix="pf-test-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _make_dir(path, mode=0o700, owner=None):
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    if owner is not None and os.geteuid() == 0:
        os.chown(path, owner, owner)
    return path


@pytest.fixture(scope="session")
def _me(_place):
    program = os.path.join(BUILD, "pinfold")
    if not os.path.exists(program):
        pytest.fail(f"{program} is not built")
    home = _make_dir(os.path.join(_place, "me"))
    state = os.path.join(home, "state")
    if os.geteuid() == 0:
        return Pinfold(program, state, "/run/pinfold")
    run = _make_dir(os.path.join(home, "run"))
    return Pinfold(program, state, os.path.join(run, "pinfold"), env={"XDG_RUNTIME_DIR": run})


@pytest.fixture(scope="session")
def _user(_place, _me):
    if os.geteuid() != 0:
        return _me    # who runs the tests is an ordinary user already
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not there, so nobody else can be tested")
    # The sources may lie where only root can look.
    bin_dir = os.path.join(_place, "bin")
    for part in ("pinfold", "libexec", "share", "break", "asan", "ubsan"):
        source = os.path.join(BUILD, part)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(bin_dir, part), dirs_exist_ok=True)
        elif os.path.exists(source):
            os.makedirs(bin_dir, exist_ok=True)
            shutil.copy2(source, os.path.join(bin_dir, part))
    subprocess.run(["chmod", "-R", "a+rX", bin_dir], check=True)
    home = _make_dir(os.path.join(_place, "user"), owner=USER)
    run = _make_dir(os.path.join(home, "run"), owner=USER)
    prefix = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"]
    return Pinfold(os.path.join(bin_dir, "pinfold"), os.path.join(home, "state"), os.path.join(run, "pinfold"), prefix,
                   {"XDG_RUNTIME_DIR": run, "HOME": home, "USER": "tester"})


@pytest.fixture
def pinfold(_me):
    return _me


@pytest.fixture
def as_user(_user):
    return _user


@pytest.fixture(params=["me", "user"])
def anyone(request, _me, _user):
    if request.param == "user" and _user is _me:
        pytest.skip("who runs the tests is an ordinary user: once is enough")
    return _me if request.param == "me" else _user


@pytest.fixture
def result(pinfold):
    """result("--", "true"): as pinfold.result()."""
    return pinfold.result


@pytest.fixture
def own():
    """own(anyone, path): give a tree to who that is. Returns path."""

    def give(who, path):
        if who.prefix:
            subprocess.run(["chown", "-hR", f"{USER}:{USER}", str(path)], check=True)
        return path

    return give


@pytest.fixture(scope="session")
def image(_place):
    """image(who, tree, config): the name of such an image in their store; images.py makes trees."""
    return images.Store(_place)


@pytest.fixture
def odd_image(image):
    """The same for trees that import refuses: links that climb above the root."""
    if not shutil.which("mkfs.erofs"):
        pytest.skip("mkfs.erofs is not installed")
    return lambda who, tree: image.by_hand(who, tree, USER)


@pytest.fixture
def workspace(_place):
    """workspace(who, {"a.txt": "text", "bin/x": ("#!/bin/sh\\n", 0o755), "empty": None}): a directory of theirs."""
    made = []

    def make(who, files=None):
        path = tempfile.mkdtemp(prefix="ws-", dir=_place)
        made.append(path)
        os.chmod(path, 0o755)
        for name, content in (files or {}).items():
            full = os.path.join(path, name)
            os.makedirs(full if content is None else os.path.dirname(full), exist_ok=True)
            if content is None:
                continue
            text, mode = content if isinstance(content, tuple) else (content, 0o644)
            with open(full, "wb") as f:
                f.write(text if isinstance(text, bytes) else text.encode())
            os.chmod(full, mode)
        if who.prefix:
            subprocess.run(["chown", "-hR", f"{USER}:{USER}", path], check=True)
        return path

    yield make
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


# --- what a test leaves ---------------------------------------------------------------------


def _read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def _list(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def _is_ours(pid):
    return MARK.encode() in _read(f"/proc/{pid}/environ").split(b"\0")


def _parent(pid):
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _foreign(pid):
    """Does it belong to a pinfold that lives and is not of this session? An orphan is nobody's, so it counts as ours."""
    while pid > 1:
        name = _read(f"/proc/{pid}/comm").strip()
        if name in (b"pinfold", b"pinfold-keep"):
            return not _is_ours(pid)
        pid = _parent(pid)
    return False


def _suspects():
    """Processes of the program, and PID namespaces that are not ours (whatever runs in them)."""
    own_ns = os.readlink("/proc/self/ns/pid")
    for pid in map(int, filter(str.isdigit, _list("/proc"))):
        name = _read(f"/proc/{pid}/comm").strip().decode(errors="replace")
        dead = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:1] in ([], [b"Z"])
        if pid == os.getpid() or dead or _foreign(pid):
            continue
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/pid")
        except OSError:
            namespace = own_ns
        if namespace != own_ns:
            yield f"PID namespace {namespace}"
        elif name.startswith("pinfold") or _is_ours(pid):
            yield f"process {pid} ({name})"


def _groups(path="/sys/fs/cgroup", depth=6):
    """Control groups of sandboxes, wherever the ladder put them."""
    for name in _list(path):
        full = os.path.join(path, name)
        if depth == 0 or not os.path.isdir(full) or os.path.islink(full):
            continue
        if name.startswith("pinfold-") and name != "pinfold-host":
            yield f"control group {full}"
        else:
            yield from _groups(full, depth - 1)


def _mounts():
    for line in _read("/proc/self/mountinfo").decode(errors="replace").splitlines():
        yield f"mount {line.split()[4]}"


def _loops():
    for name in _list("/sys/block"):
        backing = _read(f"/sys/block/{name}/loop/backing_file").decode(errors="replace").strip()
        if backing:
            yield f"loop device {name} of {backing}"


def _live_of_others(runtime):
    """Ids of sandboxes whose lock is held, by a keeper that is not of this session."""
    ids = set()
    for name in _list(runtime):
        try:
            fd = os.open(os.path.join(runtime, name), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            meta = dict(line.split(" ", 1) for line in _read(os.path.join(runtime, name)).decode(
                errors="replace").splitlines() if " " in line)
            if meta.get("pid", "").isdigit() and not _is_ours(meta["pid"]):
                ids.add(name)
        finally:
            os.close(fd)
    return ids


def _directories(who):
    for name in _list(who.runtime):
        if name != ".ids":    # locks of id ranges, made once
            yield f"directory {who.runtime}/{name}"
    for name in _list(os.path.join(who.state, "scratch")):
        yield f"directory {who.state}/scratch/{name}"
    for name in _list(os.path.join(who.state, "cache")):
        if name.startswith("."):
            yield f"unfinished cache {who.state}/cache/{name}"
    for name in _list(os.path.join(who.state, "outputs")):
        if name.startswith("."):
            yield f"unfinished output {who.state}/outputs/{name}"


def _everything(everybody):
    found = {*_suspects(), *_groups(), *_mounts(), *_loops()}
    for who in everybody:
        found.update(_directories(who))
    others = set().union(*(_live_of_others(who.runtime) for who in everybody)) if everybody else set()
    return {item for item in found if not any(name in item for name in others)}


def _forget_changes(who):
    """Kept change sets and long outputs are no leak: they are there to be kept. But each test begins without."""
    for kind, name in [(kind, name) for kind in ("changes", "outputs") for name in _list(os.path.join(who.state, kind))]:
        if kind == "changes" or not name.startswith("."):
            shutil.rmtree(os.path.join(who.state, kind, name), ignore_errors=True)


@pytest.fixture(autouse=True)
def leaves_nothing(request):
    everybody = []
    for name in ("_me", "_user"):
        if name in request.fixturenames:
            everybody.append(request.getfixturevalue(name))
    before = _everything(everybody)
    yield
    for who in everybody:
        _forget_changes(who)
    if request.node.get_closest_marker("leaks"):
        return
    end = time.monotonic() + QUIET_SECONDS
    while True:
        left = _everything(everybody) - before
        if not left or time.monotonic() > end:
            break
        time.sleep(0.02)    # teardown goes on off the path of the result, and has no event to wait for
    if left:
        pytest.fail("left behind: " + ", ".join(sorted(left)))


# --- what a host has -------------------------------------------------------------------------


@pytest.fixture
def need_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def need_program():
    """need_program("crun"): its path, or the test is skipped by name."""

    def need(name):
        path = shutil.which(name)
        if not path:
            pytest.skip(f"{name} is not installed")
        return path

    return need


@pytest.fixture(scope="session")
def kernel():
    """The running kernel as (major, minor)."""
    return tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2])
