# SPDX-License-Identifier: Apache-2.0
"""-t: a real terminal. Ours is a pseudo-terminal, and the program runs in it as a shell would start it."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pytest

SECONDS = 20


class Terminal:
    """A program whose controlling terminal is a pseudo-terminal of ours."""

    def __init__(self, who, *args, rows=30, cols=100):
        self.master, slave = pty.openpty()
        self.resize(rows, cols)
        self.before = termios.tcgetattr(slave)
        argv = [*who.prefix, who.program, *args]
        env = {**who.environment(), "TERM": "xterm"}
        if who.prefix:
            os.fchown(slave, 12345, 12345)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.master)
                os.setsid()
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                for fd in range(3):
                    os.dup2(slave, fd)
                os.closerange(3, 256)
                os.chdir("/")
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(255)
        self.slave = slave
        self.seen = b""
        self.status = None

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.master, text if isinstance(text, bytes) else text.encode())

    def until(self, pattern, seconds=SECONDS):
        """Read until pattern was seen; forgets what was before its end. Returns the match."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern.encode(), self.seen, re.S)
            if match:
                self.seen = self.seen[match.end():]
                return match
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], max(left, 0))[0]:
                pytest.fail(f"{pattern!r} never came: {self.seen!r}")
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            if not data:
                pytest.fail(f"ended before {pattern!r} came: {self.seen!r}")
            self.seen += data

    def wait(self, seconds=SECONDS):
        """Its exit status. Goes on reading, or it could not end."""
        end = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                while select.select([self.master], [], [], 0)[0]:
                    try:
                        self.seen += os.read(self.master, 65536)
                    except OSError:
                        break
                return self.status
            if time.monotonic() > end:
                pytest.fail(f"it did not end: {self.seen!r}")
            if select.select([self.master], [], [], 0.02)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    pass

    def close(self):
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal():
    opened = []

    def start(who, *args, **options):
        opened.append(Terminal(who, *args, **options))
        return opened[-1]

    yield start
    for t in opened:
        t.close()


def test_it_is_a_terminal(anyone, terminal):
    t = terminal(anyone, "run", "-t", "--", "sh", "-c", "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo yes; exit 3")
    t.until(r"/dev/pts/\d+\r\n30 100\r\nyes\r\n")
    assert t.wait() == 3
    assert termios.tcgetattr(t.slave) == t.before


def test_a_terminal_without_one_of_ours(anyone):
    p = anyone.run("-t", "--", "sh", "-c", "tty; stty size; echo err >&2")
    assert p.out == "/dev/pts/0\r\n24 80\r\nerr\r\n" and p.err == ""
    r = anyone.result("-t", "--", "sh", "-c", "echo out; echo err >&2")
    assert (r.stdout, r.stderr, r.stderr_bytes) == ("out\r\nerr\r\n", "", 0)


def test_its_name_can_be_opened(anyone):
    p = anyone.run("-t", "--", "sh", "-c", "echo one > $(tty); echo two > /dev/tty; echo three > /dev/stdout; echo four > /proc/self/fd/2;"
                   " echo five | tee /dev/tty > /dev/null; ls /dev/pts")
    assert p.out.split() == ["one", "two", "three", "four", "five", "0", "ptmx"], p


def test_without_a_terminal_there_is_no_dev_tty(anyone, sh):
    r = sh(anyone, "(echo x > /dev/tty) 2>/dev/null || echo none; tty")
    assert r.stdout == "none\nnot a tty\n"


def test_typing(anyone, terminal):
    t = terminal(anyone, "run", "-it", "--", "sh", "-c", "read -r a; echo \"got<$a>\"; cat; echo end")
    t.type("hello wörld\n")
    t.until("got<hello wörld>")
    t.type("line\n")
    t.until("line\r\nline\r\n")
    t.type("\x04")
    t.until("end\r\n")
    assert t.wait() == 0


def test_raw_while_it_runs(anyone, terminal):
    """Keys go inside; ours does not echo them a second time, and is as it was afterwards."""
    t = terminal(anyone, "run", "-it", "--", "sh", "-c", "stty -echo; echo up; read x; echo \"got $x\"")
    t.until("up\r\n")
    assert not termios.tcgetattr(t.slave)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
    t.type("secret\n")
    t.until("got secret\r\n")
    assert t.wait() == 0
    assert termios.tcgetattr(t.slave) == t.before


def test_size_and_resize(anyone, terminal):
    code = """if True:
        import os, signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
        print("up", flush=True)
        while signal.sigwait([signal.SIGWINCH]):
            size = os.get_terminal_size()
            print(size.lines, size.columns, flush=True)"""
    t = terminal(anyone, "run", "-it", "--", "python3", "-c", code)
    t.until("up\r\n")
    for rows, cols in ((40, 120), (10, 20)):
        t.resize(rows, cols)
        os.kill(t.pid, signal.SIGWINCH)
        t.until(f"{rows} {cols}\r\n")
    t.type("\x1c")
    assert t.wait() == 131


# Says that it is there, and sleeps with every signal as it was: a key that comes in between ends or stops it all the same.
# (A Python that is hit just before its time.sleep() sleeps on: it looks for signals before the system call, not in it.)
# The word is not in the line that is typed, which is echoed. Once it is there the shell has given the terminal to the job;
# a ^C before that hits the shell, and bash may then wait for ever for a job that it did not notice. So it does anywhere.
JOB = "sh -c 'echo n$((0))w; exec sleep 3600'"


def test_interrupt_goes_to_the_foreground_only(anyone, terminal):
    t = terminal(anyone, "run", "-it", "--", "bash", "--norc", "-i")
    t.until(r"\$ ")
    t.type("sleep 3600 & echo back$!ground\n")
    t.until(r"back\d+ground")
    t.type(f"{JOB}; echo not re$((0))ached\n")
    t.until("n0w\r\n")
    t.type("\x03")
    assert "re0ached" not in t.until(r"\^C.*\$ ").group().decode()
    t.type("jobs -r | grep -c sleep; echo code=$?\n")
    t.until(r"1\r\n.*code=0")
    t.type("exit 7\n")
    assert t.wait() == 7


def test_job_control(anyone, terminal):
    t = terminal(anyone, "run", "-it", "--", "bash", "--norc", "-i")
    t.until(r"\$ ")
    t.type("echo g$((0))o; cat\n")
    t.until("g0o\r\n")    # what is typed before readline gives the terminal back would be no line
    t.type("x1y\n")
    t.until("x1y\r\nx1y\r\n")
    t.type("\x1a")
    t.until("Stopped.*cat")
    t.type("echo he$((1))re\n")
    t.until("he1re")
    t.type("fg\n")
    t.until("cat\r\n")
    t.type("again\n")
    t.until("again\r\nagain\r\n")
    t.type("\x03")
    t.until(r"\$ ")
    t.type("exit\n")
    t.wait()
    assert termios.tcgetattr(t.slave) == t.before


def test_sh_has_job_control(anyone, terminal):
    t = terminal(anyone, "run", "-it", "--", "sh", "-i")
    t.until(r"\$ ")
    t.type(f"{JOB}\n")
    t.until("n0w\r\n")
    t.type("\x1a")
    t.until("Stopped|suspended")
    t.type("kill -9 %1; wait; echo o$((0))ff\n")
    t.until("o0ff\r\n")
    t.type("exit\nexit\n")    # dash may not have noticed yet that its job is gone, and then asks once more
    t.wait()


def test_our_terminal_is_restored_when_we_are_killed_by_a_signal(anyone, terminal):
    t = terminal(anyone, "run", "-it", "--", "sh", "-c", "echo up; sleep 3600")
    t.until("up\r\n")
    os.kill(t.pid, signal.SIGTERM)
    assert t.wait() == 137
    assert termios.tcgetattr(t.slave) == t.before


def test_restored_when_nothing_starts(anyone, terminal):
    t = terminal(anyone, "run", "-it", "--", "no-such-command")
    assert t.wait() == 127
    assert termios.tcgetattr(t.slave) == t.before
    t = terminal(anyone, "run", "-it", "--workspace", "/nowhere", "--", "true")
    assert t.wait() == 125
    assert termios.tcgetattr(t.slave) == t.before


def test_hang_up(anyone, terminal):
    """Our terminal goes away: so does the sandbox."""
    t = terminal(anyone, "run", "-it", "--", "sh", "-c", "trap '' HUP; echo up; while :; do sleep 1; done")
    t.until("up\r\n")
    master, t.master = t.master, os.open("/dev/null", os.O_RDONLY)
    os.close(t.slave)
    os.close(master)
    t.slave = os.open("/dev/null", os.O_RDONLY)
    end = time.monotonic() + SECONDS
    while os.waitpid(t.pid, os.WNOHANG) == (0, 0):
        assert time.monotonic() < end
        select.select([], [], [], 0.02)
    t.status = 0


def test_timeout_on_a_terminal(anyone, terminal):
    t = terminal(anyone, "run", "-it", "--timeout", "700ms", "--", "sh", "-c", "trap '' INT; echo up; sleep 3600")
    t.until("up\r\n")
    assert t.wait() == 124
    assert termios.tcgetattr(t.slave) == t.before


def test_much_output(anyone, terminal):
    t = terminal(anyone, "run", "-t", "--", "sh", "-c", "seq 1 20000; echo end")
    t.until("\r\n19999\r\n20000\r\nend\r\n")
    assert t.wait() == 0


def test_interactive_python(anyone, terminal):
    t = terminal(anyone, "run", "-it", "--", "python3", "-q", "-i")
    t.until(">>> ")
    t.type("print(6*7, __import__('sys').stdin.isatty())\r")
    t.until(r"\b42 True.*>>> ")    # the prompt: it reads keys again
    t.type("\x04")
    assert t.wait() == 0
