# SPDX-License-Identifier: Apache-2.0
"""Ways around a command guard that the field knows: the guard lets each pass, and the boundary is what holds.

Each line runs under policies/development.json. If the guard should come to refuse one, its test fails, and the way belongs
into commands.tsv instead.
"""
import os
import shutil
import socket

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
DEVELOPMENT = os.path.join(HERE, "../../policies/development.json")
SECRET = "k3y-0f-the-host-1f0c"


@pytest.fixture(name="attack")
def _attack(pinfold, workspace):
    """attack(files, line): the result, with .where, the workspace, and .before, what was in it. It was allowed, and nothing in the directory changed."""
    def run(files, line, *options):
        where = workspace(pinfold, files)
        before = listing(where)
        r = pinfold.result("--policy", DEVELOPMENT, "--timeout", "20s", *options, "--workspace", where, "--shell", line)
        assert r.guard["command"]["verdict"] == "allow", r.guard
        assert r.cause == "exited", r
        assert listing(where) == before
        r.where, r.before = where, before
        return r
    return run


def listing(top):
    return sorted((os.path.relpath(os.path.join(d, n), top), os.lstat(os.path.join(d, n)).st_mtime_ns) for d, ds, fs in os.walk(top) for n in ds + fs)


def changed(pinfold, r):
    return pinfold("diff", r.changes["id"], "--list").out if r.changes and r.changes["id"] else ""


@pytest.fixture(name="outside")
def _outside(tmp_path):
    """A file of the host that anybody may read, outside of every sandbox."""
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents:
        if str(parent).startswith("/tmp/"):
            os.chmod(parent, 0o755)
    (tmp_path / "secret.txt").write_text(SECRET)
    return tmp_path / "secret.txt"


def test_a_test_suite_that_is_hostile(attack, outside):
    """pytest is allowed, the repository is not to be trusted: conftest.py reads and writes what it can reach."""
    code = f"""
import os
for path in ({str(outside)!r}, "/root/.ssh/id_rsa", os.path.expanduser("~/.aws/credentials")):
    try:
        print("read", open(path).read())
    except OSError as e:
        print("no", path)
try:
    open({str(outside.parent / "pwn")!r}, "w")
    print("written")
except OSError:
    print("not written")
"""
    r = attack({"conftest.py": code}, "python3 conftest.py")
    assert SECRET not in r.stdout and r.stdout.count("no ") == 3 and "not written" in r.stdout
    assert not (outside.parent / "pwn").exists()


def test_a_makefile(attack, outside):
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    recipe = f"all:\n\t-cat {outside}\n\t-touch {outside.parent}/pwn /etc/pwn /usr/bin/pwn\n\techo went on\n"
    r = attack({"Makefile": recipe}, "make")
    assert "went on" in r.stdout and SECRET not in r.stdout
    assert not (outside.parent / "pwn").exists() and not os.path.exists("/etc/pwn") and not os.path.exists("/usr/bin/pwn")


def test_a_setting_of_the_repository(attack, pinfold):
    """git runs what .git/config names; a filter of command lines sees `git status`."""
    config = "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = \"touch pwn.txt; false\"\n"
    r = attack({".git/config": config, ".git/HEAD": "ref: refs/heads/main\n", ".git/objects/x": None, ".git/refs/heads": None, "a.txt": "a"},
               "git status")
    assert "pwn.txt" in changed(pinfold, r), "the attack does not work here"


def test_what_is_written_to_be_obeyed_later(attack, pinfold):
    """Settings of editors and agents, and hooks of git: written by a program, kept from the user's directory by apply."""
    program = "import os\nos.makedirs('.vscode', exist_ok=True)\nopen('.vscode/tasks.json', 'w').write('{}')\n" \
              "os.makedirs('.git/hooks', exist_ok=True)\nopen('.git/hooks/pre-commit', 'w').write('x')\nopen('ok.txt', 'w').write('x')\n"
    r = attack({"gen.py": program}, "python3 gen.py")
    done = pinfold("apply", r.changes["id"])
    assert done.code == 1 and "protected .git/hooks/pre-commit" in done.out and "protected .vscode/tasks.json" in done.out
    assert listing(r.where) == r.before


def test_a_link_that_appears_after_the_look(attack, outside):
    """The guard looked at the path before the line began; a program of the line turns it into a way out."""
    program = f"import os\nos.remove('data.txt')\nos.symlink({str(outside)!r}, 'data.txt')\nprint(os.path.exists('data.txt'))\n"
    r = attack({"swap.py": program, "data.txt": "fine\n"}, "python3 swap.py; cat data.txt")
    assert r.stdout == "False\n" and SECRET not in r.stderr


def test_a_secret_beside_the_code(attack):
    """A program opens what a line may not name."""
    r = attack({".env": f"KEY={SECRET}\n", "show.py": "import os\nprint(os.path.exists('.env') and open('.env').read())\n"}, "python3 show.py")
    assert SECRET not in r.stdout + r.stderr


def test_a_way_out_by_network(attack):
    """Whatever reaches out: there is no network, not even the host's own loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = "import socket\nfor at in (('127.0.0.1', %d), ('192.0.2.1', 80)):\n" \
                  "    try:\n        socket.create_connection(at, 2)\n        print('through')\n    except OSError as e:\n        print('stopped')\n" % port
        r = attack({"send.py": program}, "python3 send.py")
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert r.stdout == "stopped\nstopped\n"


def test_a_copy_of_a_refused_program(attack, outside):
    """A guard that knows names does not know copies; nor does the boundary care what a program is called."""
    program = f"import shutil, subprocess\nshutil.copy('/bin/cat', 'harmless')\nsubprocess.run(['./harmless', {str(outside)!r}])\n" \
              f"subprocess.run(['/lib64/ld-linux-x86-64.so.2', './harmless', {str(outside)!r}])\nprint('went on')\n"
    r = attack({"copy.py": program}, "python3 copy.py")
    assert "went on" in r.stdout and SECRET not in r.stdout


def test_processes_that_stay(attack):
    """What a line leaves in the background ends with its sandbox; leaves_nothing() of the tests looks for it."""
    program = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    os.close(1)\n    os.close(2)\n    time.sleep(600)\nprint('left')\n"
    assert attack({"stay.py": program}, "python3 stay.py").stdout == "left\n"


def test_too_many_processes(pinfold, workspace):
    program = "import os, time\nn = 0\ntry:\n    while n < 5000:\n        if os.fork() == 0:\n            time.sleep(600)\n        n += 1\n" \
              "except OSError:\n    pass\nprint(n)\nraise SystemExit(1)\n"
    r = pinfold.result("--policy", DEVELOPMENT, "--timeout", "30s", "--processes", "64", "--workspace", workspace(pinfold, {"f.py": program}),
                       "--shell", "python3 f.py")
    assert r.guard["command"]["verdict"] == "allow" and int(r.stdout) < 64
