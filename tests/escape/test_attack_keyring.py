# SPDX-License-Identifier: Apache-2.0
"""Keyrings are not namespaced: a session keyring goes to every child, and whoever possesses it reads its keys.
The filter refuses the calls, and the sandbox has a session keyring of its own. Each alone stops it."""
import pytest

from escape import outcome


@pytest.fixture
def with_key(attack_program, canary):
    """The program, started in a session keyring that holds a key."""

    def wrap(who):
        prefix = [*who.prefix, attack_program, "with-key", "pf-escape-test", canary]
        return type(who)(who.program, who.state, who.runtime, prefix, who.env)

    return wrap


def test_a_key_of_the_callers_session(anyone, prove, tools, attack_program, with_key, canary):
    def run(program):
        return with_key(program).run("--quiet", "--tools", tools, "--", attack_program, "key", "pf-escape-test")

    probe = run(anyone)
    if probe.code == 77:
        pytest.skip("this host has no keyrings for us: " + probe.err.strip())
    prove(anyone, None, ["seccomp", "keyring"], run=run, worked=lambda done: canary in done.out and outcome(done).get("key"))
