# SPDX-License-Identifier: Apache-2.0
"""Where world.py is the Internet: namespaces of the calling thread, and so of all threads and programs that it starts."""
import contextlib
import ctypes
import os
import subprocess

import world

CLONE_FS, CLONE_NEWNS, CLONE_NEWNET = 0x200, 0x20000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


@contextlib.contextmanager
def _namespace(kind, flag):
    before = os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.unshare(flag), "unshare")
        yield
    finally:
        _check(_libc.setns(before, flag), "setns")
        os.close(before)


@contextlib.contextmanager
def network():
    """Addresses of the world are routed to loopback and are nobody's (own addresses count as special,
    src/egress/judge.c). Yields whether IPv6 is there."""
    with _namespace("net", CLONE_NEWNET):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for net in world.LOCAL4:
            subprocess.run(["ip", "route", "add", "local", net, "dev", "lo"], check=True)
        yield all(subprocess.run(["ip", "-6", "route", "add", "local", net, "dev", "lo"], stderr=subprocess.DEVNULL,
                                 check=False).returncode == 0 for net in world.LOCAL6)


@contextlib.contextmanager
def resolv_conf(place):
    """Programs of the host ask the world's resolver: their /etc/resolv.conf names it. place: a directory of the test's."""
    conf = os.path.join(place, "resolv.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write("nameserver 127.0.0.53\n")
    os.chmod(conf, 0o644)
    _check(_libc.unshare(CLONE_FS), "unshare")    # which setns(2) wants
    with _namespace("mnt", CLONE_NEWNS):
        _check(_libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "mount")
        _check(_libc.mount(conf.encode(), os.path.realpath("/etc/resolv.conf").encode(), None, MS_BIND, None), "mount")
        world.RESOLVER, was = ("127.0.0.53", 53), world.RESOLVER
        try:
            yield
        finally:
            world.RESOLVER = was
