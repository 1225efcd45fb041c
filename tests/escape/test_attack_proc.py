# SPDX-License-Identifier: Apache-2.0
"""/proc and /sys: what tells of the host, what reaches it.

CVE-2025-31133   masks are the null device itself, looked at by its number; nothing of the image names what covers.
CVE-2019-16884, 2019-19921, 2023-27561, 2025-52881   /proc is a mount of our own on a real directory; nobody inside mounts.

Defences: the masks and read-only parts (`mask_proc`), that uid 0 inside is nobody outside (`userns`), no sysfs but a
synthetic /sys (`root`; Landlock besides). Files are opened for writing and not written.

Not taken off alone: that /proc is of the sandbox's own PID namespace; see test_attack_processes.py.
"""
import os

import pytest

from escape import outcome

READ = ["/proc/kallsyms", "/proc/timer_list", "/proc/interrupts", "/proc/vmallocinfo", "/proc/slabinfo", "/proc/kpagecount",
        "/proc/sched_debug", "/proc/kcore"]
WRITE = ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/panic_on_oom",
         "/proc/sys/fs/file-max", "/proc/irq/default_smp_affinity", "/proc/sys/vm/drop_caches"]
SYS_WRITE = ["/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/profiling", "/sys/power/state",
             "/sys/kernel/uevent_helper"]
SYS_READ = ["/sys/kernel/vmcoreinfo", "/sys/class/net/lo/mtu", "/sys/firmware/acpi/tables/DSDT", "/sys/kernel/notes"]


def there(paths, mode):
    """Those that this kernel has and that its root can open."""
    found = []
    for path in paths:
        try:
            os.close(os.open(path, mode | os.O_NONBLOCK))
            found.append(path)
        except OSError:
            pass
    if not found:
        pytest.skip("this kernel has none of " + " ".join(paths))
    return found


def all_of(paths):
    return lambda done: all(outcome(done).get(path) for path in paths)


def any_of(paths):
    return lambda done: any(outcome(done).get(path) for path in paths)


class Worked:
    """The control must succeed with every path; a defence must stop every one."""

    def __init__(self, paths):
        self.paths, self.first = paths, True

    def __call__(self, done):
        judge = all_of if self.first else any_of
        self.first = False
        return judge(self.paths)(done)


def test_what_tells_of_the_host_is_masked(pinfold, need_root, prove):
    readable = []
    for path in there(READ, os.O_RDONLY):
        with open(path, "rb") as f:
            if f.read(1):
                readable.append(path)
    prove(pinfold, ["read", *readable], ["mask_proc"], "--user", "root", off=["userns"], worked=Worked(readable))


def test_nothing_of_the_host_can_be_set(pinfold, need_root, prove):
    paths = there(WRITE, os.O_WRONLY)
    prove(pinfold, ["open-for-writing", *paths], ["mask_proc", "userns"], "--user", "root", worked=Worked(paths))


def test_pressure_triggers(anyone, prove):
    """/proc/pressure is open to everybody: a trigger makes the host's kernel watch the host for us."""
    paths = there(["/proc/pressure/cpu", "/proc/pressure/memory", "/proc/pressure/io"], os.O_WRONLY)
    prove(anyone, ["open-for-writing", *paths], ["mask_proc"], worked=Worked(paths))


def test_sysfs_is_not_there_to_write(pinfold, need_root, prove):
    paths = there(SYS_WRITE, os.O_WRONLY)
    prove(pinfold, ["open-for-writing", *paths], ["root", "userns", "landlock"], "--user", "root", "-w", "/tmp",
          worked=Worked(paths))


def test_sysfs_is_not_there_to_read(pinfold, need_root, prove):
    paths = there(SYS_READ, os.O_RDONLY)
    prove(pinfold, ["read", *paths], ["root"], "--user", "root", "-w", "/tmp", off=["userns"], worked=Worked(paths))


def test_as_user(as_user, refused):
    # an ordinary user could do none of it on the host either: no control
    refused(as_user, ["read", *SYS_READ, "/proc/kcore", "/proc/kmsg", "/proc/keys", "/proc/timer_list"])
    refused(as_user, ["open-for-writing", *WRITE, *SYS_WRITE, "/dev/kmsg", "/dev/mem", "/proc/1/oom_score_adj"])


def test_masks_are_the_null_device(anyone):
    script = ("import os\n"
              "for n in os.listdir('/proc'):\n"
              "    s = os.lstat('/proc/' + n)\n"
              "    if (s.st_mode & 0o170000) == 0o020000: print(n, os.major(s.st_rdev), os.minor(s.st_rdev))\n")
    done = anyone.run("--quiet", "--", "/usr/bin/python3", "-c", script)
    lines = done.out.splitlines()
    assert len(lines) >= 3 and all(line.endswith(" 1 3") for line in lines), repr(done)
    # they cannot be moved away, covered, or replaced
    script = "for f in kallsyms interrupts keys; do rm -f /proc/$f; mv /proc/$f /tmp/x; ln -sf /etc/passwd /proc/$f; done; " \
             "umount -l /proc/kallsyms; mount -t proc none /tmp; cat /proc/kallsyms | wc -c"
    done = anyone.run("--quiet", "--", "sh", "-c", script)
    assert done.out.split()[-1] == "0", repr(done)
