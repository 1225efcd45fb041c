# SPDX-License-Identifier: Apache-2.0
"""What a command finds when nothing was said (DESIGN section 7), and what the options change."""
import os
import stat

import pytest


def lines(r):
    assert r.exit_code == 0, r
    return r.stdout.splitlines()


# Always, also without network: tests/egress has what is behind them.
PROXY = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


def test_environment(anyone):
    r = anyone.result("--", "env", env={"SECRET": "x", "LD_PRELOAD": "", "TERM": "xterm", "PYTHONPATH": "/x"})
    got = dict(line.split("=", 1) for line in lines(r))
    assert set(got) == {"PATH", "HOME", "USER", "LANG"} | PROXY
    assert (got["HOME"], got["USER"], got["LANG"]) == ("/home/user", "user", "C.UTF-8")
    assert "/usr/bin" in got["PATH"].split(":") and "" not in got["PATH"].split(":")


def test_environment_with_a_terminal(anyone):
    p = anyone.run("-t", "--", "env", env={"TERM": "vt220", "SECRET": "x"})
    got = dict(line.split("=", 1) for line in p.out.split())
    assert set(got) == {"PATH", "HOME", "USER", "LANG", "TERM"} | PROXY and got["TERM"] == "vt220"


def test_env_option(anyone, sh):
    r = sh(anyone, "echo \"$A|$B|$C|$USER|${NOT-unset}\"", "--env", "A=1", "-e", "B=two words\n", "--env", "C", "--env", "USER=me", env={"C": "taken", "NOT": "passed"})
    assert r.stdout == "1|two words\n|taken|me|unset\n"
    r = anyone.result("--env", "NOT_THERE", "--", "true")
    assert r.code == 125 and "NOT_THERE" in r.error or r.code == 0


def test_identity(anyone, sh):
    r = sh(anyone, "id -u; id -g; id -un; id -gn; cat /proc/self/status | grep ^Groups; echo ~; umask; pwd; hostname")
    got = lines(r)
    assert got[:4] == ["1000", "1000", "user", "user"]
    assert got[5:] == ["/home/user", "0022", "/home/user", "pinfold"]


def test_user_root(anyone, sh):
    r = sh(anyone, "id -u; id -un; echo $HOME; pwd; grep -E '^Cap(Eff|Prm|Bnd)' /proc/self/status; touch /root/x && echo yes",
           "--user", "root")
    got = lines(r)
    assert got[:4] == ["0", "root", "/root", "/root"] and got[-1] == "yes"
    assert all(int(line.split()[1], 16) == 0 for line in got[4:7])
    assert r["receipt"]["outside"]["uid"] != 0 and r["receipt"]["inside"]["uid"] == 0


def test_directory(anyone, sh, workspace):
    ws = workspace(anyone, {"sub/x": ""})
    assert sh(anyone, "pwd", "--workspace", ws).stdout == ws + "\n"
    assert sh(anyone, "pwd", "--workspace", ws, "--cwd", ws + "/sub").stdout == ws + "/sub\n"
    assert sh(anyone, "pwd", "-w", "/tmp").stdout == "/tmp\n"


def test_new_files_have_the_usual_mode(anyone, sh):
    r = sh(anyone, "cd; touch f; mkdir d; stat -c '%a %u %g' f d")
    assert lines(r) == ["644 1000 1000", "755 1000 1000"]


# --- root file system -----------------------------------------------------------------------------


def test_the_root_is_read_only(anyone, sh):
    r = sh(anyone, "for d in / /usr /usr/bin /etc /sys /proc/sys/kernel /var /dev /home; do"
                   " (: > $d/.pf-test) 2>/dev/null && echo WROTE $d; done; true")
    assert r.stdout == ""


def test_what_can_be_written(anyone, sh):
    r = sh(anyone, "for d in /tmp /var/tmp /run /dev/shm ~; do mkdir $d/d && echo x > $d/d/f && cat $d/d/f; done; stat -c %a /tmp")
    assert lines(r) == ["x"] * 5 + ["1777"]


def test_temporary_directories_are_memory_and_empty(anyone, sh):
    r = sh(anyone, "for d in /tmp /var/tmp /run ~; do ls -A $d; stat -f -c %T $d; done")
    assert lines(r) == ["tmpfs"] * 4


def test_programs_may_run_from_tmp_but_not_as_another(anyone, sh):
    r = sh(anyone, "cp /usr/bin/id /tmp/id; chmod 6755 /tmp/id; /tmp/id -u; mknod /tmp/null c 1 3 2>/dev/null && echo MADE; true")
    assert lines(r) == ["1000"]


def test_nothing_of_the_host_is_there(anyone, sh, workspace):
    ws = workspace(anyone, {"mine": "x"})
    r = sh(anyone, f"ls /root /home {os.path.dirname(ws)} {anyone.state} 2>/dev/null; ls -A /boot /mnt /srv /var/log /var/lib /lost+found"
                   " 2>/dev/null | grep -v -e : -e ^$; true")
    assert lines(r) in (["user"], ["/home:", "user"])
    p = sh(anyone, "cat /etc/shadow; ls /etc/ssh; true")
    assert p.stdout.strip() == ""
    if os.path.exists("/etc/machine-id"):
        with open("/etc/machine-id", encoding="ascii") as f:
            host = f.read()
        assert host.strip() == "" or sh(anyone, "cat /etc/machine-id").stdout != host


def test_own_account_files(anyone, sh):
    r = sh(anyone, "grep -c . /etc/passwd; grep ^user: /etc/passwd; cat /etc/hostname; cat /etc/resolv.conf; getent hosts localhost")
    got = lines(r)
    assert int(got[0]) < 8 and got[1].startswith("user:x:1000:1000:") and got[2] == "pinfold"


# --- network and processes -------------------------------------------------------------------------


def test_no_network(anyone, sh):
    code = """
import socket, os
print(sorted(name for _, name in socket.if_nameindex()))
for where in (('192.0.2.1', 80), ('1.1.1.1', 53), ('169.254.169.254', 80), ('10.0.0.1', 22)):
    s = socket.socket()
    s.settimeout(5)
    print(s.connect_ex(where) not in (0,))
s = socket.socket(socket.AF_INET6)
print(s.connect_ex(('2001:db8::1', 80)) != 0)
try:
    socket.getaddrinfo('example.com', 80)
    print('resolved')
except OSError:
    print('no name')
a = socket.create_server(('127.0.0.1', 0))
b = socket.create_connection(a.getsockname(), 5)
c, _ = a.accept()
b.sendall(b'loop'); print(c.recv(4).decode())
"""
    r = anyone.result("--", "python3", "-c", code)
    assert lines(r) == ["['lo']", *["True"] * 5, "no name", "loop"], r


def test_only_its_own_processes(anyone, sh):
    r = sh(anyone, "ls -d /proc/[0-9]* | wc -l; ps -e -o comm= | sort | uniq -c; kill -0 1 2>&1; cat /proc/1/comm 2>/dev/null; true")
    assert int(lines(r)[0]) < 8 and ("pinfold-init" in r.stdout or r["receipt"]["init_uid"] == "shared")
    assert "python" not in r.stdout and "pytest" not in r.stdout


def test_capabilities_and_filters(anyone, sh):
    r = sh(anyone, "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")
    got = dict(line.split(":\t") for line in lines(r))
    assert all(int(got[f"Cap{k}"], 16) == 0 for k in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
    assert (got["NoNewPrivs"], got["Seccomp"]) == ("1", "2")


def test_limits(anyone, sh, holds):
    r = sh(anyone, "ulimit -n; ulimit -c; ulimit -s")
    assert lines(r)[:2] == ["1024", "1"] or lines(r)[0] == "1024"
    limits = r["receipt"]["outside"]["limits"]
    if holds(anyone, "memory"):
        assert limits["memory_bytes"] == 1 << 30 and limits["processes"] == 256
    policy = anyone("policy", "show").out
    assert '"memory": "1G"' in policy and '"wall_time": "60s"' in policy


def test_open_files(anyone, sh):
    r = sh(anyone, "ulimit -n; python3 -c 'f = [open(\"/dev/null\") for _ in range(100)]'", "--open-files", "64")
    assert r.stdout == "64\n" and r.exit_code == 1 and "Too many open files" in r.stderr


def test_cpus(pinfold, sh, holds):
    if not holds(pinfold, "cpus"):
        pytest.skip("nothing holds cpus here")
    script = "python3 -c 'import time\nend = time.monotonic() + 1.2\nwhile time.monotonic() < end: pass'"
    r = sh(pinfold, script, "--cpus", "0.2")
    assert r.exit_code == 0 and r.usage["cpu_ms"] < 700
    assert r["receipt"]["outside"]["limits"]["cpus"] == 0.2


# --- tools -------------------------------------------------------------------------------------------


def tool_tree(top, name="hello"):
    os.makedirs(os.path.join(top, "bin"))
    os.makedirs(os.path.join(top, "lib"))
    path = os.path.join(top, "bin", name)
    with open(path, "w") as f:
        f.write('#!/bin/sh\ncat "$(dirname "$0")/../lib/text"\n')
    os.chmod(path, 0o755)
    with open(os.path.join(top, "lib/text"), "w") as f:
        f.write("of the tool\n")
    return top


def test_tools(anyone, sh, workspace, own):
    top = tool_tree(os.path.join(workspace(anyone), "my tool"))
    own(anyone, top)
    r = sh(anyone, f"hello; echo $PATH; (: > '{top}/lib/x') 2>/dev/null && echo WROTE; true", "--tools", top)
    got = lines(r)
    assert got[0] == "of the tool" and got[1].startswith(top + "/bin:") and len(got) == 2


def test_tools_below_a_closed_directory(anyone, sh, workspace, own):
    """As ~/.pyenv below a home of mode 0700, which the inside's ids could not even pass through."""
    parent = workspace(anyone)
    top = tool_tree(os.path.join(parent, "closed/deep/tool"))
    own(anyone, parent)
    os.chmod(os.path.join(parent, "closed"), 0o700)
    r = sh(anyone, f"hello; ls -A {parent}/closed {parent} | grep -v -e : -e ^$", "--tools", top)
    assert r.stdout == "of the tool\nclosed\ndeep\n"


def test_tools_twice_and_missing(anyone, sh, workspace, own):
    parent = workspace(anyone)
    a, b = tool_tree(os.path.join(parent, "a"), "one"), tool_tree(os.path.join(parent, "b"), "two")
    own(anyone, parent)
    assert sh(anyone, "one; two", "--tools", a, "--tools", b).stdout == "of the tool\nof the tool\n"
    r = anyone.result("--tools", parent + "/none", "--", "true")
    assert (r.cause, r.code) == ("error", 125) and "none" in r.error


def test_mode_of_the_program_run_is_kept(anyone, workspace, sh):
    """A script of the workspace, by its relative path, with its own interpreter."""
    ws = workspace(anyone, {"run.py": ("#!/usr/bin/env python3\nimport sys\nprint(sys.argv)\n", 0o755)})
    assert anyone.result("--workspace", ws, "--", "./run.py", "a b", "").stdout == "['./run.py', 'a b', '']\n"


def test_arguments_are_bytes(anyone):
    p = anyone.run("--", "printf", "%s", os.fsdecode(b"\xff\xfe\n'\"$x"))
    assert p.out_bytes == b"\xff\xfe\n'\"$x"


def test_many_arguments(anyone):
    words = [f"{i:060d}" for i in range(10000)]
    p = anyone.run("--", "sh", "-c", "echo $#; printf '%s\\n' \"$@\" | tail -n 1", "sh", *words)
    assert p.out.split() == ["10000", words[-1]]
