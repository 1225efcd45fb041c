"""The hostile part of this example (see README.md): pytest imports this file before it runs anything.

Each attempt really tries, and says in one line what came of it. None prints what it found or sends it anywhere.
"""
import base64
import glob
import os
import re
import signal
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = "hostile-pr-was-here"


def readable(*patterns):
    """How many bytes the files hold that can be read, out of which files."""
    files = size = 0
    for path in [p for pattern in patterns for p in glob.glob(os.path.expanduser(pattern))]:
        try:
            with open(path, "rb") as f:
                size += len(f.read())
            files += 1
        except OSError:
            pass
    return f"READ {size} bytes of {files} files" if files else "nothing there to read"


def read_one(path):
    with open(path, "rb") as f:
        return f"READ {len(f.read())} bytes"


def ssh_keys():
    return readable("~/.ssh/*", "/root/.ssh/*", "/home/*/.ssh/*")


def other_credentials():
    return readable("~/.aws/*", "~/.netrc", "~/.config/gh/*", "~/.docker/config.json", "/root/.aws/*", "/home/*/.aws/*")


def own_environment():
    names = [n for n in os.environ if re.search("KEY|TOKEN|SECRET|PASSW|CREDENTIAL", n, re.I)]
    return f"FOUND {len(names)} secrets" if names else f"no secret among {len(os.environ)} variables"


def other_environments():
    found, seen = 0, 0
    for path in glob.glob("/proc/[0-9]*/environ"):
        if path.split("/")[2] == str(os.getpid()):
            continue
        seen += 1
        try:
            with open(path, "rb") as f:
                found += bool(f.read())
        except OSError:
            pass
    return f"READ those of {found} of {seen} other processes" if found else f"none of {seen} other processes lets me"


def connect(host, port):
    with socket.create_connection((host, port), timeout=2):
        return "CONNECTED"


def docker_socket():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("/var/run/docker.sock")
        return "CONNECTED"


def git_hook():
    path = os.path.join(HERE, ".git/hooks/pre-commit")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"#!/bin/sh\necho {MARK}: this would run at your next commit\n")
    os.chmod(path, 0o755)
    return "WRITTEN"


def git_config():
    with open(os.path.join(HERE, ".git/config"), "a", encoding="utf-8") as f:
        f.write(f'[core]\n\tfsmonitor = "echo {MARK}: this would run at your next git status; false"\n')
    return "WRITTEN"


def write(path):
    with open(path, "w", encoding="utf-8") as f:
        f.write(MARK + "\n")
    return "WRITTEN"


def stay_behind():
    command = ["sh", "-c", f"while sleep 1; do :; done; : {MARK}"]
    null = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)
    return f"STARTED in a session of its own, process {process.pid}"


def fork_without_end(limit=400):
    children = []
    try:
        for _ in range(limit):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
        return f"STARTED {limit} processes, and could go on"
    except OSError as error:
        return f"no more than {len(children)}: {error.strerror}"
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def hidden_payload():
    script = 'cat "$HOME"/.ssh/* "$HOME"/.aws/* /etc/shadow ./.env 2>/dev/null | wc -c'
    line = f"echo {base64.b64encode(script.encode()).decode()} | base64 -d | sh"
    found = int(subprocess.run(line, shell=True, cwd=HERE, capture_output=True, check=True, timeout=10).stdout)
    return f"RAN and got {found} bytes of secrets" if found else "ran and got 0 bytes of secrets"


ATTEMPTS = [
    ("read SSH keys", ssh_keys),
    ("read other credentials", other_credentials),
    ("read /etc/shadow", lambda: read_one("/etc/shadow")),
    ("read the project's .env", lambda: read_one(os.path.join(HERE, ".env"))),
    ("secrets in the environment", own_environment),
    ("other processes' environments", other_environments),
    ("connect to 192.0.2.1:443", lambda: connect("192.0.2.1", 443)),
    ("connect to the metadata address", lambda: connect("169.254.169.254", 80)),
    ("look up a name", lambda: "FOUND " + socket.gethostbyname("example.com")),
    ("connect to the Docker socket", docker_socket),
    ("plant a Git hook", git_hook),
    ("let git status run a command", git_config),
    ("write outside: ../../", lambda: write(os.path.join(HERE, "../..", MARK))),
    ("write outside: /usr/local/bin", lambda: write("/usr/local/bin/" + MARK)),
    ("leave a process behind", stay_behind),
    ("fork without end", fork_without_end),
    ("run what base64 hides", hidden_payload),
]


def try_everything():
    for name, attempt in ATTEMPTS:
        try:
            outcome = attempt()
        except Exception as error:  # pylint: disable=broad-except
            outcome = "refused: " + (getattr(error, "strerror", None) or str(error))
        yield name, outcome


def in_a_sandbox():
    return socket.gethostname() == "pinfold" or os.environ.get("HOSTILE_PR_ANYWHERE") == "1"


OUTCOMES = list(try_everything()) if in_a_sandbox() else []


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("")
    if not OUTCOMES:
        terminalreporter.write_line("conftest.py: this is no sandbox, so nothing was tried (see README.md)")
        return
    terminalreporter.write_line(f"what conftest.py tried while you ran the tests (Python {sys.version.split()[0]}):")
    for name, outcome in OUTCOMES:
        terminalreporter.write_line(f"  {name:<33}{outcome}")
