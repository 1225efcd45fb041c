# SPDX-License-Identifier: Apache-2.0
"""What of this machine the figures depend on, and whether it is quiet enough to measure."""
import gzip
import os
import platform
import re
import shutil
import subprocess
import time

IDLE_SECONDS = 0.5
IDLE_NEEDED = 85.0        # percent of all CPUs' time


def read(path, otherwise=None):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read().strip()
    except OSError:
        return otherwise


def _cpu_times():
    fields = [int(x) for x in read("/proc/stat").splitlines()[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def idle_percent():
    """Share of the CPUs' time that nobody used, over half a second."""
    idle, total = _cpu_times()
    time.sleep(IDLE_SECONDS)
    idle_then, total_then = _cpu_times()
    return 100.0 * (idle_then - idle) / max(1, total_then - total)


def _timer_hz():
    config = read(f"/boot/config-{platform.release()}")
    if config is None:
        try:
            with gzip.open("/proc/config.gz", "rt") as f:
                config = f.read()
        except OSError:
            return None
    found = re.search(r"^CONFIG_HZ=(\d+)$", config, re.M)
    return int(found.group(1)) if found else None


def _cgroups():
    """What is mounted: version, controllers, favordynmods or not."""
    found = []
    for line in read("/proc/self/mounts", "").splitlines():
        _, where, kind, options = line.split()[:4]
        if kind not in ("cgroup", "cgroup2"):
            continue
        dynmods = "favordynmods" in options.split(",")
        found.append({"version": 2 if kind == "cgroup2" else 1, "path": where, "favordynmods": dynmods})
    return found


def _cpu_model():
    found = re.search(r"^model name\s*: (.*)$", read("/proc/cpuinfo", ""), re.M)
    virtual = " hypervisor" in read("/proc/cpuinfo", "")
    return (found.group(1) if found else "unknown") + (", virtual machine" if virtual else "")


def _distribution():
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', read("/etc/os-release", ""), re.M)
    return found.group(1) if found else None


def _first_line(*argv):
    if not shutil.which(argv[0]):
        return None
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else None


def file_system(path):
    """Type of the file system that holds path: of the longest mount point that is a prefix, the last mounted."""
    path, best, kind = os.path.realpath(path), "", None
    for line in read("/proc/self/mounts", "").splitlines():
        where, this = line.split()[1:3]
        if os.path.commonpath([where, path]) == where and len(where) >= len(best):
            best, kind = where, this
    return kind


def describe(pinfold, top):
    """Everything that the heading prints, as one dictionary."""
    return {
        "pinfold": _first_line(pinfold, "--version"),
        "commit": _first_line("git", "-C", top, "describe", "--always", "--dirty"),
        "peers": [line for line in (_first_line("bwrap", "--version"), _first_line("crun", "--version"),
                                    _first_line("runc", "--version")) if line],
        "distribution": _distribution(),
        "kernel": platform.release(),
        "hz": _timer_hz(),
        "cpus": os.cpu_count(),
        "cpus_allowed": len(os.sched_getaffinity(0)),
        "cpu": _cpu_model(),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "cgroups": _cgroups(),
        "unprivileged_userns_clone": read("/proc/sys/kernel/unprivileged_userns_clone"),
        "apparmor_restrict_unprivileged_userns": read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        "transparent_hugepage": read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "loadavg": read("/proc/loadavg"),
        "uid": os.getuid(),
        "mounts": len(read("/proc/self/mountinfo", "").splitlines()),
    }


def _cgroup_line(cgroups):
    versions = sorted({c["version"] for c in cgroups})
    dynmods = [c["path"] for c in cgroups if c["favordynmods"]]
    mounted = " and ".join(f"v{v} ({sum(c['version'] == v for c in cgroups)} mounted)" for v in versions)
    return f"{mounted or 'none mounted'}; favordynmods {'on: ' + ' '.join(dynmods) if dynmods else 'off'}"


def heading(host):
    """The lines above the tables."""
    def known(value):
        return "unknown" if value is None else value

    return "\n".join([
        f"pinfold      {known(host['pinfold'])}, commit {known(host['commit'])}; as uid {host['uid']}",
        f"peers        {'; '.join(host['peers']) or 'none'}",
        f"machine      {host['cpu']}; {host['cpus']} CPUs, {host['cpus_allowed']} allowed; governor {known(host['governor'])}",
        f"kernel       {host['kernel']}, HZ {known(host['hz'])}; {known(host['distribution'])}",
        f"cgroups      {_cgroup_line(host['cgroups'])}",
        f"settings     kernel.unprivileged_userns_clone {host['unprivileged_userns_clone'] or 'absent'}; "
        f"apparmor_restrict_unprivileged_userns {host['apparmor_restrict_unprivileged_userns'] or 'absent'}; "
        f"transparent_hugepage {known(host['transparent_hugepage'])}; {host['mounts']} mounts",
        f"load         {host['loadavg']}; CPUs idle {host['idle_percent']:.0f} % before"
        + ("   FORCED: the machine was busy, BENCH_FORCE=1" if host["forced"] else ""),
    ])
