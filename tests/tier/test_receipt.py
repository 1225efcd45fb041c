# SPDX-License-Identifier: Apache-2.0
"""The receipt against the truth: the command is looked at from outside while it runs, by this test and not by the program."""
import hashlib
import json
import os
import subprocess

import pytest

NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time")
CAPS = {"inheritable": "CapInh", "permitted": "CapPrm", "effective": "CapEff", "bounding": "CapBnd", "ambient": "CapAmb"}


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def namespace(pid, name):
    return int(os.readlink(f"/proc/{pid}/ns/{name}").split("[")[1].rstrip("]"))


def descendants(pid):
    for child in read(f"/proc/{pid}/task/{pid}/children").split():
        yield int(child)
        yield from descendants(child)


class Seen:
    """The running command, as /proc of the host has it."""

    def __init__(self, run, name):
        for pid in descendants(run.process.pid):
            if read(f"/proc/{pid}/comm").strip() == name:
                break
        else:
            pytest.skip("the command is no process of this host")
        self.pid = pid
        self.status = status_of(pid)
        self.namespaces = {}
        try:
            self.namespaces = {n: namespace(pid, n) for n in NAMESPACES if os.path.lexists(f"/proc/{pid}/ns/{n}")}
        except PermissionError:
            pass
        self.cgroups = [line.split(":", 2) for line in read(f"/proc/{pid}/cgroup").splitlines()]


def cgroup_file(seen, controller, names):
    """A limit of the group of the running command or of one above it, as the kernel has it now."""
    for _, controllers, path in seen.cgroups:
        if controller not in controllers.split(",") and controllers:
            continue
        for mount in read("/proc/self/mountinfo").splitlines():
            fields, _, (kind, _, options) = [*mount.partition(" - ")][0].split(), None, mount.partition(" - ")[2].split(" ")[:3]
            if kind not in ("cgroup", "cgroup2") or (kind == "cgroup" and controller not in options.split(",")):
                continue
            root, point = fields[3], fields[4]
            below = os.path.relpath(path, root) if path.startswith(root) else path.lstrip("/")
            at = os.path.normpath(os.path.join(point, below))
            while at.startswith(point):
                for name in names:
                    full = os.path.join(at, name)
                    if os.path.exists(full):
                        value = read(full).split()[0]
                        if value.isdigit() and int(value) < 1 << 60:
                            return int(value)
                at = os.path.dirname(at)
    return None


def watch(who, live, *options):
    """Run something long enough to be looked at. (its receipt, what was seen)"""
    run = live(who, "run", "--json=stream", "-i", *options, "--", "python3", "-c", "print('up', flush=True); input()",
               stdin=subprocess.PIPE)
    run.until("up")
    seen = Seen(run, "python3")
    run.send("\n")
    assert run.wait() == 0, run.text()
    return json.loads(run.text().splitlines()[-1])["result"], seen


def capability_names(value):
    known = """chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
        net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin
        sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override
        mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore""".split()
    return {known[i] if i < len(known) else str(i) for i in range(64) if value >> i & 1}


@pytest.mark.parametrize("options", [[], ["--user", "root"], ["--memory", "300M", "--processes", "40"]])
def test_outside_is_true(pinfold, as_user, live, holds, options):
    for who in [pinfold] if as_user is pinfold else [pinfold, as_user]:
        if "--memory" in options and not holds(who, "memory"):
            continue
        result, seen = watch(who, live, *options)
        receipt, outside, inside = result["receipt"], result["receipt"]["outside"], result["receipt"]["inside"]
        uids, gids = seen.status["Uid"].split(), seen.status["Gid"].split()
        assert set(uids) == {str(outside["uid"])} and set(gids) == {str(outside["gid"])}
        assert outside["uid"] != 0 and (not who.prefix or outside["uid"] == 12345)
        assert len(seen.status["Groups"].split()) == outside["groups"]
        for key, name in CAPS.items():
            assert capability_names(int(seen.status[name], 16)) == set(outside["capabilities"][key]) == \
                set(inside["capabilities"][key]), key
        assert outside["no_new_privs"] is (seen.status["NoNewPrivs"] == "1") is True
        assert outside["seccomp"] == int(seen.status["Seccomp"]) == 2
        if "Seccomp_filters" in seen.status:
            assert outside["seccomp_filters"] == int(seen.status["Seccomp_filters"])
        assert outside["pid"] == seen.pid
        for name, inode in seen.namespaces.items():
            assert outside["namespaces"][name]["inode"] == inode == inside["namespaces"][name], name
            assert outside["namespaces"][name]["own"] is (inode != namespace("self", name)), name
        assert receipt["agree"] is True
        if outside["cgroup"]:
            assert any(path == outside["cgroup"] for _, _, path in seen.cgroups), seen.cgroups
        assert receipt["kernel"].endswith(os.uname().release) or receipt["tier"] not in ("container",)


def test_limits_are_what_the_kernel_has(pinfold, live, holds):
    if not holds(pinfold, "memory"):
        pytest.skip("nothing holds memory here")
    run = live(pinfold, "run", "--json=stream", "-i", "--memory", "300M", "--processes", "40", "--cpus", "0.5", "--", "python3", "-c",
               "print('up', flush=True); input()", stdin=subprocess.PIPE)
    run.until("up")
    seen = Seen(run, "python3")
    memory = cgroup_file(seen, "memory", ("memory.max", "memory.limit_in_bytes"))
    processes = cgroup_file(seen, "pids", ("pids.max",))
    run.send("\n")
    run.wait()
    result = json.loads(run.text().splitlines()[-1])["result"]
    limits = result["receipt"]["outside"]["limits"]
    assert memory == limits["memory_bytes"] == 300 << 20
    assert processes == limits["processes"] == 40
    assert limits["cpus"] == 0.5 and result["receipt"]["unenforced"] == []


def test_usage_is_plausible(pinfold, sh, holds):
    r = sh(pinfold, "head -c 60M /dev/zero | tail -c 50M > /dev/null; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
    assert 20 < r.usage["cpu_ms"] < 60000
    if r.usage["source"] == "cgroup":
        assert 50 << 20 < r.usage["peak_memory_bytes"] < 1 << 30 and r.usage["processes_peak"] >= 3


# --- require -----------------------------------------------------------------------------------------

WORDS = ["memory", "cpus", "processes", "wall_time", "idle_time", "output", "disk", "open_files", "limits", "userns", "netns",
         "seccomp", "landlock", "cgroup", "init_uid"]
WRITTEN = {"cpus": ["--cpus", "1"], "idle_time": ["--idle-timeout", "50s"]}    # those without a default


@pytest.mark.parametrize("word", WORDS)
def test_require(anyone, word):
    """A word is proved, or nothing is run; and the receipt of a run without it says the same."""
    plain = anyone.result(*WRITTEN.get(word, []) if word != "cpus" else [], "--", "true")["receipt"]
    missing = {u["limit"] for u in plain["unenforced"]}
    expected = {
        "limits": not missing, "cgroup": bool(plain["outside"]["cgroup"]), "init_uid": plain["init_uid"] == "separate",
        "landlock": plain["landlock"]["abi"] > 0, "seccomp": plain["outside"]["seccomp"] == 2,
        "userns": plain["outside"]["namespaces"]["user"]["own"], "netns": plain["outside"]["namespaces"]["net"]["own"],
        "cpus": bool(plain["outside"]["cgroup"]),
    }.get(word, word not in missing)
    r = anyone.result("--require", word, *WRITTEN.get(word, []), "--", "echo", "ran")
    if expected:
        assert (r.cause, r.exit_code, r.stdout) == ("exited", 0, "ran\n"), r
    else:
        assert (r.cause, r.exit_code, r.stdout, r.code) == ("boundary", None, "", 125) and r.error, r


def test_a_written_limit_is_required(as_user, holds):
    if holds(as_user, "memory"):
        pytest.skip("everything is held here")
    for options in (["--memory", "1G"], ["--memory", "500M"], ["--cpus", "1"]):
        r = as_user.result(*options, "--", "echo", "ran")
        assert (r.cause, r.stdout, r.code) == ("boundary", "", 125) and options[0].strip("-") in r.error, options


def test_unenforced_is_honest(as_user, sh, holds):
    """Where no group can be had, the limits that nothing holds are named, and only those."""
    r = as_user.result("--verbose", "--", "true")
    receipt = r["receipt"]
    if receipt["outside"]["cgroup"]:
        pytest.skip("this user has groups")
    missing = {u["limit"] for u in receipt["unenforced"]}
    assert "memory" in missing and missing <= {"memory", "processes", "cpus"}
    assert all(u["why"] for u in receipt["unenforced"])
    assert receipt["outside"]["limits"] == {"memory_bytes": None, "processes": None, "cpus": None}
    assert receipt["limits_by"] in (None, "none")
    p = as_user.run("--verbose", "--", "true")
    assert "not enforced" in p.err and "memory" in p.err
    if "processes" not in missing:    # then something holds them
        r = sh(as_user, "i=0; while [ $i -lt 40 ]; do sleep 3600 & i=$((i+1)); done; echo all", "--processes", "20")
        assert "all" not in r.stdout


def test_the_policy_hash(pinfold):
    """Of what was in force: the same for the same, another for another."""
    a, b = (pinfold.result("--memory", m, "--", "true")["policy"] for m in ("1G", "500M"))
    assert a != b and pinfold.result("--memory", "500M", "--", "true")["policy"] == b
    shown = json.loads(pinfold("policy", "show", "--memory", "500M").out)
    assert shown
    assert pinfold.result("--memory", "500M", "--", "true")["receipt"]["policy"] == b


def test_the_attempts(anyone):
    attempts = anyone.result("--", "true").attempts()
    tried = {name for name, _ in attempts}
    assert {"socket_raw", "mount", "new_userns", "canary", "ptrace_init", "write_readonly", "bpf", "io_uring"} <= tried
    for (name, detail), error in attempts.items():
        assert (error is None) == (name in ("socket_unix", "socket_inet")), (name, detail, error)


def test_the_receipt_for_people(anyone):
    p = anyone.run("--receipt", "--", "echo", "out")
    assert p.out == "out\n"
    for word in ("tier", "kernel", "identity", "capabilities", "seccomp", "namespaces", "limits"):
        assert word in p.err, word
