# SPDX-License-Identifier: Apache-2.0
"""commands.allow: what `policy show` says that it comes to, and `doctor --clean` of views."""
import json
import os
import re
import subprocess

import pytest

import images

PROMISE = ("No program file that is not on the list can be started or mapped executable: by name, path, copy, link, "
           "`ld.so`, descriptor, memfd or preload. What a listed program computes is not limited: an interpreter on the "
           "list can run any script, and machine code in its own memory. The boundary stops that; the list does not.")
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def shown(who, *arguments):
    """The document, and {path: (mark, why)} of what it comes to."""
    done = who("policy", "show", *arguments)
    assert done.code == 0, repr(done)
    document, _, rest = done.out.partition("\n// commands.allow")
    rows = re.findall(r"^//   (/\S+) +(runs any code)? +(\S.*)$", rest, re.M)
    return json.loads(document), {path: (mark, why) for path, mark, why in rows}, rest


def views(who):
    folder = os.path.join(who.state, "cache/views")
    return [n for n in os.listdir(folder) if n != "lock"] if os.path.isdir(folder) else []


def test_the_closed_list_with_its_marks(anyone):
    document, programs, text = shown(anyone, "--commands", "sh,cat,git")
    assert document["commands"] == {"allow": ["sh", "cat", "git"], "build": False}
    by_name = {os.path.basename(path): row for path, row in programs.items()}
    assert by_name["cat"] == ("", "cat")
    shell = os.path.basename(os.path.realpath("/bin/sh"))
    assert by_name[shell] == ("runs any code", "sh")
    assert any(why.startswith("interpreter of") for _, why in programs.values()), programs
    if os.path.isdir("/usr/lib/git-core"):
        assert by_name["git-remote-http"][1].startswith("helper of")
    assert "ssh" not in by_name and "vim" not in by_name
    assert PROMISE in text.replace("\n//", "")


def test_it_is_still_a_policy(pinfold, tmp_path):
    done = pinfold("policy", "show", "--commands", "sh")
    path = os.path.join(str(tmp_path), "p.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write(done.out)
    assert pinfold("policy", "show", "--policy", path).out == done.out
    assert "//" not in pinfold("policy", "show").out


def test_of_an_image(anyone, image):
    tree = images.busybox()
    tree.file("usr/bin/hello", "#!/bin/busybox sh\necho\n", 0o755)
    name = image(anyone, tree)
    _, programs, _ = shown(anyone, "--image", name, "--commands", "busybox,hello")
    assert programs["/usr/bin/hello"] == ("", "hello")
    assert [row for path, row in programs.items() if os.path.basename(path) == "busybox"] == [("runs any code", "busybox")]
    done = anyone("policy", "show", "--image", name, "--commands", "hello")
    assert done.code == 125 and "busybox" in done.err and '"allow"' in done.out, repr(done)


def test_what_is_not_there(pinfold):
    done = pinfold("policy", "show", "--commands", "no-such-program")
    assert done.code == 125 and "no-such-program" in done.err and '"no-such-program"' in done.out, repr(done)


@pytest.mark.parametrize("page", ["docs/utilities.md", "man/pinfold-policy.5"])
def test_the_promise_has_one_wording(page):
    with open(os.path.join(TOP, page), encoding="utf-8") as f:
        text = f.read()
    plain = re.sub(r"\.Ql (\S+) ,", r"`\1`,", text)
    assert PROMISE.lower() in re.sub(r"\s+", " ", plain).lower(), page


def test_clean_removes_what_nobody_uses(anyone, image):
    name = image(anyone, images.busybox())
    assert anyone("run", "--quiet", "--image", name, "--commands", "busybox", "--", "true").code == 0
    assert any(v.startswith("v-") for v in views(anyone))
    assert anyone("doctor", "--clean").code == 0
    assert not views(anyone)
    assert anyone("run", "--quiet", "--image", name, "--commands", "busybox", "--", "true").code == 0


def test_clean_leaves_a_view_in_use(pinfold, image):
    name = image(pinfold, images.busybox())
    run = ["run", "--quiet", "-i", "--image", name, "--commands", "busybox", "--", "cat"]
    with pinfold.popen(*run, stdin=subprocess.PIPE) as p:
        p.stdin.write(b"x\n")
        p.stdin.flush()
        assert p.stdout.readline() == b"x\n"     # it runs
        before = [v for v in views(pinfold) if v.startswith("v-")]
        assert pinfold("doctor", "--clean").code == 0
        assert before and [v for v in views(pinfold) if v.startswith("v-")] == before
        p.stdin.close()
        assert p.wait(30) == 0
    assert pinfold("doctor", "--clean").code == 0 and not views(pinfold)
