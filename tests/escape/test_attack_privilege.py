# SPDX-License-Identifier: Apache-2.0
"""Becoming more than one is.

Set-user-id programs    no_new_privs, nosuid on every mount, the user namespace (a file's owner that is not mapped inside
                        gives nothing). Each alone stops it.
File capabilities       no_new_privs, nosuid, the empty bounding set.
CVE-2026-30892          `--user` read as a number that wraps: words are words, everything else is refused.
CVE-2022-27650, 29162   inheritable and ambient sets that are not empty: in test_posture.py, which lists all five.
"""
import os
import shutil
import subprocess

import pytest

from escape import outcome


@pytest.fixture
def special(_place, attack_program):
    """A tool tree with a program of root's that is set-user-id, and one with capabilities."""
    if os.geteuid() != 0:
        pytest.skip("only root can make such files")
    top = os.path.join(_place, "special")
    os.mkdir(top, 0o755)
    os.chmod(top, 0o755)
    for name in ("suid", "filecap"):
        shutil.copy(attack_program, os.path.join(top, name))
    os.chmod(os.path.join(top, "suid"), 0o4755)
    os.chmod(os.path.join(top, "filecap"), 0o755)
    setcap = shutil.which("setcap", path="/usr/sbin:/sbin:/usr/bin")
    if setcap:
        subprocess.run([setcap, "cap_net_raw,cap_dac_override+ep", os.path.join(top, "filecap")], check=True)
    yield top
    shutil.rmtree(top)


def run_it(top, name):
    return lambda program: program.run("--quiet", "--tools", top, "--", "sh", "-c", f"echo tried; exec {top}/{name}")


def test_a_set_user_id_program(pinfold, need_root, prove, special):
    prove(pinfold, None, ["nnp", "nosuid", "userns"], run=run_it(special, "suid"),
          worked=lambda done: outcome(done).get("uid 0", False))


def test_a_set_user_id_program_as_user(as_user, special):
    # the user namespace cannot be off here, and in it root's files give nothing: no control
    done = run_it(special, "suid")(as_user)
    assert "tried" in done.out and not any(outcome(done).values()), repr(done)


def test_a_program_with_capabilities(anyone, prove, special):
    if b"security.capability" not in os.listxattr(os.path.join(special, "filecap")).__repr__().encode():
        pytest.skip("setcap is not installed")
    prove(anyone, None, ["nnp", "nosuid", "bounding"], run=run_it(special, "filecap"),
          worked=lambda done: outcome(done).get("capabilities", False))


@pytest.mark.parametrize("word", ["00", "-1", "4294967296", "4294967295", "0x0", " root", "root ", "Root", "", "1000:0", "user\n",
                                  "nobody", "+0", "root\0user"])
def test_words_for_a_user(pinfold, word):
    if "\0" in word:
        word = word.replace("\0", "\\0")
    done = pinfold.run("--quiet", "--user", word, "--", "id", "-u")
    assert done.code == 125 and not done.out, repr(done)


def test_the_words_that_are_taken(pinfold):
    assert pinfold.run("--quiet", "--user", "root", "--", "id", "-u").out == "0\n"
    assert pinfold.run("--quiet", "--user", "0", "--", "id", "-u").out == "0\n"
    assert pinfold.run("--quiet", "--user", "user", "--", "id", "-u").out == "1000\n"


def test_root_inside_has_no_capabilities(anyone):
    done = anyone.run("--quiet", "--user", "root", "--", "sh", "-c", "grep -h Cap /proc/self/status")
    assert all(int(line.split()[1], 16) == 0 for line in done.out.splitlines()) and done.out.count("\n") == 5, repr(done)
