# SPDX-License-Identifier: Apache-2.0
"""Device nodes: making one that leads to the host's disk or memory. Here it is the zero device, made in /tmp and read.

No CAP_MKNOD, none over the host in any case (`userns`), the filter, Landlock, and nodev on what can be written: each
alone stops it. Not used: the devices controller of v1 and its eBPF successor."""


def test_a_node_of_ones_own(pinfold, need_root, prove):
    prove(pinfold, ["device"], ["caps", "userns", "seccomp", "landlock", "nodev"])


def test_as_user(as_user, refused):
    refused(as_user, ["device"])


def test_devices_that_are_there(anyone):
    done = anyone.run("--quiet", "--", "sh", "-c", "ls /dev; ls /dev/pts; find / -xdev -type b; find /dev -type b")
    assert set(done.out.split()) <= {"fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
                                     "urandom", "zero"}, repr(done)
