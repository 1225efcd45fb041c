# SPDX-License-Identifier: Apache-2.0
"""make install: all that an installed pinfold consists of, and it works from there."""
import glob
import os
import stat
import subprocess

import pytest

from test_docs import BUILD, TOP, verbs

PROGRAMS = sorted(os.path.basename(p) for p in glob.glob(os.path.join(BUILD, "libexec/pinfold/*")))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    top = tmp_path_factory.mktemp("installed")
    subprocess.run(["make", "-s", "-o", "all", "install", f"O={BUILD}", f"DESTDIR={top}", "PREFIX=/opt/x"], cwd=TOP, check=True,
                   stdout=subprocess.DEVNULL)
    return os.path.join(top, "opt/x")


def files(top):
    return {os.path.relpath(os.path.join(at, n), top) for at, _, names in os.walk(top) for n in names}


def test_what_is_installed(installed):
    found = files(installed)
    expected = {"bin/pinfold", "include/pinfold.h", "lib/libpinfold.a", "share/bash-completion/completions/pinfold",
                "share/zsh/site-functions/_pinfold"}
    expected |= {"share/pinfold/guard-prompt.bin", "share/doc/pinfold/guard-prompt.LICENSES"}
    expected |= {f"libexec/pinfold/{name}" for name in PROGRAMS}
    expected |= {f"share/man/man{p[-1]}/{os.path.basename(p)}" for p in glob.glob(os.path.join(TOP, "man/*.[1-9]"))}
    expected |= {f"share/pinfold/{os.path.relpath(p, TOP)}" for p in glob.glob(os.path.join(TOP, "policies/*"))}
    expected |= {f"share/doc/pinfold/{os.path.basename(p)}" for p in glob.glob(os.path.join(TOP, "docs/*"))}
    expected |= {f"share/doc/pinfold/{name}" for name in ("README.md", "SECURITY.md", "LICENSE")}
    assert expected - found == set()
    assert {f for f in found - expected if not f.startswith("share/doc/pinfold/examples/")} == set()
    assert {"pinfold-init", "pinfold-image"} <= set(PROGRAMS)
    for name in found:
        mode = stat.S_IMODE(os.stat(os.path.join(installed, name)).st_mode)
        program = name.startswith(("bin/", "libexec/")) or "/examples/" in name and mode & 0o111
        assert mode == (0o755 if program else 0o644), (name, oct(mode))


def test_it_runs_from_there(pinfold, installed):
    env = pinfold.environment()
    for words in (["run", "true"], ["image", "ls"]):
        done = subprocess.run([os.path.join(installed, "bin/pinfold"), *words], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    done = subprocess.run(["bash", "-n", os.path.join(installed, "share/bash-completion/completions/pinfold")], check=False)
    assert done.returncode == 0


def test_the_pages_refer_to_pages_that_exist(installed):
    pages = {os.path.basename(p) for p in glob.glob(os.path.join(installed, "share/man/*/pinfold*"))}
    for page in glob.glob(os.path.join(installed, "share/man/*/pinfold*")):
        with open(page, encoding="utf-8") as f:
            for line in f:
                if line.startswith(".Xr pinfold"):
                    name, section = line.split()[1:3]
                    assert f"{name}.{section}" in pages, (page, line)


def test_every_verb_is_known_to_its_installed_pages(pinfold, installed):
    with open(os.path.join(installed, "share/man/man1/pinfold.1"), encoding="utf-8") as f:
        text = f.read()
    for verb in set(verbs(pinfold)) - {"version", "help"}:
        assert f".Ss {verb}\n" in text
