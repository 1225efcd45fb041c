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
    silent_after_prepare ready_unknown exited_before_start started_before_start failed_of_another failed_of_this
    output_before_start ready_cut dies_after_ready started_unknown started_none started_odd_step
    dies_after_start exit_code_too_big signal_too_big signal_none exited_unknown exited_none reaped_unknown
    data_without_credit data_on_stdin data_on_no_stream data_empty data_after_eof eof_twice eof_with_bytes
    credit_too_much credit_on_stdout credit_cut stop_on_stdout control_on_a_stream data_on_control""".split()
# A receipt that is not true: the command must not run.
RECEIPT = """ready_uid ready_caps ready_seccomp ready_more_filters ready_nnp ready_namespaces ready_pid_1 ready_pid_none
    ready_try_worked ready_tried_nothing ready_tried_one_twice""".split()
# What it leaves undone, and claims to have done.
OMITTED = """omits_seccomp omits_first_filter omits_second_filter omits_nnp omits_nnp_and_seccomp omits_bounding omits_caps
    omits_uid omits_gid omits_identity omits_cgroup_namespace""".split()
# What the host cannot know better, or need not mind: it ends all the same, with a valid result.
SUFFERED = """nothing silent_after_ready silent_after_start ready_twice ready_for_ever never_exited never_eof exited_at_once exited_twice
    usage_false started_failed started_twice output_for_ever welcome_escapes ready_escapes ready_groups welcome_scoped""".split()

# Alone as root, since with one id and without groups there is nothing to leave out.
NEED_IDS = {"omits_uid", "omits_gid", "omits_identity", "omits_caps", "omits_cgroup_namespace", "omits_bounding"}


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


def tell_all(liars, who, names):
    """Run `echo ran` behind each of them, some at once. {name: (result, seconds)}"""
    def one(item):
        name, liar = item
        begun = time.monotonic()
        return name, liar.result("--timeout", "2s", "--output-limit", "1M", "--", "sh", "-c", "echo ran"), time.monotonic() - begun

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        return {name: (result, seconds) for name, result, seconds in pool.map(one, liars(who, names).items())}


def problems(told, judge):
    found = []
    for name, (r, seconds) in told.items():
        wrong = judge(name, r)
        if seconds > SECONDS:
            wrong = f"took {seconds:.0f} s"
        if any(c in json.dumps(r, ensure_ascii=False) + r.err for c in ("\x1b", "\x07", "\x9b")):
            wrong = "control bytes got through"
        if wrong:
            found.append(f"{name}: {wrong}: cause {r.cause}, exit {r.exit_code}, error {r.error!r}, stdout {r.stdout[:100]!r}")
    return found


def refused(name, r):
    if r.cause not in ("boundary", "error") or r.code != 125 or not r.error or len(r.error) > 1000:
        return "not refused"
    return None


def test_the_wire(anyone, liars):
    assert not problems(tell_all(liars, anyone, WIRE), refused)


def test_words(anyone, liars):
    def judge(name, r):
        if name in ("output_before_start",) and r.stdout == "ran\n" and r.cause == "exited":
            return None
        return refused(name, r) or ("forged output" if "forged" in r.stdout else None)

    assert not problems(tell_all(liars, anyone, WORDS), judge)


def not_run(name, r):
    return refused(name, r) or ("it was run" if r.stdout else None) or (None if r.cause == "boundary" else "not boundary")


def test_a_forged_receipt(anyone, liars):
    assert not problems(tell_all(liars, anyone, RECEIPT), not_run)


def test_what_was_left_undone(anyone, liars):
    probe = anyone.result("--", "true")["receipt"]
    names = [n for n in OMITTED if n not in NEED_IDS or probe["init_uid"] == "separate"]
    if not probe["outside"]["namespaces"]["cgroup"]["own"]:
        names = [n for n in names if n != "omits_cgroup_namespace"]

    def judge(name, r):
        # without no_new_privs, and without the right to do without, the filters cannot be loaded: also an end
        if name in ("omits_nnp", "omits_caps") and r.cause == "error":
            return refused(name, r) or ("it was run" if r.stdout else None)
        return not_run(name, r)

    assert not problems(tell_all(liars, anyone, names), judge)


def test_what_must_be_suffered(anyone, liars):
    def judge(name, r):
        if r.cause in ("boundary", "error"):
            return refused(name, r)
        if r.cause not in ("exited", "timeout", "output_limit"):
            return "an odd cause"
        usage = r.usage
        if any(v is not None and (v < 0 or v > 1 << 50) for v in (usage["cpu_ms"], usage["peak_memory_bytes"])):
            return f"an absurd usage {usage}"
        receipt = r["receipt"]
        if receipt and receipt["landlock"]["abi"] > 20 or receipt["landlock"]["scoped"] and not receipt["landlock"]["abi"]:
            return f"it believes {receipt['landlock']}"
        if name in ("silent_after_start", "silent_after_ready", "ready_for_ever", "never_exited") and r.cause != "timeout" \
                and not (name == "ready_for_ever" and r.cause == "exited"):
            return "not ended by the clock"
        if name == "nothing" and (r.cause, r.stdout) != ("exited", "ran\n"):
            return "the liar that does not lie does not work"
        return None

    assert not problems(tell_all(liars, anyone, SUFFERED), judge)


def test_a_claim_of_landlock_is_not_believed(pinfold, liars):
    for name, (r, _) in tell_all(liars, pinfold, ["welcome_landlock", "welcome_landlock_negative"]).items():
        true = pinfold.result("--", "true")["receipt"]["landlock"]["abi"]
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
