# SPDX-License-Identifier: Apache-2.0
"""No way to take a defence off may ship: the programs that do are searched for PF_BREAK and for the switches' names."""
import os
import re

import pytest

from escape import BUILD, TOP

PROGRAMS = ["pinfold", "libexec/pinfold/pinfold-init", "libexec/pinfold/pinfold-egress", "libpinfold.a"]


def switches():
    """Every name in the sources that a switch is asked by."""
    names, texts = set(), []
    for top, _, files in os.walk(os.path.join(TOP, "src")):
        for name in files:
            if not name.endswith((".c", ".h")):
                continue
            with open(os.path.join(top, name), encoding="utf-8") as f:
                text = f.read()
            names.update(re.findall(r'\b(?:pf|in)__(?:egress_)?broken\([^;{}]*?"(\w+)"\)', text))
            texts.append(text)
    return names, "\n".join(texts)


def strings(path):
    with open(path, "rb") as f:
        return set(re.findall(rb"[\x20-\x7e]{3,}", f.read()))


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_name_of_the_variable(program):
    path = os.path.join(BUILD, program)
    if not os.path.exists(path):
        pytest.skip(f"{program} is not built")
    with open(path, "rb") as f:
        assert b"PF_BREAK" not in f.read()


@pytest.mark.parametrize("program", PROGRAMS[:3])
def test_the_names_of_the_switches(program):
    names, text = switches()
    assert {"root", "seccomp", "caps", "landlock", "mask_proc", "nosuid", "close_launcher"} <= names, names
    # those that nothing else in the sources says: a word of the policy, of JSON or of the kernel is no trace of a switch
    alone = {n for n in names if len(re.findall(f'"{n}"', text)) == len(re.findall(rf'__broken\([^;{{}}]*?"{n}"\)', text))}
    assert len(alone) >= 8, alone
    found = strings(os.path.join(BUILD, program))
    assert not {n for n in alone if n.encode() in found}


def test_the_test_build_can_be_told(pinfold):
    """It says so in every receipt, whether anything is off or not; and it does hear the variable, which makes the rest mean something."""
    assert pinfold.broken().result("--", "true")["receipt"]["build"] == "test build: PF_BREAK"
    assert pinfold.broken("seccomp").result("--", "true")["receipt"]["inside"]["seccomp"] == 0
    assert pinfold.result("--", "true", env={"PF_BREAK": "seccomp"})["receipt"]["inside"]["seccomp"] == 2
