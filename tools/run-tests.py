#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Run every test and count: unit tests (cmocka programs, some at once), then what drives the program (pytest).

    tools/run-tests.py --build build [--jobs 2] [--all] [--only unit,tier,...] [-k EXPRESSION]

The last line of output is "N passed, N failed, N skipped" and nothing else; before it stand the reasons of what
was skipped. Ends with 1 if anything failed or nothing was run.
"""
import argparse
import concurrent.futures
import glob
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

UNIT_SECONDS = 300       # one cmocka program
PYTEST_SECONDS = 1800    # all of pytest
SHOWN_BYTES = 20000      # of a failed program's output

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []    # (name, reason)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def run_on_terminal(argv, seconds):
    """Run a program with its output on a pseudo-terminal, so that what it said before it crashed is not lost in a
    buffer and both streams come in order. Returns (exit status as subprocess has it, None for a timeout; output)."""
    master, slave = pty.openpty()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    out, end, status = b"", time.monotonic() + seconds, None
    while True:
        ready, _, _ = select.select([master], [], [], max(0, end - time.monotonic()))
        if not ready:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            break
        try:
            data = os.read(master, 65536)
        except OSError:    # EIO: the last holder closed it
            data = b""
        if not data:
            status = process.wait()
            break
        out += data
    os.close(master)
    return status, out.decode(errors="replace").replace("\r\n", "\n")


def parse_cmocka(program, text):
    """Count the tests of one program. A test that began and did not end is one that took the program down."""
    tally, running, reason, inside = Tally(), None, "", True
    for line in text.splitlines():
        if re.match(r"\[=+\] .*[Rr]unning \d+ test", line):
            inside = True
        elif re.match(r"\[=+\] .*test\(s\) run", line):
            inside = False    # below it cmocka lists the failed ones once more
        match = re.match(r"\[ +(RUN|OK|FAILED|SKIPPED) +\] (\S+)$", line)
        if match and inside:
            kind, name = match.group(1), f"{program}: {match.group(2)}"
            if kind == "RUN":
                running, reason = name, ""
                continue
            if kind == "OK":
                tally.passed += 1
            elif kind == "FAILED":
                tally.failed.append(name)
            else:
                tally.skipped.append((name, reason or "no reason given"))
            running = None
        elif line.startswith("skipped:"):
            reason = line[len("skipped:"):].strip()
    if running:
        tally.failed.append(running + " (did not end)")
    return tally


def run_unit(path):
    name = os.path.basename(path)
    begun = time.monotonic()
    status, text = run_on_terminal([path], UNIT_SECONDS)
    tally = parse_cmocka(name, text)
    if status is None:
        tally.failed.append(f"{name}: more than {UNIT_SECONDS} s")
    elif status != 0 and not tally.failed:
        tally.failed.append(f"{name}: ended with {status}")    # a leak, or a sanitizer's word after the last test
    elif tally.passed + len(tally.failed) + len(tally.skipped) == 0:
        tally.failed.append(f"{name}: no test in it")
    return name, tally, text, time.monotonic() - begun


def run_units(build, jobs, keyword):
    total = Tally()
    programs = sorted(glob.glob(os.path.join(build, "unit", "test_*")))
    # What is left of sources that are gone is no test.
    programs = [p for p in programs
                if os.access(p, os.X_OK) and os.path.exists(f"tests/unit/{os.path.basename(p)}.c") and keyword in p]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for name, tally, text, seconds in pool.map(run_unit, programs):
            print(f"  UNIT     {name}: {tally} ({seconds:.1f} s)", flush=True)
            if tally.failed:
                print(text[-SHOWN_BYTES:])
            total.add(tally)
    return total


def parse_junit(path):
    tally = Tally()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}: {case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            # A test whose clean-up failed as well is in the file twice, and is one failed test.
            if name not in tally.failed:
                tally.failed.append(name)
        elif case.find("skipped") is not None:
            reason = case.find("skipped").get("message") or "no reason given"
            tally.skipped.append((name, re.sub(r"^skipped:\s*", "", reason, flags=re.I)))
        else:
            tally.passed += 1
    return tally


def run_pytest(suites, options, build):
    """All suites in one pytest. Its own words go to the terminal as they come."""
    report = os.path.join(build, "pytest.xml")
    if os.path.exists(report):
        os.unlink(report)
    argv = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--durations=8",
            "--durations-min=3", f"--junitxml={report}", "-o", "junit_family=xunit2", "-o", "junit_logging=no"]
    if not options.all:
        argv += ["-m", "not slow"]
    if options.keyword:
        argv += ["-k", options.keyword]
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", O=build)
    try:
        status = subprocess.run([*argv, *suites], env=env, timeout=PYTEST_SECONDS, check=False).returncode
    except subprocess.TimeoutExpired:
        status = None
    tally = parse_junit(report) if os.path.exists(report) else Tally()
    if status is None:
        tally.failed.append(f"pytest: more than {PYTEST_SECONDS} s")
    elif status not in (0, 5) and not tally.failed:    # 5: nothing selected
        tally.failed.append(f"pytest ended with {status}")
    return tally


def find_suites():
    """Every directory of tests/ with a test_*.py in it."""
    return sorted({os.path.dirname(p) for p in glob.glob("tests/*/**/test_*.py", recursive=True)})


def hear_signals():
    """A shell starts what runs in its background deaf to ^C, nohup to hang-ups; what the tests start would be so too."""
    for signo in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(signo) == signal.SIG_IGN:
            signal.signal(signo, signal.SIG_DFL)


def main():
    hear_signals()
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all", action="store_true", help="the slow ones too")
    parser.add_argument("--only", default="", help="comma-separated: unit, or directories of tests/")
    parser.add_argument("-k", dest="keyword", default="", help="as pytest's; for unit tests a part of the program's name")
    options = parser.parse_args()
    os.chdir(TOP)
    build, only = os.path.abspath(options.build), [o for o in options.only.split(",") if o]
    total = Tally()
    if not only or "unit" in only:
        total.add(run_units(build, options.jobs, options.keyword))
    suites = [s for s in find_suites() if not only or s.split("/")[1] in only]
    if suites:
        total.add(run_pytest(suites, options, build))
    if total.failed:
        print("\nfailed:")
        for name in total.failed:
            print(f"  {name}")
    if total.skipped:
        print("\nskipped:")
        for name, reason in total.skipped:
            print(f"  {name}: {reason}")
    print(f"\n{total}", flush=True)
    return 1 if total.failed or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
