# SPDX-License-Identifier: Apache-2.0
"""The escape suite: each test attacks, and proves that its attack works where nothing stops it.

    prove(who, ["read", path], ["root", "userns"])

runs `attack read path` (payload/attack.c) in the test build: with all the named defences off it must succeed, or the
test fails as inconclusive; with each single one on and all others off it must fail; and it must fail in the
program that ships. A defence is the name of a switch of PF_BREAK, or "label=switch+switch" where only several
together are one defence (root's capabilities come back with every exec unless all of `caps` stands: see CAPS).

Ordinary users cannot have `userns` taken off (nothing else works without), and `pidns` is only off as root (without control
groups an exec's end kills what /proc shows). What has no switch is named in the file of its attack, with the reason.
"""
import os
import re
import secrets
import shutil
import socket
import subprocess

import pytest

from escape import BUILD, HERE, TOP, escaped, in_own_network, switches


@pytest.fixture(scope="session")
def tools(_place):
    """A directory for --tools with the program of payload/ in it, world-readable."""
    top = os.path.join(_place, "attack-tools")
    os.makedirs(os.path.join(top, "bin"), mode=0o755)
    compiler = shutil.which("musl-gcc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler")
    sources = [os.path.join(HERE, "payload", name) for name in ("attack.c", "calls.c", "processes.c")]
    subprocess.run([compiler, "-static", "-Os", "-Wall", "-Wextra", "-o", os.path.join(top, "bin/attack"), *sources], check=True)
    subprocess.run(["chmod", "-R", "a+rX", top], check=True)
    return top


@pytest.fixture(scope="session")
def attack_program(tools):
    return os.path.join(tools, "bin/attack")


@pytest.fixture
def prove(tools, attack_program):
    """See the head of this file. run: called instead of the program; it gets a Pinfold and gives a Done. may_not_start:
    these defences show by the command not even starting."""

    def go(who, verb, defences, *options, run=None, worked=escaped, off=(), may_not_start=(), reset=None, **how):
        def attempt(program):
            if reset:
                reset()
            if run:
                return run(program)
            return program.run("--quiet", "--tools", tools, *options, "--", attack_program, *verb, **how)

        everything = [s for d in defences for s in switches(d)] + list(off)
        done = attempt(who.broken(*everything))
        if not worked(done):
            pytest.fail(f"inconclusive: with {','.join(everything)} off the attack does not work: {done!r}")
        for defence in defences:
            left = [s for s in everything if s not in switches(defence)]
            done = attempt(who.broken(*left))
            assert not worked(done), f"{defence} alone does not stop it: {done!r}"
            if defence not in may_not_start:
                assert "tried" in done.out, f"with {defence} on nothing was tried, which proves nothing: {done!r}"
        done = attempt(who)
        assert not worked(done), f"it works in the program that ships: {done!r}"
        if not may_not_start:
            assert "tried" in done.out, f"nothing was tried: {done!r}"

    return go


class Session:
    """Several commands in one sandbox (payload/session.c), with the library of this build."""

    def __init__(self, programs, tools):
        self.programs, self.tools = programs, tools

    def __call__(self, who, *scripts, off=None):
        """[(cause, exit code, output)] of each. off: the test build, without these."""
        program = self.programs[off is not None]
        top = os.path.dirname(who.program)
        libexec = os.path.join(top, *([] if off is None else ["break"]), "libexec/pinfold")
        env = who.environment({"PF_BREAK": ",".join(off)} if off else None)
        p = subprocess.run([*who.prefix, program, libexec, who.state, who.runtime, self.tools, *scripts], env=env, cwd="/",
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
        parts = re.split(r"^== \d+ (\w+) (-?\d+)\n", p.stdout, flags=re.M)[1:]
        assert p.returncode == 0 and len(parts) == 3 * len(scripts), p
        return [(parts[i], int(parts[i + 1]), parts[i + 2]) for i in range(0, len(parts), 3)]


@pytest.fixture(scope="session")
def session(_place, tools):
    compiler = shutil.which("musl-gcc")
    if not compiler:
        pytest.skip("musl-gcc is not installed")
    programs = {}
    for broken, library in ((False, "libpinfold.a"), (True, "obj/break/libpinfold.a")):
        if not os.path.exists(os.path.join(BUILD, library)):
            pytest.fail(f"{library} is not built")
        programs[broken] = os.path.join(_place, f"session-{broken}")
        subprocess.run([compiler, "-static", "-Os", "-Wall", "-Wextra", "-I", os.path.join(TOP, "include"), "-o",
                        programs[broken], os.path.join(HERE, "payload/session.c"), os.path.join(BUILD, library)], check=True)
    return Session(programs, tools)


@pytest.fixture
def refused(tools, attack_program):
    """refused(who, verb, *options): only in the program that ships, where no control is possible; the caller says why."""

    def go(who, verb, *options, **how):
        done = who.run("--quiet", "--tools", tools, *options, "--", attack_program, *verb, **how)
        assert "tried" in done.out, repr(done)
        assert not escaped(done), repr(done)
        return done

    return go


@pytest.fixture
def outside(_place):
    """outside("text", mode=0o644): a file of ours that no sandbox is shown. Returns its path."""
    made = []

    def make(text, mode=0o644, name="secret"):
        top = os.path.join(_place, "outside-" + secrets.token_hex(4))
        os.mkdir(top, 0o755)
        os.chmod(top, 0o755)
        made.append(top)
        path = os.path.join(top, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    yield make
    for top in made:
        shutil.rmtree(top, ignore_errors=True)


@pytest.fixture
def canary():
    return "canary-" + secrets.token_hex(12)


@pytest.fixture
def listening():
    """listening(function): function(port) runs while something listens on loopback; returns (its value, what was received)."""

    def go(function):
        def inner():
            with socket.create_server(("127.0.0.1", 0)) as server:
                server.setblocking(False)
                value = function(server.getsockname()[1])
                got = b""
                while True:     # whoever connected has ended: it is all in the queues
                    try:
                        peer, _ = server.accept()
                    except BlockingIOError:
                        return value, got
                    with peer:
                        peer.settimeout(5)
                        while data := peer.recv(4096):
                            got += data

        return in_own_network(inner)

    return go


@pytest.fixture
def victim(_user):
    """victim(who): a process of the same user on the host, for the time of the test. Returns its Popen."""
    started = []

    def start(who):
        process = subprocess.Popen([*who.prefix, "sh", "-c", "echo up; exec sleep 300"], stdout=subprocess.PIPE)
        process.stdout.readline()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
