# SPDX-License-Identifier: Apache-2.0
"""What the kernel shares between those who do not ask for their own: System V objects, the host's name, its clock.

System V   the IPC namespace alone (for an ordinary user the uid outside is the same, and modes are what the victim made them).
Name       the UTS namespace, no capability over the host's, the filter. The "host" here is a UTS namespace of the test's.
Clock      `adjtimex` in test_attack_calls.py: it is not namespaced. The time namespace has no attack: it protects no
           secret and sets nothing of the host's; it is there so that a snapshot can be restored with its own clocks.
"""
import os
import secrets
import subprocess

import pytest

from escape import outcome


@pytest.fixture
def shared_memory(attack_program, canary):
    key = hex(0x50460000 | secrets.randbelow(0xffff))
    made = subprocess.run([attack_program, "with-shm", key, canary], capture_output=True, text=True, check=True)
    yield key
    subprocess.run([attack_program, "with-shm-removed", made.stdout.strip()], check=True)


def test_shared_memory(anyone, prove, shared_memory, canary):
    prove(anyone, ["shm", shared_memory], ["ipcns"], worked=lambda done: canary in done.out)


def test_the_hosts_name(pinfold, need_root, prove, tools, attack_program):
    def run(program):
        words = ["unshare", "-u", "sh", "-c", 'hostname host; "$@"; echo "the host is $(hostname)"', "sh"]
        wrapped = type(program)(program.program, program.state, program.runtime, [*words, *program.prefix], program.env)
        return wrapped.run("--quiet", "--tools", tools, "--", attack_program, "hostname", "victim")

    prove(pinfold, None, ["utsns", "userns", "caps", "seccomp"], run=run,
          worked=lambda done: "the host is victim" in done.out)


def test_the_name_inside(anyone, refused, attack_program):
    refused(anyone, ["hostname", "victim"])
    assert anyone.run("--quiet", "--", "hostname").out == "pinfold\n" and os.uname().nodename != "pinfold"
    assert outcome(anyone.run("--quiet", "--", "true")) == {}
