# SPDX-License-Identifier: Apache-2.0
"""The suite that runs over every tier and names none: PF_TIER says which, else the program takes its own choice.

    def test_x(anyone, sh):     sh(anyone, "echo hi", "--timeout", "5s"): the result of a shell's script
    def test_x(live):           live(who, "run", ...): a run that goes on, read as its output arrives
"""
import os
import select
import subprocess
import threading
import time

import pytest

SECONDS = 60    # how long anything may take before it counts as hung


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: only in make test-all")


def tiered(who):
    """The same program, but `run` takes the tier of PF_TIER."""
    tier = os.environ.get("PF_TIER", "")
    if not tier or tier == "auto":
        return who

    class Tiered(type(who)):
        def popen(self, *args, **options):
            if args and args[0] == "run" and "--tier" not in args:
                args = ("run", "--tier", tier, *args[1:])
            return super().popen(*args, **options)

    return Tiered(who.program, who.state, who.runtime, who.prefix, who.env)


@pytest.fixture(scope="session")
def _me(_me):
    return tiered(_me)


@pytest.fixture(scope="session")
def _user(_user, _me):
    return tiered(_user) if _user.prefix else _me


@pytest.fixture
def sh():
    """sh(who, script, *options, **how): the result of `sh -c script`."""

    def run(who, script, *options, **how):
        return who.result(*options, "--", "sh", "-c", script, **how)

    return run


class Live:
    """A program that goes on. Its streams are read by threads, each piece with the time at which it came."""

    def __init__(self, process):
        self.process = process
        self.pieces = {"out": [], "err": []}
        self.changed = threading.Condition()
        self.closed = set()
        self.threads = []
        for name, stream in (("out", process.stdout), ("err", process.stderr)):
            if stream is None:
                self.closed.add(name)
                continue
            thread = threading.Thread(target=self._read, args=(name, stream.fileno()), daemon=True)
            thread.start()
            self.threads.append(thread)

    def _read(self, name, fd):
        while True:
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b""
            with self.changed:
                if data:
                    self.pieces[name].append((time.monotonic(), data))
                else:
                    self.closed.add(name)
                self.changed.notify_all()
            if not data:
                return

    def text(self, name="out"):
        with self.changed:
            return b"".join(data for _, data in self.pieces[name])

    def until(self, marker, name="out", seconds=SECONDS):
        """Wait until marker came. Returns when it did."""
        if isinstance(marker, str):
            marker = marker.encode()
        end = time.monotonic() + seconds
        with self.changed:
            while marker not in b"".join(data for _, data in self.pieces[name]):
                left = end - time.monotonic()
                if left <= 0 or name in self.closed:
                    pytest.fail(f"{marker!r} never came: {self.pieces!r}, status {self.process.poll()}")
                self.changed.wait(left)
            return time.monotonic()

    def send(self, data):
        self.process.stdin.write(data if isinstance(data, bytes) else data.encode())
        self.process.stdin.flush()

    def wait(self, seconds=SECONDS):
        """Its exit status; both streams are at their end then."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"it did not end within {seconds} s: {self.pieces!r}")
        for thread in self.threads:
            thread.join(seconds)
        return code


@pytest.fixture
def live():
    started = []

    def start(who, *args, **options):
        run = Live(who.popen(*args, **options))
        started.append(run)
        return run

    yield start
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()
        for stream in (run.process.stdin, run.process.stdout, run.process.stderr):
            if stream:
                stream.close()


def wait_for(condition, what, seconds=SECONDS):
    """Poll until condition() is true; its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s for {what}")
        select.select([], [], [], 0.005)


@pytest.fixture(name="wait_for")
def _wait_for():
    return wait_for


@pytest.fixture(scope="session")
def holds(_me, _user):
    """holds(who, "memory"): does this host hold that limit for them? As the receipt says."""
    known = {}

    def ask(who, limit):
        if who.program not in known:
            known[who.program] = {u["limit"] for u in who.result("--", "true")["receipt"]["unenforced"]}
        return limit not in known[who.program]

    return ask


@pytest.fixture(scope="session")
def built():
    """built("session"): a program of this directory that make has built, in the build directory."""
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

    def find(name):
        path = os.path.join(top, os.environ.get("O", "build"), "tier", name)
        if not os.path.exists(path):
            pytest.fail(f"{path} is not built")
        return path

    return find
