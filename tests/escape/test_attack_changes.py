# SPDX-License-Identifier: Apache-2.0
"""Change sets: what a hostile command writes into its copy, aimed at who looks at it and who applies it.

No switches: these defences are apply's and the printers', which run after the sandbox is gone; the control of each
is the naive way (cp, a raw listing), or the option that allows it. tests/unit/test_apply_attack.c goes deeper.
"""
import json
import os
import stat
import subprocess

import pytest


def run(who, ws, script, *options):
    done = who.run("--quiet", *options, "--workspace", ws, "--", "bash", "-c", script)
    assert done.code == 0, repr(done)
    return done


def test_hooks_by_renaming_git_away(anyone, own, workspace):
    """A bind of .git/hooks alone lets .git be renamed and made anew. The copy may; apply does not."""
    ws = workspace(anyone, {".git/hooks/README": "x", ".git/config": "[core]\n", "f": "x"})
    out = run(anyone, ws, "mv .git .old && mkdir -p .git/hooks && echo 'echo owned' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit"
              " && cp .old/config .git/config && echo '[core] fsmonitor = owned' >> .git/config; echo done")
    assert "done" in out.out
    assert not os.path.exists(os.path.join(ws, ".git/hooks/pre-commit")) and os.path.exists(os.path.join(ws, ".git/hooks/README"))
    refusal = anyone("apply", "last")
    assert refusal.code == 1 and not os.path.exists(os.path.join(ws, ".git/hooks/pre-commit")), repr(refusal)
    assert ".old" not in os.listdir(ws), "nothing is written if anything is refused"
    allowed = anyone("apply", "last", "--allow-protected")
    assert allowed.code == 0 and os.path.exists(os.path.join(ws, ".git/hooks/pre-commit")), repr(allowed)


@pytest.mark.parametrize("planted", ["directory", "parent"])
def test_a_link_on_the_way(anyone, own, workspace, outside, canary, planted):
    """The directory that a change goes into has become a link out of the workspace, by an earlier apply say."""
    target = os.path.dirname(outside(canary))
    own(anyone, target)
    ws = workspace(anyone, {"a/b/f": "old"})
    run(anyone, ws, "echo new > a/b/g; echo new > a/b/f")
    which = os.path.join(ws, "a/b" if planted == "directory" else "a")
    os.rename(which, which + ".away")
    os.symlink(target, which)
    if planted == "parent":
        os.makedirs(os.path.join(target, "b"))
        own(anyone, target)
    own(anyone, ws)
    naive = os.path.join(ws, "a/b/naive")
    with open(naive, "w", encoding="utf-8"):
        pass
    assert os.path.realpath(naive).startswith(target), "inconclusive: a naive writer does not follow it"
    os.unlink(naive)
    before = sorted(os.listdir(target))
    for force in ([], ["--force"]):
        done = anyone("apply", "last", *force)
        assert done.code == 1, repr(done)
        assert sorted(os.listdir(target)) == before
        assert not os.path.exists(os.path.join(target, "b", "g"))


def test_a_link_and_then_a_file_through_it(anyone, workspace, outside, canary):
    """First the command turns a directory into a link out, and its set is applied; then another writes below it."""
    secret = outside(canary)
    target = os.path.dirname(secret)
    ws = workspace(anyone, {"d/f": "x"})
    run(anyone, ws, f"rm -r d && ln -s {target} d")
    anyone("apply", "last")
    done = anyone.run("--quiet", "--workspace", ws, "--", "sh", "-c", "cat d/secret; echo owned > d/secret; mkdir -p d2 && echo x > d2/f")
    assert canary not in done.out
    anyone("apply", "last", "--force")
    with open(secret, encoding="utf-8") as f:
        assert f.read() == canary


def test_modes_and_kinds(anyone, workspace):
    """Set-user-id bits, devices, sockets: the copy may have some, the user's directory gets none. A FIFO it gets, and is
    told: who opens one waits."""
    ws = workspace(anyone, {"f": "x"})
    done = run(anyone, ws, "cp /bin/true s && chmod 6755 s && stat -c %a s; mkfifo p; mkdir g && chmod 2777 g; "
               "python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('k')\"; mknod c c 0 0 || echo no whiteout; mknod b b 7 0 || echo no device")
    assert "6755" in done.out, f"inconclusive: the copy has no such bit: {done!r}"
    assert "no whiteout" in done.out and "no device" in done.out
    applied = anyone("apply", "last")
    assert "p: a FIFO" in applied.out and "k: not applied: a socket" in applied.out, repr(applied)
    for name in os.listdir(ws):
        mode = os.lstat(os.path.join(ws, name)).st_mode
        kinds = stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (name == "p" and stat.S_ISFIFO(mode))
        assert not mode & 0o6000 and kinds, (name, oct(mode))
    assert os.path.exists(os.path.join(ws, "s")), "what can be applied is"


NASTY = ["\x1b[31mred", "\x1b]0;owned\x07", "\x9b31m", "new\nline", "tab\there", "\u202egnp.exe", "back\bspace", "\r\x1b[2Kgone", "-rf",
         "$(touch owned)", "`id`", "\x7f"]


def bad_bytes(data):
    """Control bytes, C1 controls in UTF-8 as raw, bidirectional overrides."""
    text = data.decode("utf-8", errors="surrogateescape")
    return [c for c in text if (ord(c) < 32 and c not in "\n\t") or ord(c) == 127 or 0x80 <= ord(c) < 0xa0 or c in "\u202a\u202b\u202d\u202e\u2066\u2067"
            or 0xdc80 <= ord(c) <= 0xdcff]


def test_names_that_write_to_the_terminal(anyone, workspace):
    ws = workspace(anyone, {"f": "x"})
    script = ("import os\n"
              f"for i, n in enumerate({NASTY!r}):\n"
              "    b = n.encode('latin-1') if n.startswith('\\x9b') else n.encode()\n"
              "    open(b + str(i).encode(), 'w').write(n)\n"
              "    os.symlink(b, b'link%d' % i)\n")
    done = anyone.run("--workspace", ws, "--", "/usr/bin/python3", "-c", script)
    assert done.code == 0 and not bad_bytes(done.err_bytes), repr(done)
    raw = subprocess.run(["ls", "-N", "/proc/self/cwd/."], cwd=ws, capture_output=True, check=True)
    assert raw.returncode == 0
    for words in (["ls"], ["diff", "last", "--list"], ["diff", "last", "--stat"], ["diff", "last", "--json"], ["ls", "--json"],
                  ["apply", "last", "--dry-run"]):
        done = anyone(*words)
        assert not bad_bytes(done.out_bytes + done.err_bytes), (words, bad_bytes(done.out_bytes + done.err_bytes), done.out_bytes)
        if "--json" in words:
            json.loads(done.out)
    assert len(anyone("diff", "last", "--list").out.splitlines()) == 2 * len(NASTY), "a name with a newline is one line"
    # a patch is for programs and has the names quoted; only what a terminal shows is made harmless
    headers = [line for line in anyone("diff", "last").out_bytes.splitlines() if line.startswith((b"diff ", b"+++ ", b"--- "))]
    assert headers and not bad_bytes(b"\n".join(headers))


def test_commands_and_errors_that_write_to_the_terminal(anyone, workspace):
    ws = workspace(anyone, {"f": "x"})
    for words in (["\x1b]0;owned\x07"], ["sh", "-c", "echo > new; exit 1", "\x1b[31m"], ["./\x1b[2J"]):
        done = anyone.run("--workspace", ws, "--", *words)
        assert not bad_bytes(done.err_bytes), repr(done)
        done = anyone("ls")
        assert not bad_bytes(done.out_bytes), repr(done)


def test_a_huge_and_deep_change_set(anyone, workspace):
    """It ends, within its limits, and either is kept whole or says that it is not."""
    ws = workspace(anyone, {"f": "x"})
    done = anyone.run("--quiet", "--timeout", "20s", "--workspace", ws, "--", "/usr/bin/python3", "-c",
                      "import os\nfor i in range(2000): open('n%d' % i, 'w')\n"
                      "for i in range(300): os.mkdir('d' * 100); os.chdir('d' * 100)\n")
    assert done.code in (0, 1, 125), repr(done)
    assert anyone("diff", "last", "--stat").code in (0, 1)
    assert os.listdir(ws) == ["f"]


def test_content_that_changes_under_the_collector(anyone, workspace):
    """Nothing runs any more when the upper is read: a process that stays cannot race it."""
    ws = workspace(anyone, {"f": "x"})
    anyone.run("--quiet", "--workspace", ws, "--", "sh", "-c",
               "echo first > g; setsid sh -c 'while :; do ln -sf /etc/passwd g; rm -f g; echo first > g; done' >/dev/null 2>&1 & exit 0")
    listed = json.loads(anyone("diff", "last", "--json").out)
    assert anyone("apply", "last").code in (0, 1)
    assert listed is not None and not (os.path.islink(os.path.join(ws, "g")) and os.path.realpath(os.path.join(ws, "g")) != "/etc/passwd")
