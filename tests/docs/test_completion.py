# SPDX-License-Identifier: Apache-2.0
"""Completion: what `pinfold complete` offers, and real shells that are typed into."""
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

import images
from test_docs import BUILD, help_options, verbs

SECONDS = 30


def offered(pinfold, *words):
    """[candidate], and what is left to the shell ("files", "command 3") with a tab before it."""
    done = pinfold("complete", *words)
    assert done.code == 0 and done.err == "", repr(done)
    return [line if line.startswith("\t") else line.split("\t")[0] for line in done.out.splitlines()]


# --- the program ----------------------------------------------------------------------------------


def test_verbs(pinfold):
    known = set(verbs(pinfold)) - {"version", "help"}
    assert set(offered(pinfold, "")) == known == set(offered(pinfold, "help", ""))
    assert offered(pinfold, "expo") == ["export"] and offered(pinfold, "nothing", "") == []


def test_options_are_those_of_the_verb(pinfold):
    for verb in set(verbs(pinfold)) - {"version", "help", "image", "guard"}:
        options = {o.split("=")[0] for o in offered(pinfold, verb, "--")}
        assert options == {"--" + name for name in help_options(pinfold, verb) | {"help"}}, verb
    for verb in offered(pinfold, "image", ""):
        text = pinfold("image", verb, "--help").out
        assert set(offered(pinfold, "image", verb, "--")) == {"--" + n for n in re.findall(r"^  (?:-\w, |    )--([a-z-]+)", text, re.M)}
    assert "--json" in offered(pinfold, "guard", "command", "--")


def test_values(pinfold):
    for option in ("--tier", "--require"):
        words = offered(pinfold, "run", option, "")
        assert len(words) > 1
        for word in words:
            assert pinfold("policy", "check", "--cpus", "1", "--idle-timeout", "1s", option, word).code == 0, word
    assert offered(pinfold, "run", "--tier=c") == ["--tier=container"]
    assert offered(pinfold, "run", "--policy", "") == offered(pinfold, "policy", "check", "") == ["\tfiles"]
    assert offered(pinfold, "run", "--workspace", "") == offered(pinfold, "run", "-w", "") == ["\tdirs"]
    assert offered(pinfold, "run", "-qe", "A=B", "--json", "l") == ["\tcommand 5"]
    assert offered(pinfold, "run", "--", "ls", "--") == ["\tcommand 3"]
    assert offered(pinfold, "policy", "") == ["show", "check"]


def test_ids(pinfold, workspace, image):
    ident = pinfold.result("--workspace", workspace(pinfold, {"a": "x"}), "--", "sh", "-c", "echo y > a")["changes"]["id"]
    assert offered(pinfold, "apply", ident[:4]) == [ident] and offered(pinfold, "diff", "") == ["last", ident]
    name = image(pinfold, images.Tree().file("a", "x"))
    assert name in offered(pinfold, "image", "rm", "") and {"host", name} <= set(offered(pinfold, "run", "--image", ""))


# --- the shells -----------------------------------------------------------------------------------

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
SET_UP = {
    "bash": 'bind "set enable-bracketed-paste off" 2>/dev/null; eval "$(pinfold completion bash)"; PS1=',
    "zsh": 'unset zle_bracketed_paste; autoload -Uz compinit; compinit -D -u; eval "$(pinfold completion zsh)"; PS1=',
}


class Shell:
    """An interactive shell on a terminal. What is typed is not run: at its beginning comes an echo."""

    def __init__(self, argv, place, env):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(argv, cwd=place, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.seen = b""

    def type(self, text):
        os.write(self.master, text.encode())

    def until(self, regex):
        end = time.monotonic() + SECONDS
        while not (found := re.search(regex.encode(), self.seen)):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"{regex} never came: {self.seen!r}"
            self.seen += os.read(self.master, 65536)
        self.seen = self.seen[found.end():]
        return found.group(1).decode()

    def complete(self, line):
        """The line after TAB, as the shell would run it."""
        self.type(line + "\t\x01printf '<%s>' \x05; echo '<''>'\n")
        return [w.strip() for w in re.findall(r"<([^>]+)>", self.until(r"((?:<[^<>'%]+>)+)<>"))]

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture(params=sorted(START))
def shell(request, pinfold, _place, need_program):
    need_program(request.param)
    place = os.path.join(_place, f"completion-{request.param}")
    os.makedirs(os.path.join(place, "bin"))
    os.makedirs(os.path.join(place, "directory"))
    for name in ("policy.json", "directory-of-none"):
        with open(os.path.join(place, name), "w", encoding="utf-8"):
            pass
    with open(os.path.join(place, "bin/pf-unique-program"), "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n")
    os.chmod(os.path.join(place, "bin/pf-unique-program"), 0o755)
    env = pinfold.environment({"TERM": "dumb", "HOME": place, "ZDOTDIR": place, "PS1": ""})
    env["PATH"] = os.pathsep.join([BUILD, os.path.join(place, "bin"), env["PATH"]])
    it = Shell(START[request.param], place, env)
    it.type(SET_UP[request.param] + "; echo 'rea''dy'\n")
    it.until("(ready)")
    yield it
    it.close()
    shutil.rmtree(place)


@pytest.mark.parametrize("line, words", [
    ("pinfold expo", ["pinfold", "export"]),
    ("pinfold run --idle", ["pinfold", "run", "--idle-timeout"]),
    ("pinfold run --tier con", ["pinfold", "run", "--tier", "container"]),
    ("pinfold run --tier=con", ["pinfold", "run", "--tier=container"]),
    ("pinfold run --policy pol", ["pinfold", "run", "--policy", "policy.json"]),
    ("pinfold run --policy=pol", ["pinfold", "run", "--policy=policy.json"]),
    ("pinfold run --workspace dir", ["pinfold", "run", "--workspace", "directory"]),
    ("pinfold run -e A=B -- pf-uni", ["pinfold", "run", "-e", "A=B", "--", "pf-unique-program"]),
    ("pinfold run pf-unique-program pol", ["pinfold", "run", "pf-unique-program", "policy.json"]),
    ("pinfold image insp", ["pinfold", "image", "inspect"]),
    ("pinfold policy check pol", ["pinfold", "policy", "check", "policy.json"]),
])
def test_shell(shell, line, words):
    assert [w.rstrip("/") for w in shell.complete(line)] == words    # zsh takes the slash back at the end of a word


def test_script_for_no_shell(pinfold):
    p = pinfold("completion", "fish")
    assert p.code == 125 and "for bash or for zsh?" in p.err
    assert pinfold("help", "completion").out.startswith("usage: pinfold completion bash|zsh")
