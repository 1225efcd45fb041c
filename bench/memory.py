# SPDX-License-Identifier: Apache-2.0
"""What a sandbox costs in memory while its command sleeps: private pages of every process but the command itself."""
import os
import re
import signal
import statistics
import subprocess
import time

SECONDS = 10              # until the command and what waits beside it are there


def _parents():
    """pid -> parent, of all processes."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                found[int(pid)] = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    return found


def _family(top):
    """top and everything beneath it."""
    parents = _parents()
    family = {top}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        family |= more
        grown = bool(more)
    return family


def _words(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _is_command(pid, mark):
    """Is it the sleep itself, and not a program that was told to start it?"""
    words = _words(pid)
    return len(words) == 2 and words[1] == mark and os.path.basename(words[0]) == "sleep"


def _name(pid):
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as f:
        return f.read().strip()


def _private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
        return sum(int(kib) for kib in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", f.read(), re.M))


def _settled(top, mark):
    """The family once the command sleeps and nothing has come or gone for five looks."""
    until, same, before = time.monotonic() + SECONDS, 0, None
    while time.monotonic() < until:
        family = _family(top)
        same = same + 1 if family == before and any(_is_command(pid, mark) for pid in family) else 0
        if same >= 5:
            return family
        before = family
        time.sleep(0.02)
    raise TimeoutError("its command never slept")


def _end(process, stop):
    if stop:
        stop()
    else:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def once(argv, mark, stop):
    """One sandbox: [(name, KiB)] of its processes without the command. stop(): end it, if SIGTERM is not the way."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        family = _settled(process.pid, mark)
        return sorted((_name(pid), _private_kib(pid)) for pid in family if not _is_command(pid, mark))
    finally:
        _end(process, stop)


def measure(label, argv, mark, runs, stop=None):
    """One row. argv must end up as `sleep MARK`, and be the program itself: no wrapper that stays."""
    try:
        samples = [once(argv, mark, stop) for _ in range(runs)]
    except (OSError, TimeoutError) as e:
        return {"label": label, "not_measured": str(e)}
    totals = [sum(kib for _, kib in sample) for sample in samples]
    middle = samples[totals.index(statistics.median_low(totals))]
    return {"label": label, "not_measured": None, "runs": runs, "private_kib": statistics.median_low(totals),
            "min_kib": min(totals), "max_kib": max(totals), "processes": [{"name": n, "kib": k} for n, k in middle]}


def table(rows):
    """The rows as text."""
    lines = ["", "memory while `sleep` runs, without the sleep itself: Private_Dirty + Private_Clean",
             f"  {'KiB':<44}{'min':>9}{'median':>9}{'max':>9}  processes"]
    for row in rows:
        if row["not_measured"]:
            lines.append(f"  {row['label']:<44}  not measured: {row['not_measured']}")
            continue
        parts = ", ".join(f"{p['name']} {p['kib']}" for p in row["processes"])
        lines.append(f"  {row['label']:<44}{row['min_kib']:>9}{row['private_kib']:>9}{row['max_kib']:>9}  {parts}")
    return "\n".join(lines)
