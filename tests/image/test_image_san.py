# SPDX-License-Identifier: Apache-2.0
"""pinfold-image under ASan, UBSan and LeakSanitizer: every verb, good and bad input, and no report. (A report in any
call fails it: tests/conftest.py looks for one.)"""
import os

import pytest

from archives import d, f, gone, hard, layout, sym, tar

ENDS = 99


@pytest.fixture
def asan(images):
    program = os.path.join(os.path.dirname(images.who.program), "asan", "pinfold")
    if not os.path.exists(program):
        pytest.fail(f"{program} is not built")
    images.who = type(images.who)(program, images.state, images.who.runtime, images.who.prefix, images.who.env)
    return images


@pytest.mark.parametrize("bug, says", [("heap", "heap-buffer-overflow"), ("int", "signed integer overflow"), ("leak", "detected memory leaks")])
def test_a_bug_is_noticed(asan, bug, says):
    done = asan("ls", env={"PF_SAN_BUG": f"image-{bug}"}, report=True)
    assert done.code == ENDS and says in done.err


def test_refused_outside_tests(asan):
    assert "for tests" in asan.fails("ls", env={"PF_TESTING": None})


def test_what_ships_has_none_of_it(images):
    with open(os.path.join(os.path.dirname(images.who.program), "libexec/pinfold/pinfold-image"), "rb") as file:
        program = file.read()
    for word in (b"PF_SAN_BUG", b"PF_TESTING", b"libasan", b"PF_BREAK"):
        assert word not in program, word


def test_every_verb(asan, small_tar, tree, place):
    layer = [d("usr"), f("usr/a", b"x" * 70000), hard("usr/b", "usr/a"), sym("bin", "usr"), f("etc/x", b"y")]
    with open(small_tar, "rb") as file:
        asan.ok("import", "--name", "small", "-", stdin=file)
    asan.ok("import", "--name", "dir", tree({"a": "x" * 5000, "b/c": "y"}))
    asan.ok("import", "--name", "oci", layout([layer, [gone("etc/x")]], config={"Env": ["A=1"], "Cmd": ["x"]}).write(
        os.path.join(place, "oci")))
    packed = os.path.join(place, "layer.tar")
    with open(packed, "wb") as file:
        file.write(tar(layer))
    assert asan.json("import", "--name", "tar", packed)["existed"] is False
    assert asan.json("import", "--name", "tar2", packed)["existed"] is True
    asan.ok("tag", "tar", "more")
    asan.ok("unpack", "small")
    asan.ok("unpack", "oci")
    asan.ok("inspect", "--verify", "oci")
    assert asan.json("inspect", "small")["unpacked"] and len(asan.json("ls")["images"]) == 4
    asan.ok("ls")
    asan.ok("ensure", "small")
    asan.ok("build", "base", "--list")
    asan.ok("build", "--help")
    asan.ok("rm", "small", "dir", "oci", "tar", "tar2", "more")
    assert asan.digests() == set() and asan.remains() == []


def test_what_is_refused(asan, tree, place):
    bad = os.path.join(place, "bad.tar")
    for data in (tar([f("../x", b"1")]), tar([f("a", b"1" * 3000)])[:2000], b"no archive", os.urandom(5000), b""):
        with open(bad, "wb") as file:
            file.write(data)
        asan.fails("import", bad)
    digest = asan.add("--name", "x", tree({"a": "x"}))
    for word in ("nothing", "abcdef", "a b", "host", ""):
        for verb in ("inspect", "rm", "unpack", "ensure"):
            asan.fails(verb, word)
    asan.fails("pull", "--platform", "x", "y")
    asan.fails("build", "debian", "--packages", "-x")
    with open(asan.path(digest, "info.json"), "r+b") as file:
        file.truncate(20)
    asan.fails("inspect", "x")
    assert "damaged" in asan.ok("ls") and asan.json("ls")["images"][0]["damage"]
    asan.ok("rm", "x")
