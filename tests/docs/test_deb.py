# SPDX-License-Identifier: Apache-2.0
"""make deb: the package is clean, the same twice, and installs and goes without leaving anything but state."""
import os
import re
import shutil
import subprocess

import pytest

from test_apparmor import package_profile
from test_docs import BUILD, TOP, read

VERSION = re.search(r"^VERSION := (\S+)$", read("Makefile"), re.M).group(1)


def build(out, **env):
    done = subprocess.run(["packaging/build-deb.sh", BUILD, VERSION, str(out)], cwd=TOP, env={**os.environ, **env}, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    if not shutil.which("dpkg-shlibdeps"):
        pytest.skip("dpkg-dev is not installed")
    return build(tmp_path_factory.mktemp("deb"))


def test_the_same_build_gives_the_same_bytes(package, tmp_path):
    os.umask(os.umask(0o077))    # the script sets its own
    again = build(tmp_path, TZ="Asia/Tokyo", LC_ALL="C.UTF-8", TMPDIR=str(tmp_path))
    with open(package, "rb") as a, open(again, "rb") as b:
        assert a.read() == b.read()


def test_another_version_than_the_changelog_is_refused(tmp_path, need_program):
    need_program("dpkg-parsechangelog")
    done = subprocess.run(["packaging/build-deb.sh", BUILD, "9.9.9", str(tmp_path)], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "9.9.9" in done.stderr and os.listdir(tmp_path) == []


def test_lintian_has_nothing_to_say(package, need_program):
    need_program("lintian")
    done = subprocess.run(["lintian", "--allow-root", "--pedantic", "--display-info", package], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_scripts_are_posix(need_program):
    need_program("dash")
    for name in ("build-deb.sh", "postinst", "prerm", "postrm"):
        assert subprocess.run(["dash", "-n", f"packaging/{name}"], cwd=TOP, check=False).returncode == 0, name


@pytest.mark.slow
def test_make_deb_from_another_directory(tmp_path, need_program):
    """The real thing, twice: where the sources lie is not in the package."""
    need_program("dpkg-shlibdeps")
    made = []
    for name in ("one", "another/directory"):
        top = tmp_path / name
        shutil.copytree(TOP, top, symlinks=True, ignore=lambda at, names: [n for n in names if at == TOP and n.startswith(("build", ".git"))])
        env = {k: v for k, v in os.environ.items() if k != "MAKEFLAGS"}
        subprocess.run(["make", "-s", "O=build", "deb"], cwd=top, env=env, check=True, stdout=subprocess.DEVNULL)
        made.append((top / f"build/pinfold_{VERSION}_amd64.deb").read_bytes())
        shutil.rmtree(top)
    assert made[0] == made[1]


# --- installed -------------------------------------------------------------------------------------

# The host's own system with a layer in memory over it, in a mount namespace: what is installed there goes with it.
STAGE = r"""
set -e
mount --make-rprivate /
mount -t tmpfs none "$T"
mkdir "$T/upper" "$T/work" "$T/root"
mount -t overlay -o "lowerdir=/,upperdir=$T/upper,workdir=$T/work" overlay "$T/root"
cp "$DEB" "$T/root/pinfold.deb"
for d in proc sys dev; do mount --rbind "/$d" "$T/root/$d"; done
mount -t tmpfs none "$T/root/run"
# neither what is installed here nor what was made elsewhere is looked at
[ -z "$ABI" ] && rm -f "$T/root/etc/apparmor.d/abi/4.0" || { mkdir -p "$T/root/etc/apparmor.d/abi"; : > "$T/root/etc/apparmor.d/abi/4.0"; }
rm -rf "$T/root/etc/apparmor.d/pinfold" "$T/root/var/lib/pinfold"
[ -z "$FOREIGN" ] || printf '# mine\n' > "$T/root/etc/apparmor.d/pinfold"
# not chroot: the kernel makes no user namespace there
cd "$T/root"
mkdir -p mnt/old
pivot_root . mnt/old
cd /
umount -l /mnt/old
exec sh -c "$SCRIPT"
"""


@pytest.fixture
def system(pinfold, package, need_program, _place):
    """system(script): what it prints, in a system where the package can be installed as /pinfold.deb."""
    need_program("unshare")
    if os.geteuid() != 0:
        pytest.skip("only root can install")
    top = os.path.join(_place, "system")
    os.makedirs(top, exist_ok=True)
    probe = "mount -t tmpfs none \"$T\" && mkdir \"$T/u\" \"$T/w\" && mount -t overlay -o lowerdir=/,upperdir=$T/u,workdir=$T/w o /mnt"
    if subprocess.run(["unshare", "-m", "sh", "-c", probe], env={**os.environ, "T": top}, capture_output=True, check=False).returncode:
        pytest.skip("no overlay can be mounted over this root")

    def run(script, abi="1", foreign=""):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive",
               "T": top, "DEB": package, "SCRIPT": "set -e\n" + script, "ABI": abi, "FOREIGN": foreign}
        mark = next(kv for kv in pinfold.environment().items() if kv[0] == "PF_TEST_SESSION")
        done = subprocess.run(["unshare", "-m", "sh", "-c", STAGE], env=dict(env, **dict([mark])), cwd="/", stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_install_and_remove(system):
    out = system(f"""
        dpkg -r --force-all pinfold >/dev/null 2>&1 || true
        dpkg -i --force-depends /pinfold.deb >/dev/null
        cd /tmp; pinfold version; command -v pinfold
        pinfold run echo it runs
        man -w pinfold pinfold-image; man -w 5 pinfold-policy
        bash -c '. /usr/share/bash-completion/completions/pinfold; complete -p pinfold'
        echo PROFILE; cat /etc/apparmor.d/pinfold; echo END
        mkdir tree; echo x > tree/x; pinfold image import --name kept tree >/dev/null; rm -r tree
        cd /
        dpkg -r pinfold >/dev/null; echo REMOVED; find /usr /etc /var /run /opt /srv -xdev -name '*pinfold*' ! -path '/var/lib/dpkg/*' ! -path '/usr/local/*'
        dpkg -P pinfold >/dev/null; echo PURGED; ls /var/lib/pinfold/images/names; ls -d /run/pinfold 2>&1 | grep -c 'No such' || true
    """)
    lines = out.splitlines()
    assert lines[:3] == [f"pinfold {VERSION}", "/usr/bin/pinfold", "it runs"]
    assert "/usr/share/man/man1/pinfold.1.gz" in out and "/usr/share/man/man5/pinfold-policy.5.gz" in out
    assert "complete -F _pinfold pinfold" in out
    assert out.split("PROFILE\n")[1].split("END\n")[0] == package_profile()
    left = out.split("REMOVED\n")[1].split("PURGED\n")[0].split()
    assert left == ["/var/lib/pinfold"], left
    assert out.split("PURGED\n")[1].split() == ["kept", "1"]


def test_no_profile_where_the_parser_would_choke_on_it(system):
    out = system("dpkg -i --force-depends /pinfold.deb >/dev/null; ls /etc/apparmor.d/pinfold 2>/dev/null || echo none", abi="")
    assert out == "none\n"


def test_a_profile_of_somebody_else_stays(system):
    out = system("dpkg -i --force-depends /pinfold.deb 2>&1 | grep 'left as it is'; dpkg -r pinfold >/dev/null; cat /etc/apparmor.d/pinfold", foreign="1")
    assert "is not this package's" in out and out.endswith("# mine\n")
