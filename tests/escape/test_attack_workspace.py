# SPDX-License-Identifier: Apache-2.0
"""Attacks from within a workspace on what is the user's: protected and hidden paths, the directory itself, the host
behind it. Tried on cow, rw and rw,live.

In cow and rw the command works on a copy, and may do there what it likes: the defence is `apply`'s, which has no
switch; the control is `apply --allow-protected`, which shows that the payload does what it is for. In rw,live each
defence is a mount and has its switch: `protect` (a read-only bind), `ways` (every directory on the way is a mount of
its own), `secrets`, `live_sockets`; `setid` is a rule of the filter.
"""
import json
import os
import shutil
import socket
import stat
import subprocess

import pytest

from test_attack_secrets import WAYS as WAYS_TO_SECRETS

from escape import BUILD

HOOK = ".git/hooks/pre-commit"
FILES = {".git/hooks/README": "x", ".git/config": "[core]\n", ".git/HEAD": "ref: refs/heads/main\n", "deep/er/.vscode/settings.json": "{}\n", "f": "x"}

# Every way to a hook that runs at the user's next commit. Each leaves nothing that keeps the next one from being tried.
WAYS_TO_HOOKS = r"""
echo tried
put() { printf '#!/bin/sh\necho owned\n' > "$1" && chmod +x "$1"; }
put .git/hooks/pre-commit; put ./.git/../.git/hooks/pre-commit; put /proc/self/cwd/.git/hooks/pre-commit; put /proc/1/root$PWD/.git/hooks/pre-commit
(cd .git/hooks && put pre-commit); (cd .git && cd hooks && put ../hooks/pre-commit)
put x; mv -f x .git/hooks/pre-commit; put x; ln -f x .git/hooks/pre-commit; cp x .git/hooks/pre-commit; ln -sf ../../x .git/hooks/pre-commit
chmod -R u+w .git; put .git/hooks/pre-commit
mv .git/hooks .git/h; mkdir .git/hooks; put .git/hooks/pre-commit
mv .git .old && mkdir -p .git/hooks && put .git/hooks/pre-commit && cp .old/HEAD .old/config .git/
rm -rf .git/hooks; mkdir -p .git/hooks; put .git/hooks/pre-commit
rmdir .git/hooks; ln -s ../hooks2 .git/hooks; mkdir hooks2; put hooks2/pre-commit
mkdir -p new/hooks; put new/hooks/pre-commit; mv -T new .git; cp -a new/. .git/
python3 - <<'EOF'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
os.makedirs("e/hooks", exist_ok=True)
open("e/hooks/pre-commit", "w").write("#!/bin/sh\necho owned\n")
os.chmod("e/hooks/pre-commit", 0o755)
for a, b in (("e", ".git"), ("e/hooks", ".git/hooks"), ("e/hooks/pre-commit", ".git/hooks/pre-commit")):
    libc.syscall(316, -100, a.encode(), -100, b.encode(), 2)    # renameat2, RENAME_EXCHANGE
    fd = os.open(".git", os.O_RDONLY)
    try: os.rename(b, a, src_dir_fd=None)
    except OSError: pass
    os.close(fd)
fd = os.open(".", os.O_RDONLY)
for path in (".git/hooks/pre-commit", ".git/hooks"):
    try: os.unlink(path, dir_fd=fd)
    except OSError: pass
try:
    out = os.open(".git/hooks/pre-commit", os.O_WRONLY | os.O_CREAT, 0o755, dir_fd=fd)
    os.write(out, b"#!/bin/sh\necho owned\n")
except OSError: pass
EOF
mount --bind e .git; unshare -rm sh -c 'umount -l .git/hooks; umount -l .git; printf owned > .git/hooks/pre-commit' 2>/dev/null
exit 0
"""

RENAMED = "echo tried; mv .git .old && mkdir -p .git/hooks && cp .old/HEAD .old/config .git/ && echo owned > .git/hooks/pre-commit; exit 0"
WRITTEN = "echo tried; echo owned > .git/hooks/pre-commit; echo owned >> .git/config; exit 0"


def planted(ws):
    """Would the user's next commit run it? Through links too, as git does."""
    try:
        with open(os.path.join(ws, HOOK), encoding="utf-8") as f:
            return "owned" in f.read()
    except OSError:
        return False


@pytest.fixture
def again(own):
    """again(who, ws, files): make the directory what it was."""

    def fill(who, ws, files):
        for name in os.listdir(ws):
            path = os.path.join(ws, name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        for name, text in files.items():
            path = os.path.join(ws, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        own(who, ws)

    return fill


def shell(ws, mode, script):
    return lambda program: program.run("--quiet", "--workspace", f"{ws}:{mode}", "--", "bash", "-c", script)


# --- protected paths ------------------------------------------------------------------------------


@pytest.mark.parametrize("script,defence", [(WRITTEN, "protect"), (RENAMED, "ways"), (WAYS_TO_HOOKS, "walls=protect+ways")],
                         ids=["written", "renamed", "every way"])
def test_hooks_in_live(anyone, prove, workspace, again, script, defence):
    """`ways` alone stops the renaming, which a read-only bind of the hooks does not see; writing is `protect`'s."""
    ws = workspace(anyone)
    off = ["ways"] if defence == "protect" else []
    prove(anyone, None, [defence], run=shell(ws, "rw,live", script), worked=lambda done: planted(ws), off=off, reset=lambda: again(anyone, ws, FILES))
    with open(ws + "/.git/config", encoding="utf-8") as f:
        assert "owned" not in f.read()


@pytest.mark.parametrize("mode", ["cow", "rw"])
@pytest.mark.parametrize("script", [WRITTEN, RENAMED, WAYS_TO_HOOKS], ids=["written", "renamed", "every way"])
def test_hooks_in_a_copy(anyone, workspace, mode, script):
    ws = workspace(anyone, FILES)
    done = anyone.run("--workspace", f"{ws}:{mode}", "--", "bash", "-c", script)
    assert "tried" in done.out and not planted(ws), repr(done)
    if mode == "cow":
        assert anyone("apply", "last").code == 1 and not planted(ws)
    else:
        assert "held back" in done.err, repr(done)
    allowed = anyone("apply", "last", "--allow-protected")
    assert allowed.code == 0 and planted(ws), f"inconclusive: {allowed!r}"


def test_deeper_ways_in_live(anyone, prove, workspace, again):
    """A protected directory some levels down: none of those above can be moved away."""
    ws = workspace(anyone)
    script = ("echo tried; mv deep gone && mkdir -p deep/er/.vscode && echo owned > deep/er/.vscode/tasks.json;"
              " mv deep/er gone && mkdir -p deep/er/.vscode && echo owned > deep/er/.vscode/tasks.json; exit 0")
    prove(anyone, None, ["ways"], run=shell(ws, "rw,live", script), worked=lambda done: os.path.exists(ws + "/deep/er/.vscode/tasks.json"),
          reset=lambda: again(anyone, ws, FILES))


def test_what_cannot_be_protected_is_told(anyone, workspace):
    """Nothing is created in the user's directory, so what is not there yet can be planted. The receipt says so."""
    ws = workspace(anyone, {"f": "x"})
    r = anyone.result("--workspace", ws + ":rw,live", "--", "sh", "-c", "mkdir -p .github/workflows && echo owned > .github/workflows/x.yml; echo tried")
    assert r["stdout"] == "tried\n" and os.path.exists(ws + "/.github/workflows/x.yml")
    assert "protect: .github/workflows: does not exist yet" in r["receipt"]["unprotected"]


def test_a_git_file_in_live(anyone, prove, workspace, again):
    """A worktree has a file .git that names the repository: with another in its place any directory becomes that."""
    ws = workspace(anyone)
    files = {"tree/.git": "gitdir: /somewhere\n"}
    script = "echo tried; echo 'gitdir: owned' > tree/.git; rm -f tree/.git; mkdir -p tree/.git/hooks; mv tree t2; mkdir tree; echo 'gitdir: owned' > tree/.git; exit 0"

    def worked(_):
        try:
            with open(ws + "/tree/.git", encoding="utf-8") as f:
                return "owned" in f.read()
        except OSError:
            return True

    prove(anyone, None, ["walls=protect+ways"], run=shell(ws, "rw,live", script), worked=worked, reset=lambda: again(anyone, ws, files))


# --- hidden paths ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["rw", "rw,live"])
def test_every_way_around_a_mask(anyone, prove, workspace, again, canary, mode):
    ws = workspace(anyone)
    files = {".env": canary, "sub/.env": canary, "sub/f": "x", "f": "x"}
    prove(anyone, None, ["secrets"], run=shell(ws, mode, WAYS_TO_SECRETS), worked=lambda done: canary in done.out,
          reset=lambda: again(anyone, ws, files))
    kept = [os.path.join(top, name) for top, _, names in os.walk(ws) for name in names if name == ".env"]
    assert [p for p in kept if canary in open(p, encoding="utf-8").read()], "a command lost the user's file"


def test_the_index_is_not_fooled(anyone, workspace, canary):
    """What is hidden comes from an index of names and times. The command moves things, and sets back what times it can."""
    ws = workspace(anyone, {"a/b/.env": canary, "a/b/f": "x", "c/d/f": "x", "e/f": "x"})
    for _ in range(2):    # the second has the index
        assert canary not in anyone.run("--quiet", "--workspace", ws, "--", "bash", "-c", "cat a/b/.env; exit 0").out
    moves = ["mv a/b e/moved", "mv e/moved c/d/x && mkdir -p a/b && touch a/b/f", "mv c/d q && mkdir -p c/d && touch c/d/f"]
    for move in moves:
        done = anyone.run("--quiet", "--workspace", ws + ":rw,live", "--", "python3", "-c", f"""
import os, subprocess
times = {{}}
for top, dirs, files in os.walk("."):
    for name in ["."] + dirs:
        p = os.path.normpath(os.path.join(top, name))
        times[p] = (os.stat(p).st_atime_ns, os.stat(p).st_mtime_ns)
subprocess.run(["bash", "-c", {move!r}])
for top, dirs, files in os.walk("."):
    for name in ["."] + dirs:
        p = os.path.normpath(os.path.join(top, name))
        os.utime(p, ns=times.get(p, next(iter(times.values()))))
print("tried")
""")
        assert "tried" in done.out, repr(done)
        for mode in ("", ":ro", ":rw,live"):
            done = anyone.run("--quiet", "--workspace", ws + mode, "--", "bash", "-c", "find . -name .env -exec cat {} +; grep -r canary . ; exit 0")
            assert canary not in done.out, (move, mode, done)


# --- the host behind the directory ------------------------------------------------------------------


def test_sockets_in_live(anyone, prove, own, workspace):
    """A daemon of the host listens in the workspace: whoever connects gives it orders as the user."""
    ws = workspace(anyone, {"run/x": ""})
    server = socket.socket(socket.AF_UNIX)
    os.chdir(ws)
    server.bind("run/s")
    server.listen()
    os.chmod("run/s", 0o777)
    os.chdir("/")
    code = ("import os, socket\nprint('tried')\n"
            "for p in ('run/s', '/proc/self/cwd/run/s', os.path.abspath('run/s')):\n"
            " s = socket.socket(socket.AF_UNIX)\n"
            " try:\n  s.connect(p)\n  print('ESCAPED')\n"
            " except OSError as e: print(e)\n"
            "os.rename('run', 'other')\ns = socket.socket(socket.AF_UNIX)\n"
            "try:\n s.connect('other/s')\n print('ESCAPED')\n"
            "except OSError as e: print(e)\n"
            "os.rename('other', 'run')\n")
    try:
        prove(anyone, None, ["live_sockets"], run=lambda program: program.run("--quiet", "--workspace", ws + ":rw,live", "--", "python3", "-c", code))
    finally:
        server.close()


SET_IDS = r"""
import ctypes, os, shutil, subprocess
print("tried")
libc = ctypes.CDLL(None, use_errno=True)
def attempt(f):
    try: f()
    except OSError: pass
shutil.copy("/bin/true", "plain")
attempt(lambda: os.chmod("plain", 0o4755))
attempt(lambda: os.chmod("plain", 0o2755))
attempt(lambda: os.fchmod(os.open("plain", os.O_RDONLY), 0o6755))
attempt(lambda: os.close(os.open("created", os.O_CREAT | os.O_WRONLY, 0o4755)))
attempt(lambda: os.mknod("made", stat_reg | 0o4755))
libc.creat(b"creat", 0o4755)
libc.syscall(2, b"open", 0o101, 0o4755)
libc.syscall(85, b"creat2", 0o4755)
libc.syscall(133, b"mknod", 0o104755, 0)
libc.syscall(90, b"plain", 0o4755)
libc.syscall(268, -100, b"plain", 0o4755)
libc.syscall(452, -100, b"plain", 0o4755, 0)
libc.syscall(257, -100, b"openat", 1 << 40 | 0o101, 1 << 40 | 0o4755)
how = (ctypes.c_uint64 * 3)(0o101, 0o4755, 0)
libc.syscall(437, -100, b"openat2", ctypes.byref(how), 24)
fd = libc.syscall(257, -100, b".", 0o20200002, 0o4755)
if fd >= 0: libc.linkat(-100, b"/proc/self/fd/%d" % fd, -100, b"tmpfile", 0x400)
subprocess.run("cp -p /tmp/s copied; cd /tmp && cp /bin/true s && chmod 4755 s && tar cf t.tar s; cd - && tar xpf /tmp/t.tar; mv /tmp/s moved; ln /tmp/s linked;"
               " install -m 4755 /bin/true installed; python3 -m tarfile -e /tmp/t.tar .", shell=True, stderr=-3, stdout=-3)
""".replace("stat_reg", "0o100000")


@pytest.mark.parametrize("mode", ["cow", "rw", "rw,live"])
def test_set_id_files(anyone, prove, workspace, again, mode):
    """A set-user-id file in the user's directory is one of the host's, and its owner may be root. Only in live can one be
    made there; apply leaves the bits out."""
    ws = workspace(anyone)

    def found(_):
        return any(os.lstat(os.path.join(top, n)).st_mode & 0o6000 and stat.S_ISREG(os.lstat(os.path.join(top, n)).st_mode)
                   for top, _, names in os.walk(ws) for n in names)

    def run(program):
        return program.run("--quiet", "--workspace", f"{ws}:{mode}", "--", "python3", "-c", SET_IDS)

    if mode == "rw,live":
        prove(anyone, None, ["setid"], run=run, worked=found, reset=lambda: again(anyone, ws, {"f": "x"}))
        return
    done = run(anyone)
    assert "tried" in done.out, repr(done)
    if mode == "cow":
        assert anyone("apply", "last").code == 0
    assert not found(None) and os.path.exists(ws + "/plain"), repr(done)


@pytest.mark.parametrize("mode", ["cow", "rw", "rw,live"])
def test_links_out(anyone, own, workspace, outside, canary, mode):
    """Links lead to the sandbox's own root, whoever made them; no switch: it is `root`, which test_attack_mounts.py takes off."""
    secret = outside(canary)
    own(anyone, os.path.dirname(secret))
    ws = workspace(anyone, {"f": "x"})
    os.symlink(secret, ws + "/there")
    os.symlink(os.path.dirname(secret), ws + "/dir")
    script = (f"echo tried; cat there dir/secret; echo owned > there; echo owned > dir/new; ln -s {secret} mine; cat mine; echo owned > mine;"
              f" ln {secret} hard; cat hard; mv f dir/; cp f dir/g; exit 0")
    done = anyone.run("--quiet", "--workspace", f"{ws}:{mode}", "--", "bash", "-c", script)
    assert "tried" in done.out and canary not in done.out, repr(done)
    if mode == "cow":
        anyone("apply", "last", "--force", "--allow-protected")
    with open(secret, encoding="utf-8") as f:
        assert f.read() == canary
    assert os.listdir(os.path.dirname(secret)) == ["secret"]


@pytest.mark.parametrize("mode", ["cow", "rw", "rw,live"])
def test_the_directory_itself(anyone, workspace, mode):
    """It cannot be moved, nor left upwards: its parent inside is the sandbox's own."""
    ws = workspace(anyone, {"f": "x"})
    done = anyone.run("--quiet", "--workspace", f"{ws}:{mode}", "--", "bash", "-c",
                      "echo tried; d=$PWD; cd ..; ls -A; mv $d $d.gone; rmdir $d; mkdir x; touch x; cd $d/..; ls -A; exit 0")
    assert "tried" in done.out
    assert set(done.out.split()) - {"x"} == {"tried", os.path.basename(ws)}, repr(done)
    assert os.path.exists(ws + "/f") and not {os.path.basename(ws) + ".gone", "x"} & set(os.listdir(os.path.dirname(ws)))


# --- sessions ------------------------------------------------------------------------------------------


@pytest.fixture
def steps(tools):
    """As in tests/tier: several commands in one sandbox."""
    program = os.path.join(BUILD, "tier/steps")
    if not os.path.exists(program):
        pytest.skip("tier/steps is not built")

    def run(who, ws, *words):
        mine = shutil.copy(program, os.path.join(os.path.dirname(who.program), "steps")) if who.prefix else program
        libexec = os.path.join(os.path.dirname(who.program), "libexec/pinfold")
        p = subprocess.run([*who.prefix, mine, who.state, who.runtime, libexec, f"workspace={ws}:rw", "--", *words], env=who.environment(),
                           cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert p.returncode == 0, p
        return [json.loads(line) for line in p.stdout.splitlines()][:-1]

    return run


def test_a_process_that_stays(anyone, steps, workspace):
    """Left behind by one command it must write neither to the next one's workspace nor to the user's."""
    ws = workspace(anyone, {"f": "x"})
    left = f"cd {ws}; (setsid sh -c 'while :; do echo owned > late; echo owned > {ws}/late2; done' >/dev/null 2>&1 &); (setsid nohup sh -c 'exec 9<.; while :; do echo owned > /proc/self/fd/9/late3; done' >/dev/null 2>&1 &); echo tried"
    done = steps(anyone, ws, left, "rm -f late late2 late3; ls", "i=0; while [ $i -lt 200 ]; do ls; i=$((i+1)); done | sort -u")
    assert done[0]["stdout"] == "tried\n" and done[1]["stdout"] == "f\n" and done[2]["stdout"] == "f\n", done
    assert os.listdir(ws) == ["f"]


def test_the_place_is_moved_away(anyone, steps, workspace):
    """Where the path to the workspace lies in the sandbox's own /tmp, a command may move it. Then there is no fresh workspace
    for the next one, and nothing of the host is mounted elsewhere."""
    ws = workspace(anyone, {"f": "x"})
    top = ws.split("/")[1:3]
    move = f"echo new > n; echo tried; cd /; mv /{'/'.join(top)} /tmp/away && mkdir -p {ws} && echo planted > {ws}/planted; exit 0"
    done = steps(anyone, ws, move)
    assert "tried" in done[0]["stdout"] and "planted" not in os.listdir(ws)
    assert os.listdir(ws) == ["f"] if done[0]["error"] else sorted(os.listdir(ws)) == ["f", "n"], done


def test_a_link_and_then_a_file_through_it(anyone, own, steps, workspace, outside, canary):
    """One command makes a link out, which is applied; the next writes through it, and that is applied too."""
    secret = outside(canary)
    top = os.path.dirname(secret)
    own(anyone, top)
    ws = workspace(anyone, {"d/f": "x"})
    done = steps(anyone, ws, f"rm -r d; ln -s {top} d; echo tried", "cat d/secret; echo owned > d/secret; echo owned > d/new", "rm d; mkdir d; echo x > d/g",
                 f"rm -r d; ln -s {top} d; ln -s {secret} l", "rm d/secret; echo owned >> l; rm -rf d/* d/.[!.]*")
    assert not any(canary in d["stdout"] for d in done), done
    with open(secret, encoding="utf-8") as f:
        assert f.read() == canary
    assert os.listdir(top) == ["secret"]


def test_attributes_of_the_overlay(anyone, steps, workspace, canary):
    """What a command writes as the overlay's own attributes is not taken for them in the next workspace."""
    ws = workspace(anyone, {".env": canary, "sub/.env": canary, "sub/f": "x"})
    plant = ("import os\nfor p in ('.', 'sub', 'sub/f'):\n for k in ('user.overlay.', 'trusted.overlay.'):\n  for n, v in (('opaque', b'y'), ('redirect', b'/'), ('whiteout', b'y'), ('metacopy', b'')):\n"
             "   try: os.setxattr(p, k + n, v)\n   except OSError: pass\nprint('tried')")
    done = steps(anyone, ws, f"python3 -c \"{plant}\"", "cat .env sub/.env; ls -A . sub", "cat .env sub/.env; cat sub/f")
    assert "tried" in done[0]["stdout"] and not any(canary in d["stdout"] for d in done) and done[2]["stdout"] == "x", done
