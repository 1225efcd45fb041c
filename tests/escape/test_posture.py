# SPDX-License-Identifier: Apache-2.0
"""The posture: all that a command sees and may, as a list that is kept. Whatever changes it must change posture.golden:

    PF_UPDATE_GOLDEN=1 /usr/bin/python3 -m pytest tests/escape/test_posture.py

Lines that depend on the host are made the same: namespaces are "own" or "the host's", host trees that are shown are
one line with their flags, masks in /proc likewise. The system calls are those of payload/calls.c with the errno that a
command gets: the filter answers before the kernel does, so they are the same on every host.
"""
import os

import pytest

import images
from escape import HERE

GOLDEN = os.path.join(HERE, "posture.golden")
HOST_TREES = {"/usr", "/opt", "/nix/store", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32", "/etc", "/sys"}


def normal(line, tools):
    words = line.split()
    if words[0] == "ns":
        host = os.readlink("/proc/self/ns/" + words[1])
        return f"ns {words[1]} {'THE HOSTS' if host == words[2] else 'own'}"
    if words[0] == "mount":
        at, kind, flags = words[1:]
        if at == tools:
            at, kind = "TOOLS", "host"
        if at in HOST_TREES:
            at, kind = "SHOWN", "host"
        if at.startswith("/proc/"):
            at, kind, flags = ("/proc/READ-ONLY", "", flags) if kind == "proc" else ("/proc/MASKED", "", "ro,nosuid")
        if at.startswith("/dev/") and kind == "devtmpfs":
            kind = "device"
        return f"mount {at} {kind} {flags}".replace("  ", " ")
    if words[0] == "root" and words[1] in ("lib32", "libx32", "lib64", "nix", "opt", "snap", "tmp" if tools.startswith("/tmp") else ""):
        return None
    if words[0] in ("create", "own") and words[1] in ("/opt", "loginuid"):
        return None
    if words[0] == "env":
        return line.replace(tools, "TOOLS")
    if words[0] == "own" and words[1].startswith("attr/"):
        return None     # the host's security module
    return line


def posture(who, tools, attack_program, options):
    with open(os.path.join(HERE, "payload/posture.py"), "rb") as f:
        code = f.read()
    done = who.run("--quiet", "-i", *options, "--tools", tools, "--", "/usr/bin/python3", "-", stdin=code)
    assert done.code == 0, repr(done)
    lines = []
    for line in done.out.splitlines():
        line = normal(line.rstrip(), tools)
        if line and (line not in lines or not line.startswith(("mount", "root"))):
            lines.append(line)
    done = who.run("--quiet", *options, "--tools", tools, "--", "sh", "-c", f"{attack_program} calls; {attack_program} sockets")
    signals = who.run("--quiet", *options, "--", "sh", "-c", "grep ^Sig[BI] /proc/self/status")     # python has its own
    lines += ["status " + " ".join(line.split()) for line in signals.out.splitlines()]
    lines += ["call " + line.replace("refused ", "") for line in done.out.splitlines() if line != "tried"]
    return lines


def golden():
    found, section = {}, None
    if os.path.exists(GOLDEN):
        with open(GOLDEN, encoding="utf-8") as f:
            for line in f.read().splitlines():
                if line.startswith("["):
                    section = found.setdefault(line.strip("[]"), [])
                elif line and not line.startswith("#") and section is not None:
                    section.append(line)
    return found


def name_of(who):
    return "user" if who.prefix or os.geteuid() != 0 else "root"


@pytest.fixture(params=["host", "image"])
def root(request, image):
    """root(who): the options for a root of the host's own tools, or of an image with nothing but busybox and python."""
    if request.param == "host":
        return lambda who: []
    return lambda who: ["--image", image(who, images.with_python(images.busybox()))]


def test_posture(anyone, tools, attack_program, root):
    options = root(anyone)
    seen, want = posture(anyone, tools, attack_program, options), golden()
    name = name_of(anyone) + ("-image" if options else "")
    if os.environ.get("PF_UPDATE_GOLDEN"):
        want[name] = seen
        with open(GOLDEN, "w", encoding="utf-8") as f:
            f.write("# What a command sees and may; see test_posture.py.\n")
            for section in sorted(want):
                f.write(f"\n[{section}]\n" + "\n".join(want[section]) + "\n")
    more = [line for line in seen if line not in want.get(name, [])]
    less = [line for line in want.get(name, []) if line not in seen]
    assert not more and not less, "the posture has changed:\n" + "\n".join([*("+ " + m for m in more), *("- " + m for m in less)])


def test_nothing_in_it_is_bad(anyone, tools, attack_program, root):
    """Whatever the golden list says: these lines may never be in it."""
    for line in posture(anyone, tools, attack_program, root(anyone)):
        assert not line.startswith(("writable ", "set-user-id /", "call ESCAPED")), line
        assert "THE HOSTS" not in line and "READABLE" not in line, line
        if line.startswith("status Cap"):
            assert int(line.split()[2], 16) == 0, line
        if line.startswith("mount "):
            assert "nosuid" in line, line
            # devices are devices: /dev's own, and the null device that masks
            assert "nodev" in line or any(w in line for w in ("device", "MASKED", "/dev")), line
