# SPDX-License-Identifier: Apache-2.0
"""guard.command in a sandbox with many commands: what the sandbox made is found there, and that it runs is said."""
import json
import os
import shutil
import subprocess

import pytest


@pytest.fixture(name="lines")
def _lines(built, workspace):
    """lines(who, files, *lines): the results of lines that run one after the other in one sandbox."""
    def run(who, files, *given):
        program = built("guarded")
        if who.prefix:
            program = shutil.copy(program, os.path.join(os.path.dirname(who.program), "guarded"))
        libexec = os.path.join(os.path.dirname(who.program), "libexec/pinfold")
        argv = [*who.prefix, program, who.state, who.runtime, libexec, os.environ.get("PF_TIER") or "auto", workspace(who, files)]
        p = subprocess.run(argv, env=who.environment(), cwd="/", input="".join(f"{line}\n" for line in given), capture_output=True, text=True,
                           timeout=120, check=False)
        assert p.returncode == 0, p.stdout + p.stderr
        return [json.loads(row) for row in p.stdout.splitlines()]
    return run


def says(r):
    return r["guard"]["command"]


def test_what_it_made_is_there(anyone, lines):
    """The host's directory has none of it; a later line may name it all the same, and no link gets out by it."""
    made = "import os\nos.makedirs('new/deep')\nopen('new/a.txt', 'w').write('fine')\nos.symlink('/etc', 'out')\nos.symlink('new', 'in')\n" \
           "open('a-file', 'w').close()\nos.symlink('/etc', 'b-out')\n"
    rs = lines(anyone, {"make.py": made, "old.txt": "old"},
               "python3 make.py", "cat new/a.txt", "cat in/a.txt", "cd new && cat a.txt", "cat new/*.txt", "cat out/passwd", "cat ou*/passwd",
               "ls out", "cat new/../../x", "cat [ab]-*/passwd", "cat old.txt nope.txt", "rm old.txt", "cat new/deep/../a.txt")
    assert [r["cause"] for r in rs] == ["exited"] * 5 + ["denied"] * 5 + ["exited"] * 3, [says(r)["reason"] for r in rs]
    assert [r["stdout"] for r in rs[1:5]] == ["fine"] * 4 and rs[-1]["stdout"] == "fine"
    assert "symbolic link" in says(rs[5])["reason"]


def test_what_it_wrote_and_runs_is_said(anyone, lines):
    wrote = "import shutil\nopen('new.py', 'w').write('print(1)')\nopen('old.py', 'w').write('print(2)')\n"
    rs = lines(anyone, {"gen.py": wrote, "old.py": "print(0)", "same.py": "print(3)"},
               "python3 gen.py", "python3 new.py", "python3 old.py", "python3 same.py", "cat new.py", "timeout 9 python3 ./new.py; ls")
    assert all(r["cause"] == "exited" for r in rs), [says(r)["reason"] for r in rs]
    assert [says(r)["written"] for r in rs] == [None, "new.py", "old.py", None, None, "./new.py"]
    assert all(says(r)["reason"].endswith("was written by the sandbox") == (says(r)["written"] is not None) for r in rs)
    assert [r["stdout"] for r in rs[1:4]] == ["1\n", "2\n", "3\n"]


def test_questions_have_an_end(anyone, lines):
    """A pattern that means too many names inside is not allowed, and nothing takes long for it."""
    rs = lines(anyone, {"many.py": "for i in range(500):\n    open(f'{i}.txt', 'w').close()\n"}, "python3 many.py", "cat *.txt", "ls | wc -l")
    assert [r["cause"] for r in rs] == ["exited", "denied", "exited"] and rs[2]["stdout"] == "501\n"
