#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Functions fit a screen and files have one subject: fail on a function of more than 80 lines or a file of more than 500.

    tools/check-size.py FILE...
"""
import json
import subprocess
import sys

FUNCTION_LINES = 80
FILE_LINES = 500
TEST_LINES = 1000    # a test file is a list of cases, and its subject is one

# Files that may be longer, each with the reason.
EXEMPT = {
    "src/linux/seccomp_table.c": "one line a system call, with its decision and reason",
}


def functions(files):
    """(path, name, first line, last line) of every function, as universal-ctags sees them."""
    command = ["ctags", "--output-format=json", "--fields=+ne", "--kinds-C=f", "--languages=C,C++",
               "--langmap=C:.c.h", "-f", "-", *files]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        tag = json.loads(line)
        if tag.get("_type") == "tag" and "end" in tag:
            yield tag["path"], tag["name"], tag["line"], tag["end"]


def main(files):
    complaints = []
    for path in files:
        with open(path, encoding="utf-8") as f:
            lines = sum(1 for _ in f)
        if lines > (TEST_LINES if path.startswith("tests/") else FILE_LINES) and path not in EXEMPT:
            complaints.append(f"{path}: {lines} lines, more than {FILE_LINES}: give a part a file of its own")
    for path, name, first, last in functions(files):
        lines = last - first + 1
        if lines > FUNCTION_LINES:
            complaints.append(f"{path}:{first}: {name}() has {lines} lines, more than {FUNCTION_LINES}")
    print("\n".join(sorted(complaints)), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if len(sys.argv) > 1 else 0)
