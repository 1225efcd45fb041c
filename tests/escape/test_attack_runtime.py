# SPDX-License-Identifier: Apache-2.0
"""What the runtime itself leaves within reach.

CVE-2019-5736   /proc/1/exe or /proc/self/exe of the runtime, to be overwritten. pinfold-init runs from a read-only detached
                mount, belongs to nobody inside, and may not be looked at by ptrace's rules.
CVE-2024-21626  a leaked descriptor of a host directory, read through or made the current directory. Two closings (the
                child's before init, the launcher's before the command), Landlock, and the look at getcwd().

Not taken off alone: init's being undumpable (CAP_SYS_PTRACE passes it by; test_attack_init.py has what it stops);
close-on-exec of pinfold's own descriptors (a leak must come from the caller; that is what is planted here); that
/proc/self/exe is the command's own file is no defence but how exec works.
"""
import os

from escape import CAPS


def test_inits_program_cannot_be_overwritten(pinfold, need_root, prove):
    prove(pinfold, ["may-write", "/proc/1/exe"], ["userns", "landlock", "init_ro", CAPS], "--user", "root")


def test_as_user_inits_program_is_not_even_seen(as_user, refused):
    # no control: the caller owns no more than its own copy, and nothing works without the user namespace
    refused(as_user, ["may-write", "/proc/1/exe"])
    refused(as_user, ["read", "/proc/1/exe"])


def test_the_programs_own_file_is_read_only(anyone, refused, attack_program):
    refused(anyone, ["may-write", "/proc/self/exe", attack_program])


def leak(path):
    """A descriptor that the caller of pinfold forgot to close, above all that pinfold itself uses."""
    fd = os.open(path, os.O_RDONLY)
    high = 200
    os.dup2(fd, high)
    os.close(fd)
    os.set_inheritable(high, True)
    return high


def test_a_leaked_directory(anyone, prove, outside, canary):
    secret = outside(canary)
    fd = leak(os.path.dirname(secret))
    try:
        prove(anyone, ["descriptors"], ["close_init", "close_launcher", "landlock"], worked=lambda done: canary in done.out,
              pass_fds=(fd,))
    finally:
        os.close(fd)


def test_a_leaked_file(anyone, prove, outside, canary):
    secret = outside(canary)
    fd = leak(secret)
    try:
        # Landlock judges the opening of files, not the use of what is open
        prove(anyone, ["descriptors"], ["close_init", "close_launcher"], worked=lambda done: canary in done.out, pass_fds=(fd,))
    finally:
        os.close(fd)


def test_a_current_directory_outside(anyone, prove, outside, canary):
    secret = outside(canary)
    fd = leak(os.path.dirname(secret))
    try:
        prove(anyone, ["directory"], ["close_init", "close_launcher", "cwd", "landlock"], "-w", f"/proc/self/fd/{fd}",
              worked=lambda done: canary in done.out, may_not_start=("close_init", "close_launcher", "cwd"), pass_fds=(fd,))
    finally:
        os.close(fd)


def test_descriptors_are_the_three_streams(anyone):
    done = anyone.run("--quiet", "--", "ls", "/proc/self/fd")
    assert done.out.split() == ["0", "1", "2", "3"], repr(done)     # 3 is ls's own
