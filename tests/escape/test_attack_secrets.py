# SPDX-License-Identifier: Apache-2.0
"""Getting at what is masked in a workspace (`secrets`): whiteouts in a layer above the user's directory.

Every way is tried in one run: by name, through the parent renamed or linked, hard links, /proc's links, other mounts of
the same directory, attributes of the overlay set from inside. With `secrets` off the plain name gives it, which
proves that it is there; the other ways have no switch of their own. Planted on the host, as an earlier run that was
applied might have: attributes and whiteouts that an overlay could take for its own.
"""
import os
import stat
import subprocess

import pytest

WAYS = r"""
echo tried
cat .env sub/.env sub/../.env ./sub//.env
cat /proc/self/cwd/.env /proc/self/root$PWD/.env /proc/1/root$PWD/.env /proc/1/cwd$PWD/.env
mv sub sub2; cat sub2/.env; mkdir sub; cat sub/.env; mv sub2 /tmp/moved; cat /tmp/moved/.env
ln .env hard; cat hard; ln sub/.env hard2; cat hard2; ln -s .env soft; cat soft
cp -a . /tmp/copy; cat /tmp/copy/.env /tmp/copy/sub/.env
touch .env; cat .env; rm -f .env; cat .env; rm -rf sub2; mkdir sub2; cat sub2/.env
python3 - <<'EOF'
import os
for p in (".", "sub", ".env", "sub2"):
    for n in ("trusted.overlay.opaque", "user.overlay.opaque", "trusted.overlay.redirect", "user.overlay.redirect",
              "trusted.overlay.origin", "user.overlay.origin", "user.overlay.whiteout", "trusted.overlay.whiteout"):
        for v in (b"y", b"n", b"x", b"/sub"):
            try: os.setxattr(p, n, v)
            except OSError: pass
            try: os.removexattr(p, n)
            except OSError: pass
for p in (".env", "sub/.env", "sub2/.env"):
    try: print(open(p).read())
    except OSError: pass
for r, d, f in os.walk("."):
    if ".env" in f: print("listed", r, open(os.path.join(r, ".env"), errors="replace").read())
EOF
tar cf - . | grep -a canary; grep -ra canary . /tmp /run /var/tmp /dev/shm 2>/dev/null
find / -xdev -name .env -exec cat {} + 2>/dev/null
mkdir /tmp/u /tmp/w /tmp/m; mount -t overlay none -o lowerdir=$PWD,upperdir=/tmp/u,workdir=/tmp/w /tmp/m; mount --bind . /tmp/m; cat /tmp/m/.env
unshare -rm sh -c 'umount -l .; cat .env' 2>/dev/null
exit 0
"""


@pytest.fixture
def secretive(anyone, workspace, canary):
    return workspace(anyone, {".env": canary, "sub/.env": canary, "sub/f": "x", "f": "x"})


@pytest.mark.parametrize("mode", ["cow", "ro"])
def test_every_way_around_a_mask(anyone, prove, secretive, canary, mode):
    prove(anyone, None, ["secrets"], worked=lambda done: canary in done.out,
          run=lambda program: program.run("--quiet", "--workspace", f"{secretive}:{mode}", "--", "bash", "-c", WAYS))


def test_two_views_of_one_directory(anyone, secretive, canary, tools):
    """The same directory as a tool tree is what the user asked for, secrets and all; a link in it does not widen it."""
    done = anyone.run("--quiet", "--workspace", f"{secretive}:path=/srv/w", "--", "bash", "-c", f"cat /srv/w/.env {secretive}/.env; exit 0")
    assert canary not in done.out, repr(done)


def test_attributes_planted_in_the_workspace(anyone, own, workspace, outside, canary):
    secret = outside(canary)
    ws = workspace(anyone, {".env": canary, "sub/.env": canary, "sub/f": "x", "red/f": "x", "file": "y", "top/sub/.env": canary})
    planted = 0
    prefixes = ["user.overlay."] + (["trusted.overlay."] if os.geteuid() == 0 else [])
    for prefix in prefixes:
        for path, name, value in (("sub", "opaque", b"y"), (".", "opaque", b"y"), ("red", "redirect", os.path.dirname(secret).encode()),
                                  ("red", "redirect", b"/sub"), ("file", "redirect", secret.encode()), ("file", "metacopy", b""),
                                  ("sub/.env", "whiteout", b"y"), ("sub", "opaque", b"x"), ("top", "origin", b"\x00\xfb\x21"),
                                  (".", "redirect", b"/"), ("top", "redirect", b"../../..")):
            try:
                os.setxattr(os.path.join(ws, path), prefix + name, value)
                planted += 1
            except OSError:
                pass
    if not planted:
        pytest.skip("the file system of the tests has no user attributes")
    own(anyone, ws)
    for mode in ("cow", "ro"):
        done = anyone.run("--quiet", "--workspace", f"{ws}:{mode}", "--", "bash", "-c",
                          "echo tried; cat .env sub/.env red/secret file top/sub/.env red/.env; find . | sort; exit 0")
        if "tried" in done.out:     # refusing the workspace would do as well
            assert canary not in done.out, repr(done)


def test_whiteouts_planted_in_the_workspace(pinfold, need_root, own, workspace, canary):
    """A character device 0:0 below deletes nothing of the mask above, and is no device that could be opened."""
    ws = workspace(pinfold, {"a/.env": canary, "f": "x"})
    os.mknod(os.path.join(ws, "wh"), stat.S_IFCHR | 0o666, os.makedev(0, 0))
    os.mknod(os.path.join(ws, "zero"), stat.S_IFCHR | 0o666, os.makedev(1, 5))
    assert subprocess.run(["head", "-c1", os.path.join(ws, "zero")], capture_output=True, check=True).stdout == b"\0"
    done = pinfold.run("--quiet", "--workspace", ws, "--", "bash", "-c", "echo tried; cat a/.env; head -c1 zero && echo OPENED; exit 0")
    assert "tried" in done.out and canary not in done.out and "OPENED" not in done.out, repr(done)
    assert pinfold("diff", "last").code != 0 or not pinfold("diff", "last", "--list").out


def test_a_mask_is_no_change(anyone, secretive, canary):
    """What is hidden is not a deletion: apply must not remove it."""
    done = anyone.run("--quiet", "--workspace", secretive, "--", "sh", "-c", "echo new > g; rm -f .env sub/.env; rm -rf sub; exit 0")
    assert done.code == 0
    anyone("apply", "last")
    with open(os.path.join(secretive, ".env"), encoding="utf-8") as f:
        assert f.read() == canary
    with open(os.path.join(secretive, "sub/.env"), encoding="utf-8") as f:
        assert f.read() == canary
