# SPDX-License-Identifier: Apache-2.0
"""commands.allow: what can be started, what is said of the rest, and views that are kept. Attacks: tests/escape."""
import json
import os
import shutil
import subprocess

import pytest

import images

BUSYBOX = "/usr/bin/busybox"


def policy(folder, document):
    path = os.path.join(str(folder), "policy.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(document, f)
    os.chmod(str(folder), 0o755)
    return path


def views(who):
    folder = os.path.join(who.state, "cache/views")
    return sorted(n for n in os.listdir(folder) if n.startswith("v-")) if os.path.isdir(folder) else []


@pytest.fixture(scope="module")
def small(image):
    """An image with few programs, each of its own: copies of a C program would need a compiler in it."""

    def go(who):
        tree = images.busybox()
        tree.file("usr/bin/hello", "#!/bin/busybox sh\necho hello from $0\n", 0o755)
        tree.file("usr/lib/tool/module.sh", "#!/bin/busybox sh\necho module\n", 0o755)
        tree.file("usr/lib/tool/run", "#!/bin/busybox sh\necho run\n", 0o755)
        return image(who, tree)

    return go


def test_only_what_is_on_the_list_starts(anyone):
    done = anyone("run", "--commands", "echo,cat", "--", "echo", "hello")
    assert (done.code, done.out) == (0, "hello\n"), repr(done)
    r = anyone.result("--commands", "echo,cat", "--", "ls", "/")
    assert (r["cause"], r["exit_code"], r["stdout"]) == ("denied", None, "")
    assert r["denials"][0]["kind"] == "command" and r["denials"][0]["target"] == "ls"
    assert r["denials"][0]["rule"] == "commands.allow" and "echo, cat" in r["denials"][0]["hint"]


def test_cli_code_of_a_refused_program(anyone):
    done = anyone("run", "--commands", "cat", "--", "ls")
    assert done.code == 126 and "ls is not an approved program" in done.err and "approved: cat" in done.err, repr(done)


def test_what_a_command_tries_is_told(anyone):
    r = anyone.result("--commands", "sh,cat", "--", "sh", "-c", "ls /; id; id; exit 3")
    assert (r["cause"], r["exit_code"]) == ("exited", 3)
    told = [d for d in r["denials"] if d["kind"] == "command"]
    assert [os.path.basename(d["target"]) for d in told] == ["ls", "id"] and "told from inside" in told[0]["rule"]
    assert r["stderr"].count("is not an approved program here") == 3 and "approved programs: sh, cat" in r["stderr"]


def test_a_path_that_is_not_approved_exits_126(anyone):
    r = anyone.result("--commands", "sh", "--", "sh", "-c", "/usr/bin/id; echo $?")
    assert r["stdout"] == "126\n"


def test_receipt(anyone, tmp_path):
    r = anyone.result("--commands", "sh", "--", "sh", "-c", ":")["receipt"]
    assert r["commands"]["covers"] == "all" and r["commands"]["programs"] >= 1 and r["commands"]["refused"] > 100
    assert "/usr" in r["outside"]["exec_mounts"] and not {"/tmp", "/etc", "/run", "/"} & set(r["outside"]["exec_mounts"])
    tries = {t["attempt"]: t["error"] for t in r["inside"]["attempts"]}
    assert tries["exec_file"] == "EPERM" and tries["memfd"] == "ENOSYS"
    assert anyone.result("--", "true")["receipt"]["commands"] is None


def test_an_image(anyone, small):
    name = small(anyone)
    r = anyone.result("--image", name, "--commands", "busybox,hello", "--", "hello")
    assert (r["cause"], r["stdout"]) == ("exited", "hello from /usr/bin/hello\n"), r
    assert r["receipt"]["outside"]["exec_mounts"] == ["/"]
    r = anyone.result("--image", name, "--commands", "busybox", "--", "sh", "-c",
                      "/usr/lib/tool/run; echo $?; sh /usr/lib/tool/module.sh; /usr/lib/tool/module.sh; echo $?")
    assert r["stdout"] == "126\nmodule\n126\n", r
    assert r["denials"][0]["target"] == "/usr/lib/tool/run"


def test_a_program_with_many_in_it_must_be_named(anyone, small):
    name = small(anyone)
    for asked in ("ls", "hello"):
        done = anyone("run", "--image", name, "--commands", asked, "--", "true")
        assert done.code == 125 and 'name "busybox"' in done.err, repr(done)


def test_what_the_image_lacks(anyone):
    done = anyone("run", "--commands", "cat,no-such-program", "--", "cat")
    assert done.code == 125 and '"no-such-program" is not in this image' in done.err, repr(done)


@pytest.mark.parametrize("document, message", [
    ({"commands": {"allow": []}}, "line 1: commands.allow: the list is empty"),
    ({"commands": {"allow": ["a b"]}}, "blanks"),
    ({"commands": {"allow": ["bin/ls"]}}, "absolute path"),
    ({"commands": {"allow": ["*"]}}, "patterns"),
    ({"commands": {"build": True}}, "there is no commands.allow"),
    ({"commands": {"allow": ["ls"]}, "root": "cow", "image": "x"}, "read-only"),
    ({"commands": {"allow": "ls"}}, "a list of programs"),
    ({"commands": {"deny": ["ls"]}}, "deny"),
])
def test_bad_lists(pinfold, tmp_path, document, message):
    done = pinfold("policy", "check", policy(tmp_path, document))
    assert done.code == 125 and message in done.err, repr(done)


def test_build_lets_the_workspace_run(anyone, workspace):
    at = workspace(anyone) if callable(workspace) else workspace
    tree = ["--workspace", f"{at}:cow", "--commands", "cp,sh,busybox"]
    script = "cp /bin/busybox ./busybox && ./busybox echo started; echo $?"
    if not os.path.exists(BUSYBOX):
        pytest.skip("busybox is not installed")
    assert "started" not in anyone.result(*tree, "--", "sh", "-c", script)["stdout"]
    pol = os.path.join(at, "p.json")
    with open(pol, "w", encoding="utf-8") as f:
        json.dump({"commands": {"allow": ["cp", "sh", "busybox"], "build": True}}, f)
    os.chmod(pol, 0o644)
    r = anyone.result("--policy", pol, "--workspace", f"{at}:cow", "--", "sh", "-c", script)
    assert "started" in r["stdout"] and r["receipt"]["commands"]["covers"] == "image", r
    assert at in r["receipt"]["outside"]["exec_mounts"]


def test_views_are_kept_and_one_is_made(anyone, small):
    name = small(anyone)
    before = set(views(anyone))
    arguments = [anyone.program, "run", "--quiet", "--image", name, "--commands", "busybox,hello,/usr/lib/tool/run", "--", "true"]
    running = [subprocess.Popen([*anyone.prefix, *arguments], env=anyone.environment(None), stdin=subprocess.DEVNULL) for _ in range(4)]
    assert [p.wait(60) for p in running] == [0] * 4
    assert len(set(views(anyone)) - before) == 1
    assert not [n for n in os.listdir(os.path.join(anyone.state, "cache/views")) if n.startswith(".new")]


def test_a_change_of_the_host_gives_another_view(pinfold, tmp_path):
    """A tree of tools: a program that appears in it is covered in the very next sandbox."""
    top = os.path.join(str(tmp_path), "tools")
    os.makedirs(top + "/bin")
    subprocess.run(["chmod", "-R", "a+rX", str(tmp_path)], check=True)
    shutil.copy(BUSYBOX, top + "/bin/busybox")
    run = ["--tools", top, "--commands", f"sh,{top}/bin/busybox", "--"]
    assert pinfold.result(*run, top + "/bin/busybox", "echo", "a")["stdout"] == "a\n"
    shutil.copy(BUSYBOX, top + "/bin/other")
    r = pinfold.result(*run, top + "/bin/other", "echo", "b")
    assert (r["cause"], r["stdout"]) == ("denied", ""), r
    os.makedirs(top + "/new/deep")
    shutil.copy(BUSYBOX, top + "/new/deep/prog")
    assert pinfold.result(*run, top + "/new/deep/prog", "echo", "c")["cause"] == "denied"


def test_a_denial_without_a_target_beside_a_refusal(pinfold):
    r = pinfold.result("--commands", "bash", "--", "bash", "-c",
                       r"exec 3<>/dev/tcp/127.0.0.1/3128; printf 'x\r\n\r\n' >&3; while read -r -u 3 l; do :; done; id; exit 0")
    assert r.cause == "exited"
    assert [d["kind"] for d in r.denials] == ["net", "command"] and r.denials[0]["target"] is None
