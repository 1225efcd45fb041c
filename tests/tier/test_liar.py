# SPDX-License-Identifier: Apache-2.0
"""pinfold-init replaced by one that lies (liar.c). The host trusts nothing that it says: each lie ends in cause boundary or
error and in a bounded time, nothing is left behind, and no receipt says more than what holds."""
import concurrent.futures
import json
import os
import shutil
import time

import pytest

MARK = b"PF-LIAR-TELLS:"
SECONDS = 30    # the longest that any lie may take: 10 s for a launcher, 3 s for a kill, and a busy machine

# The connection itself.
WIRE = """silent exits closes garbage half_frame half_frame_and_exit frame_too_long frame_a_byte_too_long
    unknown_frame_must unknown_frames_for_ever pieces_for_ever empty_pieces_for_ever speaks_first data_before_all""".split()
# What it says, and when.
WORDS = """silent_after_hello welcome_version welcome_landlock welcome_landlock_negative welcome_twice welcome_cut welcome_long
    failed_escapes failed_odd_errno failed_text_too_long unknown_message message_of_the_host empty_message
    silent_after_prepare deaf deaf_for_ever ready_unknown exited_before_start started_before_start failed_of_another failed_of_this
    output_before_ready ready_cut dies_after_ready
    exit_code_too_big signal_too_big signal_none exited_unknown exited_none reaped_unknown
    data_without_credit data_on_stdin data_on_no_stream data_empty data_after_eof eof_twice eof_with_bytes
    credit_too_much credit_on_stdout credit_cut stop_on_stdout control_on_a_stream data_on_control
    connected_before_welcome connected_without_door
    door_connected_none door_connected_too_big door_connected_cut door_connected_twice door_connected_for_ever door_unopened_data
    door_data_without_credit door_data_the_wrong_way door_eof_the_wrong_way door_data_after_eof door_credit_too_much
    door_stop_the_wrong_way door_turned_away_none""".split()
# A receipt that is not true: the command must not run.
RECEIPT = """ready_uid ready_caps ready_seccomp ready_more_filters ready_nnp ready_namespaces ready_pid_1 ready_pid_none
    ready_try_worked ready_tried_nothing ready_tried_one_twice""".split()
# What it leaves undone, and claims to have done.
OMITTED = """omits_seccomp omits_first_filter omits_second_filter omits_nnp omits_nnp_and_seccomp omits_bounding omits_caps
    omits_uid omits_saved_uid omits_gid omits_identity omits_cgroup_namespace""".split()
# What the host cannot know better, or need not mind: it ends all the same, with a valid result.
SUFFERED = """nothing silent_after_ready silent_after_start dies_after_start started_unknown started_none started_odd_step ready_twice ready_for_ever never_exited never_eof exited_at_once exited_twice
    usage_false output_before_start started_failed started_twice output_for_ever welcome_escapes ready_escapes ready_groups welcome_scoped
    door_ends_at_once door_talks_of_nothing door_more_than_there_are door_turned_away_often""".split()

# Alone as root, since with one id and without groups there is nothing to leave out.
NEED_IDS = {"omits_uid", "omits_saved_uid", "omits_gid", "omits_identity", "omits_caps", "omits_cgroup_namespace", "omits_bounding"}


@pytest.fixture
def liars(built, _place, tmp_path_factory):
    """liars(who, names): {name: a Pinfold whose init tells that lie}"""
    made = []

    def make(who, names):
        program = open(built("liar"), "rb").read()
        assert program.count(MARK + b"nothing\0") == 1
        top = os.path.join(_place, f"liars-{len(made)}")
        made.append(top)
        found = {}
        for name in names:
            place = os.path.join(top, name)
            os.makedirs(os.path.join(place, "libexec/pinfold"), mode=0o755)
            text = MARK + name.encode() + b"\0"
            at = program.index(MARK)
            path = os.path.join(place, "libexec/pinfold/pinfold-init")
            with open(path, "wb") as f:
                f.write(program[:at] + text + program[at + len(text):])
            os.chmod(path, 0o755)
            os.link(who.program, os.path.join(place, "pinfold")) if same_device(who.program, place) else \
                shutil.copy(who.program, os.path.join(place, "pinfold"))
            found[name] = type(who)(os.path.join(place, "pinfold"), who.state, who.runtime, who.prefix, who.env)
        return found

    yield make
    for top in made:
        shutil.rmtree(top, ignore_errors=True)


def same_device(a, b):
    return os.stat(a).st_dev == os.stat(b).st_dev


def tell(liar):
    """Run `echo ran` behind one. (result or what was wrong with it, seconds)"""
    begun = time.monotonic()
    try:
        told = liar.result("--timeout", "2s", "--output-limit", "1M", "--", "sh", "-c", "echo ran; sleep 0.1")    # what is over at once is told in one message
    except BaseException as error:    # it hung, or printed no valid result
        told = str(error).splitlines()[0]
    return told, time.monotonic() - begun


def problem(name, told, seconds, judge):
    if isinstance(told, str):
        return f"{name}: {told}"
    wrong = judge(name, told)
    if seconds > SECONDS:
        wrong = f"took {seconds:.0f} s"
    if any(c in json.dumps(told, ensure_ascii=False) + told.err for c in ("\x1b", "\x07", "\x9b")):
        wrong = "control bytes got through"
    if not wrong:
        return None
    return f"{name}: {wrong}: cause {told.cause}, exit {told.exit_code}, error {told.error!r}, stdout {told.stdout[:100]!r}"


# --- what must come of it ------------------------------------------------------------------------


def refused(name, r):
    if r.cause not in ("boundary", "error") or r.code != 125 or not r.error or len(r.error) > 1000:
        return "not refused"
    return None


def not_run(name, r):
    # without no_new_privs, and without the right to do without, no filter and no domain can be loaded: also an end
    ends = ("boundary", "error") if name in ("omits_nnp", "omits_nnp_and_seccomp", "omits_caps") else ("boundary",)
    return refused(name, r) or ("it was run" if r.stdout else None) or (None if r.cause in ends else "not boundary")


def suffered(name, r):
    if r.cause in ("boundary", "error"):
        return refused(name, r)
    if r.cause not in ("exited", "timeout", "output_limit"):
        return "an odd cause"
    if any(v is not None and not 0 <= v < 1 << 50 for v in (r.usage["cpu_ms"], r.usage["peak_memory_bytes"])):
        return f"an absurd usage {r.usage}"
    if name in ("silent_after_ready", "never_exited") and r.cause != "timeout":
        return "not ended by the clock"
    if name.startswith("door_") and (r.cause, r.stdout) != ("exited", "ran\n"):
        return "the command is held up by the door"
    if name == "nothing" and (r.cause, r.stdout) != ("exited", "ran\n"):
        return "the liar that does not lie does not work"
    return None


JUDGES = {**dict.fromkeys(WIRE, refused), **dict.fromkeys(WORDS, refused), **dict.fromkeys(RECEIPT, not_run),
          **dict.fromkeys(OMITTED, not_run), **dict.fromkeys(SUFFERED, suffered)}


def test_every_lie(pinfold, as_user, liars):
    """All at once, since most of the time is spent in waiting for a liar that says nothing."""
    everybody = [pinfold] if as_user is pinfold else [pinfold, as_user]
    jobs = []
    for who in everybody:
        receipt = who.result("--", "true")["receipt"]
        names = [n for n in JUDGES if n not in NEED_IDS or receipt["init_uid"] == "separate"]
        if not receipt["outside"]["namespaces"]["cgroup"]["own"]:
            names.remove("omits_cgroup_namespace") if "omits_cgroup_namespace" in names else None
        jobs += [(f"{name} ({'user' if who.prefix else 'me'})", name, liar) for name, liar in liars(who, names).items()]
    # the slow ones first
    jobs.sort(key=lambda job: not any(word in job[1] for word in ("silent", "ever", "half", "never", "pid_none")))
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        found = pool.map(lambda job: problem(job[0], *tell(job[2]), lambda _, r: JUDGES[job[1]](job[1], r)), jobs)
        found = [p for p in found if p]
    assert not found, "\n".join(found)


def test_a_claim_of_landlock_is_not_believed(pinfold, liars):
    true = pinfold.result("--", "true")["receipt"]["landlock"]["abi"]
    for name, liar in liars(pinfold, ["welcome_landlock", "welcome_landlock_negative", "welcome_scoped"]).items():
        r, _ = tell(liar)
        assert r.cause in ("boundary", "error") or r["receipt"]["landlock"]["abi"] <= true, name


def test_escapes_do_not_reach_a_person(anyone, liars):
    for name, liar in liars(anyone, ["failed_escapes", "failed_of_this", "welcome_escapes", "ready_escapes"]).items():
        p = liar.run("--receipt", "--verbose", "--", "echo", "ran")
        bad = [c for c in p.err_bytes if c < 32 and c != 10]
        assert not bad and b"\x9b" not in p.err_bytes and "\u202e" not in p.err and "\nfake: line" not in p.err, (name, p)


FILES = """list_parent list_slash list_empty_name list_unterminated stat_short stat_long read_for_ever file_exit_code""".split()


def test_lies_about_files(anyone, liars, built):
    import subprocess
    program = built("session")
    if anyone.prefix:
        program = shutil.copy(program, os.path.join(os.path.dirname(anyone.program), "session"))
    for name, liar in liars(anyone, FILES).items():
        argv = [*anyone.prefix, program, "lies_about_files", anyone.state, anyone.runtime,
                os.path.join(os.path.dirname(liar.program), "libexec/pinfold")]
        p = subprocess.run(argv, env=anyone.environment(), cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=60, check=False)
        assert p.returncode == 0, (name, p.stdout, p.stderr)
