# SPDX-License-Identifier: Apache-2.0
"""Many commands in one live sandbox, over the public API: each case is a function of session.c."""
import os
import shutil
import subprocess

import pytest

CASES = """several_commands run_and_results wrong_calls concurrent_commands too_many_commands
    one_is_killed_and_the_other_goes_on killed_at_once ended_without_waiting destroyed_while_it_runs kill_all stop_all
    kill_all_again_and_again kill_while_another_starts left_behind stdin_and_signals stdin_closed_at_once held_output
    environment_and_directory limits_of_a_call events_belong_to_one_command denials_belong_to_one_command nothing_is_inherited
    pause_stops_clocks
    killed_while_paused files files_refused files_large files_that_are_not_files files_listed the_last_word
    init_dies""".split()


@pytest.fixture
def session(built, _place):
    """session(who, case): run it; fails with what it says."""

    def run(who, case, libexec=None, *options):
        program = built("session")
        if who.prefix:
            program = shutil.copy(program, os.path.join(os.path.dirname(who.program), "session"))
        libexec = libexec or os.path.join(os.path.dirname(who.program), "libexec/pinfold")
        tier = os.environ.get("PF_TIER") or "auto"
        argv = [*who.prefix, program, case, who.state, who.runtime, libexec, "tier", tier, *options]
        p = subprocess.run(argv, env=who.environment(), cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=120, check=False)
        if p.returncode == 77:
            pytest.skip(p.stdout.strip().removeprefix("skipped: "))
        assert p.returncode == 0, f"{p.returncode}\n{p.stdout}{p.stderr}"

    return run


def test_every_case_is_run(built):
    p = subprocess.run([built("session"), "--list"], capture_output=True, text=True, check=True)
    assert set(p.stdout.split()) == {*CASES, "lies_about_files"}


@pytest.mark.parametrize("case", CASES)
def test_session(anyone, session, case):
    session(anyone, case)
