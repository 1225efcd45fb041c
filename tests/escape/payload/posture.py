# SPDX-License-Identifier: Apache-2.0
"""Run inside: print what this process sees and may, one fact a line. What depends on the host is left to test_posture.py."""
import ctypes
import errno
import os
import re
import resource
import socket
import stat

libc = ctypes.CDLL(None, use_errno=True)


def say(*words):
    print(*words)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError as e:
        return "!" + errno.errorcode.get(e.errno, str(e.errno))


def identity():
    keys = ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "TracerPid")
    for line in read("/proc/self/status").splitlines():
        key, _, value = line.partition(":")
        if key in keys:
            say("status", key, *value.split())
    for name in ("uid_map", "gid_map"):
        for line in read("/proc/self/" + name).splitlines():
            inside, host, count = line.split()
            say(name, inside, "HOST" if host != "0" else "0", count)
    say("setgroups", read("/proc/self/setgroups").strip())
    say("securebits", libc.prctl(27, 0, 0, 0, 0), "keepcaps", libc.prctl(7, 0, 0, 0, 0), "dumpable", libc.prctl(3, 0, 0, 0, 0))
    say("parent", os.getppid(), "leader", os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())
    say("umask", oct(os.umask(0)), "cwd", os.getcwd(), "name", socket.gethostname(), "nice", os.nice(0), "policy",
        os.sched_getscheduler(0))


def namespaces():
    for name in sorted(os.listdir("/proc/self/ns")):
        say("ns", name, os.readlink("/proc/self/ns/" + name))


def descriptors():
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            to = os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue
        if not to.startswith("/proc/"):     # the listing itself
            say("fd", name, re.sub(r"\d+", "N", to))


def mounts():
    for line in read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        at, options, kind = left.split()[4], left.split()[5], right.split()[0]
        flags = [f for f in options.split(",") if f in ("ro", "rw", "nosuid", "nodev", "noexec")]
        say("mount", at, kind, ",".join(flags))
    for top in sorted(os.listdir("/")):
        st = os.lstat("/" + top)
        say("root", top, "link" if stat.S_ISLNK(st.st_mode) else oct(stat.S_IMODE(st.st_mode)), st.st_uid if not stat.S_ISLNK(st.st_mode) else "")
    for path in ("/", "/usr", "/etc", "/sys", "/proc", "/dev", "/dev/shm", "/dev/pts", "/tmp", "/var", "/var/tmp", "/var/lib", "/run",
                 "/home", "/home/user", "/root", "/mnt", "/srv", "/opt"):
        name = os.path.join(path, ".posture")
        try:
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600))
            os.unlink(name)
            say("create", path, "yes")
        except OSError as e:
            say("create", path, errno.errorcode[e.errno])


def devices():
    for top, dirs, files in os.walk("/dev"):
        dirs[:] = [d for d in dirs if os.path.join(top, d) not in ("/dev/fd",)]
        for name in sorted(files + dirs):
            path = os.path.join(top, name)
            st = os.lstat(path)
            kind = {stat.S_IFCHR: "char", stat.S_IFBLK: "block", stat.S_IFLNK: "link", stat.S_IFDIR: "dir"}.get(stat.S_IFMT(st.st_mode), "file")
            say("dev", path, kind, f"{os.major(st.st_rdev)}:{os.minor(st.st_rdev)}" if kind in ("char", "block") else
                os.readlink(path) if kind == "link" else "")


def sockets():
    types = {1: "stream", 2: "dgram", 3: "raw", 4: "rdm", 5: "seqpacket"}
    for family in range(0, 47):
        for kind, name in types.items():
            for protocol in (range(0, 24) if family == 16 else (0, 1, 6, 17, 58, 132, 136, 255, 262) if family in (2, 10) else (0, 3)):
                fd = libc.socket(family, kind, protocol)
                if fd >= 0:
                    os.close(fd)
                    say("socket", family, name, protocol)


def limits():
    for name in ("CORE", "NOFILE"):
        say("limit", name, *resource.getrlimit(getattr(resource, "RLIMIT_" + name)))


def environment():
    for key in sorted(os.environ):
        say("env", f"{key}={os.environ[key]}")


def writable():
    own = ("attr/current", "attr/exec", "attr/fscreate", "autogroup", "clear_refs", "comm", "coredump_filter", "gid_map", "loginuid", "mem",
           "oom_score_adj", "projid_map", "sched", "setgroups", "timens_offsets", "timerslack_ns", "uid_map")
    for name in own:
        say("own", name, attempt("/proc/self/" + name))
    for top in ("/proc", "/sys"):
        for where, dirs, files in os.walk(top):
            if where == "/proc":
                dirs[:] = [d for d in dirs if not d.isdigit() and d not in ("self", "thread-self")]
            for name in files:
                path = os.path.join(where, name)
                try:
                    st = os.lstat(path)
                except OSError:
                    continue
                if stat.S_ISREG(st.st_mode) and attempt(path) == "yes":
                    say("writable", path)
    for name in ("kcore", "kallsyms", "keys", "interrupts", "timer_list", "sysrq-trigger", "kmsg", "kpagecount", "slabinfo", "vmallocinfo"):
        text = read("/proc/" + name)[:1]
        say("proc", name, "closed" if text in ("", "!") else "READABLE")


def attempt(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        return "yes"
    except OSError as e:
        return errno.errorcode[e.errno]


def set_user_id():
    """Programs that would make somebody else of us, where the mount lets them."""
    counted = 0
    for top in ("/usr", "/opt", "/tmp", "/home", "/var", "/run", "/etc"):
        for where, dirs, files in os.walk(top):
            if where.count("/") > 3:
                dirs[:] = []
            for name in files:
                path = os.path.join(where, name)
                try:
                    st = os.lstat(path)
                except OSError:
                    continue
                if stat.S_ISREG(st.st_mode) and st.st_mode & 0o6000 and not os.statvfs(path).f_flag & os.ST_NOSUID:
                    say("set-user-id", path)
                    counted += 1
    say("set-user-id programs that work:", counted)


def others():
    say("processes", sorted(int(p) for p in os.listdir("/proc") if p.isdigit())[-1] < 10)
    say("cgroup", *sorted({line.split(":", 2)[2] for line in read("/proc/self/cgroup").splitlines()}))
    say("interfaces", *sorted(name for _, name in socket.if_nameindex()))
    say("routes", len(read("/proc/net/route").splitlines()) - 1)
    say("unix sockets", len(read("/proc/net/unix").splitlines()) - 1)
    say("shared memory", len(read("/proc/sysvipc/shm").splitlines()) - 1)


for part in (identity, namespaces, descriptors, mounts, devices, sockets, limits, environment, writable, set_user_id, others):
    part()
