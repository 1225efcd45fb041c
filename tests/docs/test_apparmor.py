# SPDX-License-Identifier: Apache-2.0
"""doctor --fix apparmor, on a host that is told to have AppArmor: a mount namespace with what pinfold looks at in it.

What no test here can show: that the kernel of an Ubuntu takes the profile and then permits the namespace.
"""
import os
import re
import shutil
import subprocess

import pytest

from test_docs import read

PARSER = "/usr/sbin/apparmor_parser"
PROFILE = "/etc/apparmor.d/pinfold"

# $T: our directory. The tmpfs over /proc/sys/kernel has the one file that matters, and what else was there.
STAGE = r"""
set -e
mount --make-rprivate /
mkdir -p "$T/kernel" "$T/security/apparmor" "$T/apparmor.d"
(cd /proc/sys/kernel; for f in *; do [ -f "$f" ] && cat "$f" > "$T/kernel/$f" 2>/dev/null || :; done)
printf '%s\n' "$RESTRICT" > "$T/kernel/apparmor_restrict_unprivileged_userns"
[ -n "$RESTRICT" ] || rm "$T/kernel/apparmor_restrict_unprivileged_userns"
mount --bind "$T/kernel" /proc/sys/kernel
[ -z "$APPARMOR" ] || mount --bind "$T/security" /sys/kernel/security
mount --bind "$T/apparmor.d" /etc/apparmor.d
printf '#!/bin/sh\necho "$@" >> %s\nexit %s\n' "$T/called" "$ANSWER" > "$T/parser"
chmod 755 "$T/parser"
mount --bind "$T/parser" /usr/sbin/apparmor_parser
shift
"$@"
"""


@pytest.fixture
def ubuntu(pinfold, tmp_path, need_program):
    """ubuntu(program, *words): run where AppArmor seems to restrict user namespaces. Its Done has `profile` and `called`."""
    need_program("unshare")
    if os.geteuid() != 0 or not os.path.exists(PARSER) or not os.path.isdir("/sys/kernel/security"):
        pytest.skip("needs root, the package apparmor and /sys/kernel/security")

    def run(*argv, restrict="1", apparmor="1", answer="0", before=None):
        if before is not None:
            os.makedirs(tmp_path / "apparmor.d", exist_ok=True)
            (tmp_path / "apparmor.d/pinfold").write_text(before)
        env = pinfold.environment({"T": str(tmp_path), "RESTRICT": restrict, "APPARMOR": apparmor, "ANSWER": answer})
        done = subprocess.run(["unshare", "-m", "sh", "-c", STAGE, "sh", "x", *argv], env=env, cwd="/", capture_output=True,
                              text=True, check=False)
        for name, path in (("profile", "apparmor.d/pinfold"), ("called", "called")):
            path = tmp_path / path
            setattr(done, name, path.read_text() if path.exists() else None)
        return done

    return run


@pytest.fixture
def installed(pinfold):
    """The program at a path that only root can change."""
    top = "/usr/local/lib/pinfold-test-apparmor"
    os.makedirs(top)
    program = shutil.copy(pinfold.program, top)
    os.chmod(program, 0o755)
    yield program
    shutil.rmtree(top)


def package_profile():
    return read("packaging/apparmor-profile")


def test_it_writes_and_loads(ubuntu, installed):
    done = ubuntu(installed, "doctor", "--fix", "apparmor")
    assert done.returncode == 0, done.stderr
    assert done.profile == package_profile().replace("/usr/bin/pinfold", installed)
    assert done.called == f"-r -W {PROFILE}\n"
    assert f"writing {PROFILE}:\n{done.profile}" in done.stderr and done.stdout == ""
    assert done.stderr.index("writing") < done.stderr.index("loading it")
    again = ubuntu(installed, "doctor", "--fix", "apparmor")    # nothing to write any more
    assert again.returncode == 0 and "writing" not in again.stderr and again.called == 2 * done.called


def test_it_replaces_its_own(ubuntu, installed):
    old = package_profile().splitlines(keepends=True)[0] + "profile pinfold /old {\n}\n"
    done = ubuntu(installed, "doctor", "--fix", "apparmor", before=old)
    assert done.returncode == 0 and installed in done.profile


def test_it_leaves_what_is_not_its_own(ubuntu, installed):
    done = ubuntu(installed, "doctor", "--fix", "apparmor", before="# mine\n")
    assert done.returncode == 125 and "not pinfold's" in done.stderr and done.profile == "# mine\n" and done.called is None


@pytest.mark.parametrize("how, said", [({"apparmor": ""}, "there is no AppArmor here"), ({"restrict": "0"}, "no profile is needed"),
                                       ({"restrict": ""}, "no profile is needed")])
def test_it_refuses_where_there_is_nothing_to_fix(ubuntu, installed, how, said):
    done = ubuntu(installed, "doctor", "--fix", "apparmor", **how)
    assert done.returncode == 125 and said in done.stderr and done.profile is None and done.called is None


def test_it_says_what_the_parser_did(ubuntu, installed):
    done = ubuntu(installed, "doctor", "--fix", "apparmor", answer="1")
    assert done.returncode == 125 and "apparmor_parser refused it" in done.stderr


@pytest.mark.parametrize("spoil", ["mode", "owner", "directory", "name"])
def test_no_profile_for_what_others_can_replace(ubuntu, installed, spoil):
    """It would give whoever can write there what the restriction denies."""
    if spoil == "name":
        installed = shutil.move(installed, os.path.dirname(installed) + "/pin*fold")
    elif spoil == "owner":
        os.chown(installed, 12345, 12345)
    else:
        os.chmod(installed if spoil == "mode" else os.path.dirname(installed), 0o777)
    done = ubuntu(installed, "doctor", "--fix", "apparmor")
    assert done.returncode == 125 and done.profile is None and done.called is None
    assert ("characters" if spoil == "name" else "can be changed by others") in done.stderr


def test_a_user_is_told_what_to_do(ubuntu, as_user):
    """The restriction itself is not there. What makes the tier unusable here is the stage's own mount over a part of /proc."""
    doctor = [*as_user.prefix, as_user.program, "doctor"]
    text = ubuntu(*doctor).stdout
    assert "NOT usable" in text and "user namespaces are restricted; this program is" in text
    assert "sudo pinfold doctor --fix" in text
    for line in package_profile().replace("/usr/bin/pinfold", as_user.program).splitlines():
        assert f"  {line}\n" in text or not line
    json = ubuntu(*doctor, "--json").stdout
    assert '"restricted": true' in json and '"file": null' in json
    assert "profile pinfold" not in ubuntu(*doctor, restrict="0").stdout
    assert '"restricted": false' in ubuntu(*doctor, "--json", restrict="0").stdout
    assert '"apparmor": null' in ubuntu(*doctor, "--json", restrict="").stdout


def parser_version():
    done = subprocess.run([PARSER, "--version"], capture_output=True, text=True, check=False)
    return tuple(int(n) for n in re.search(r"(\d+)\.(\d+)", done.stdout).groups())


def check_syntax(text, tmp_path):
    path = tmp_path / "profile"
    path.write_text(text)
    return subprocess.run([PARSER, "-Q", "-K", "-S", str(path)], capture_output=True, check=False)


@pytest.fixture
def parser():
    if not os.path.exists(PARSER):
        pytest.skip("apparmor_parser is not installed")


def test_the_profile_is_one(parser, tmp_path):
    if parser_version() < (4, 0):
        pytest.skip("this apparmor_parser is older than `userns,` and abi/4.0")
    done = check_syntax(package_profile(), tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_profile_but_for_what_is_newer_than_the_parser(parser, tmp_path):
    text = package_profile()
    assert text.count("abi <abi/4.0>,") == text.count("  userns,\n") == 1
    done = check_syntax(text.replace("abi/4.0", "abi/3.0").replace("  userns,\n", ""), tmp_path)
    assert done.returncode == 0, done.stderr
    assert check_syntax(text.replace("abi/4.0", "abi/3.0").replace("  userns,\n", "  nonsense\n"), tmp_path).returncode != 0
