# SPDX-License-Identifier: Apache-2.0
"""System calls and socket families that are surface, not use: each is tried in one run per defence, and judged alone.

STOPS says for each call which defences alone stop it; where it is only the filter, everything else may be off. What the
host's kernel does not have (tried natively, in namespaces of its own) is skipped by name: there the attack cannot
succeed anywhere. x86's 32-bit entry ends the process.

An ordinary user's control: `seccomp` alone, in the user namespace that he cannot be without. `caps` means the
capabilities of the command: without, the kernel asks for what it has not got.
"""
import os
import shutil
import subprocess

import pytest

from escape import outcome

with open("/proc/sys/kernel/dmesg_restrict", encoding="ascii") as _f:
    RESTRICTED = _f.read().strip() == "1"

F, C, U, L = "seccomp", "caps", "userns", "landlock"
STOPS = {
    # nested namespaces: the way to nf_tables, overlay and mounts
    "unshare-user": [F], "clone-user": [F], "clone3-user": [F], "unshare-mount": [F, C], "unshare-cgroup": [F, C],
    "clone-net": [F, C], "setns": [F, C],
    # mounts: Landlock besides, for what it hooks
    "mount": [F, C, L], "fsopen": [F, C], "open_tree": [F, C], "chroot": [F, C], "umount": [F],
    # surface of the kernel
    "io_uring": [F], "bpf": [F, C, U], "perf": [F], "userfaultfd": [F], "memfd_secret": [F], "fanotify": [F],
    "modify_ldt": [F], "personality": [F], "kcmp": [F], "syslog": [F, C, U] if RESTRICTED else [F], "keyctl": [F], "add_key": [F], "request_key": [F],
    "name_to_handle": [F], "open_by_handle": [F, C],
    # other processes
    "pidfd_getfd": [F], "prlimit-other": [F],
    # whiteouts: a deletion in the change set that no program made
    "mknod-whiteout": [F, L], "rename-whiteout": [F],
    # the machine; reboot ends only the PID namespace and asks for a capability over that
    "adjtimex": [F, C, U], "delete_module": [F, C, U], "init_module": [F, C, U], "kexec": [F, C, U], "swapon": [F, C, U],
    "reboot": [F, C], "ioperm": [F, C, U], "quotactl": [F],
    # foreign architectures
    "int80": [F], "x32": [F],
}
SOCKETS = {name: [F] for name in (
    "vsock", "ping", "sctp", "mptcp", "udplite", "netfilter", "xfrm", "audit", "uevent", "generic-netlink", "sock-diag",
    "connector", "crypto-netlink", "alg", "key", "can", "bluetooth", "tipc", "rds", "smc", "kcm", "ax25", "x25", "llc",
    "phonet", "nfc", "qrtr")}
SOCKETS.update({name: [F, C] for name in ("packet", "packet-dgram", "raw-icmp", "raw6-icmp", "xdp")})
ALL = [F, C, U, L, "bounding", "nnp"]


@pytest.fixture(scope="module")
def native(attack_program):
    """What the kernel lets its root do, in namespaces of its own."""
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    done = {}
    for verb in ("calls", "sockets"):
        words = ["unshare", "-U", "-r", "-m", "-p", "-f", "-n", "-u", "-i", "-C"]
        if os.geteuid() == 0:
            words = ["unshare", "-m", "-p", "-f", "-n", "-u", "-i", "-C"]
        p = subprocess.run([*words, attack_program, verb], capture_output=True, text=True, check=False, timeout=60)
        for line in p.stdout.splitlines():
            word, _, rest = line.partition(" ")
            if word in ("ESCAPED", "refused"):
                done[rest.partition(":")[0]] = rest.partition(": ")[2] if word == "refused" else None
    return done


@pytest.fixture(scope="module")
def runs(tools, attack_program):
    """runs(who, off): what both verbs found in a program with these off (None: the one that ships). Each is run once."""
    seen = {}

    def get(who, off):
        key = (tuple(who.prefix), off if off is None else tuple(sorted(off)))
        if key not in seen:
            program = who if off is None else who.broken(*off)
            done = program.run("--quiet", "--tools", tools, "--", "sh", "-c",
                               f"{attack_program} calls; {attack_program} sockets")
            assert done.out.count("tried") == 2, repr(done)
            seen[key] = outcome(done)
        return seen[key]

    return get


def judge(who, runs, native, name, stops, everything):
    why = native.get(name, "was not tried")
    if why is not None:
        assert not runs(who, None).get(name), f"{name} works in the program that ships"
        pytest.skip(f"not even this host's root can: {name}: {why}")
    assert runs(who, tuple(everything)).get(name), f"inconclusive: {name} does not work with all of it off"
    for defence in stops:
        left = tuple(d for d in everything if d != defence)
        assert not runs(who, left).get(name), f"{defence} alone does not stop {name}"
    assert not runs(who, None).get(name), f"{name} works in the program that ships"


@pytest.mark.parametrize("name", [*STOPS, *SOCKETS])
def test_call(name, pinfold, need_root, runs, native):
    judge(pinfold, runs, native, name, {**STOPS, **SOCKETS}[name], ALL)


# As user what asks for a capability over the host has no control; the others have the filter.
@pytest.mark.parametrize("name", [n for n, s in {**STOPS, **SOCKETS}.items() if U not in s and n not in ("open_by_handle",)])
def test_call_as_user(name, as_user, runs, native):
    everything = [d for d in ALL if d != U]
    judge(as_user, runs, native, name, {**STOPS, **SOCKETS}[name], everything)


def test_the_second_filter_is_needed(anyone, runs):
    """clone3 and prlimit64 pass the first filter, for init's sake."""
    found = runs(anyone, ("seccomp2",))
    assert found["clone3-user"] and found["prlimit-other"]
    assert not found["clone-user"] and not found["io_uring"]
