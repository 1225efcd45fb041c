# SPDX-License-Identifier: Apache-2.0
"""Terminals: typing for somebody else.

CVE-2017-5226   TIOCSTI into the caller's terminal: the streams are always pipes or a terminal of the sandbox's own (how
                it is made; no switch), and the filter refuses the call, also with the upper half of the command set: the
                kernel looks at 32 bits, a filter that compares 64 would let it pass.
TIOCLINUX       the same through the console's selection; TIOCSETD loads line disciplines.
CVE-2025-52565  /dev/pts and the console raced: the slave is got from its master by descriptor (TIOCGPTPEER), the
                devpts is a new instance: host terminals are not there (`root`).
"""
import os
import pty

from escape import outcome

CALLS = ("TIOCSTI", "TIOCSTI-high", "TIOCLINUX", "TIOCLINUX-high", "TIOCSETD")


def on_a_terminal(who, *args):
    """Run it with a terminal for its streams, and return what came out of that."""
    master, slave = pty.openpty()
    process = who.popen(*args, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    out = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            data = b""
        if not data:
            break
        out += data
    os.close(master)
    process.wait(60)

    class Done:
        code = process.returncode
        err = ""

        def __init__(self):
            self.out = out.decode(errors="replace").replace("\r\n", "\n")

        def __repr__(self):
            return f"<{process.args}: {self.code}: {self.out}>"

    return Done()


def test_typing_into_a_terminal(anyone, prove, tools, attack_program):
    need = list(CALLS)
    with open("/proc/sys/dev/tty/legacy_tiocsti", encoding="ascii") as f:
        if f.read().strip() == "0":
            need = [call for call in need if not call.startswith("TIOCSTI")]    # this kernel has it off for all
    first = []

    def worked(done):
        found = outcome(done)
        if not first:
            first.append(True)
            return all(found.get(call) for call in need)
        return any(found.get(call) for call in CALLS)

    prove(anyone, None, ["seccomp"], worked=worked, run=lambda program: on_a_terminal(
        program, "run", "--quiet", "-t", "--tools", tools, "--", attack_program, "terminal"))


def test_the_hosts_terminals_are_not_there(anyone, prove):
    master, slave = pty.openpty()
    try:
        path = os.ttyname(slave)
        os.chmod(path, 0o666)     # the permission is not what should protect it
        prove(anyone, ["open-for-writing", path], ["root"], "-w", "/tmp")
    finally:
        os.close(master)
        os.close(slave)


def test_the_callers_terminal_is_not_the_commands(anyone, tools, attack_program):
    done = on_a_terminal(anyone, "run", "--quiet", "--", "sh", "-c", "tty; readlink /proc/self/fd/0; : >/dev/tty && echo HAVE")
    assert "HAVE" not in done.out and "/dev/pts" not in done.out, repr(done)
