# SPDX-License-Identifier: Apache-2.0
"""Control groups.

CVE-2022-0492   release_agent of a v1 hierarchy that the attacker mounts: the filter, no capabilities, a cgroup namespace
                (the hierarchy's root, where the file is, lies outside), the user namespace, Landlock (a detached mount, which
                the new calls give, is beneath none of its rules).
Leaving         moving into a group without limits by a file of the parent's groups: /sys/fs/cgroup is empty (`root`),
                Landlock lets nothing be written there, the files belong to root (`userns`).

Not taken off alone: init's descriptors of the groups are close-on-exec and the launcher closes all others besides
(test_attack_runtime.py has what a leak would give); init owns nothing above its exec's group (DESIGN section 3).
"""
import os

import pytest

from escape import outcome


def test_release_agent(pinfold, need_root, prove):
    if not os.path.exists("/sys/fs/cgroup/pids/release_agent"):
        pytest.skip("no v1 hierarchy of pids on this host")
    prove(pinfold, ["release-agent"], ["seccomp", "caps", "userns", "cgroupns", "landlock"])


def test_moving_to_another_group(pinfold, need_root, prove):
    prove(pinfold, ["cgroup-files"], ["root", "userns", "landlock"], "--user", "root", "-w", "/tmp")


def test_as_user(as_user, refused):
    refused(as_user, ["cgroup-files"])
    refused(as_user, ["release-agent"])


def test_the_hosts_groups_have_no_names_inside(anyone, prove):
    """Not even where the sandbox has no group of its own: the caller's tells of users, services and containers."""
    with open("/proc/self/cgroup", encoding="ascii") as f:
        own = {line.strip().split(":", 2)[2].split("/")[1] for line in f} - {""}
    if not own:
        pytest.skip("the tests run in no group that has a name")

    def names(program):
        return program.run("--quiet", "--", "sh", "-c", "echo tried; cat /proc/self/cgroup")

    prove(anyone, None, ["cgroupns"], run=names, worked=lambda done: any(path in done.out for path in own))


def test_limits_hold_for_what_was_left_behind(anyone, tools, attack_program):
    """A process in a session of its own is still in the group: it ends with the sandbox (test_attack_processes.py) and counts."""
    done = anyone.run("--quiet", "--processes", "20", "--tools", tools, "--", "sh", "-c",
                      f"setsid sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 30 & done; sleep 30' >/dev/null 2>&1 & "
                      f"while [ $(ls -d /proc/[0-9]* | wc -l) -lt 12 ]; do :; done; {attack_program} fork 15")
    assert not outcome(done).get("fork"), repr(done)
