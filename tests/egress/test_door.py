# SPDX-License-Identifier: Apache-2.0
"""The door of a sandbox: pinfold-egress behind a run. The world of world.py is the Internet, and /etc/resolv.conf of the
tests' own mount namespace names its resolver."""
import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

import world
from internet import resolv_conf
from test_egress_clients import CLIENTS, site
from world import EXAMPLE, METADATA, OTHER, PRIVATE

DOOR = "127.0.0.1:3128"

PYTHON = shutil.which("python3", path="/usr/bin:/bin")
needs_python = pytest.mark.skipif(not PYTHON, reason="no python3 in /usr, which is what the host image shows")


@pytest.fixture(scope="module")
def outside(internet, tmp_path_factory):
    """Names for programs of the host: resolv.conf is bound over in a mount namespace of this thread's own."""
    place = tmp_path_factory.mktemp("etc")
    with resolv_conf(place):
        yield internet


@pytest.fixture
def names(outside):    # pylint: disable=unused-argument
    resolver = world.Resolver({"example.org": [EXAMPLE], "other.test": [OTHER], "private.test": [PRIVATE],
                               "rebinding.test": [[EXAMPLE], [METADATA]], "metadata.test": [METADATA]})
    yield resolver
    resolver.close()


def allow(*rules):
    return [word for rule in rules for word in ("--allow", rule)]


def fetch(url):
    return ["curl", "-sS", "--max-time", "30", url]


# --- none ------------------------------------------------------------------------------------


def test_none_says_what_would_allow_it(anyone, outside):    # pylint: disable=unused-argument
    r = anyone.result("--", *fetch("http://example.org/x"))
    assert "not allowed (network.default=deny); allow it with --allow example.org:80" in " ".join(r.stdout.split())
    assert r.denials == [{"kind": "net", "target": "example.org:80", "rule": "network.default=deny",
                          "hint": "allow it with --allow example.org:80", "count": 1}]
    assert r.connections == [] and r.denials_left_out == 0
    network = r.receipt["network"]
    assert network["door"] == DOOR and network["rules"] == 0 and network["error"] is None
    assert {"uid", "seccomp", "no_sockets"} <= set(network["proxy"]["confined"]) and network["proxy"]["uid"] != 0


def test_curl_over_tls_shows_a_number_alone_and_the_run_the_rest(anyone, outside):    # pylint: disable=unused-argument
    p = anyone.run("--", *fetch("https://example.org/"))
    assert p.code == 56 and "403" in p.err
    assert "pinfold: denied net example.org:443 (network.default=deny): allow it with --allow example.org:443\n" in p.err


def test_who_does_not_knock_starts_no_proxy(anyone):
    r = anyone.result("--", "true")
    assert r.receipt["network"] == {"door": DOOR, "error": None, "rules": 0, "proxy": None}


def test_variables(anyone):
    env = dict(line.split("=", 1) for line in anyone.result("--", "env").stdout.splitlines())
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        assert env[name] == env[name.upper()] == "http://" + DOOR
    assert env["no_proxy"] == env["NO_PROXY"] == "localhost,127.0.0.1,::1"
    assert "http_proxy=mine" in anyone.result("-e", "http_proxy=mine", "--", "env").stdout.splitlines()


def test_what_is_refused_often_is_told_once_and_counted(pinfold, outside):    # pylint: disable=unused-argument
    r = pinfold.result("--", "sh", "-c", "for i in 1 2 3 4 5; do curl -s http://example.org/; done")
    assert [(d["target"], d["count"]) for d in r.denials] == [("example.org:80", 5)]


@needs_python
def test_too_many_different_denials_are_counted(pinfold, outside):    # pylint: disable=unused-argument
    r = pinfold.result("--", PYTHON, "-c", """
import socket
for i in range(300):
    s = socket.create_connection(("127.0.0.1", 3128))
    s.sendall(b"CONNECT h%d.test:443 HTTP/1.1\\r\\nHost: h%d.test:443\\r\\n\\r\\n" % (i, i))
    while s.recv(4096): pass
""")
    assert r.cause == "exited" and r.exit_code == 0, r.stderr
    assert len(r.denials) == 256 and r.denials_left_out == 44


@needs_python
def test_what_the_proxy_does_not_tell_is_counted(pinfold, outside):    # pylint: disable=unused-argument
    r = pinfold.result("--", PYTHON, "-c", """
import socket
request = b"GET http://h.test/ HTTP/1.1\\r\\nHost: h.test\\r\\n\\r\\n"
for i in range(4100):
    s = socket.create_connection(("127.0.0.1", 3128))
    s.sendall(request)
    while s.recv(4096): pass
""")
    assert r.cause == "exited" and r.exit_code == 0, r.stderr
    assert [d["count"] for d in r.denials] == [4096] and r.denials_left_out == 4


# --- allowed ----------------------------------------------------------------------------------


def test_allowed_by_name(anyone, names, serve):    # pylint: disable=unused-argument
    seen = []
    serve(world.says(world.ok(b"the page"), seen), EXAMPLE, 80)
    r = anyone.result(*allow("example.org:80"), "--", *fetch("http://example.org/x"))
    assert r.stdout == "the page" and r.denials == []
    assert len(r.connections) == 1
    c = r.connections[0]
    assert (c["target"], c["address"], c["rule"], c["verdict"], c["reason"]) == (
        "example.org:80", f"{EXAMPLE}:80" if ":" in c["address"] else EXAMPLE, "example.org:80", "allowed", None)
    assert c["protocol"] == "http" and c["sent_bytes"] > 0 and c["received_bytes"] > 8 and c["duration_ms"] >= 0
    assert seen[0][0].startswith("GET /x HTTP/1.1")
    assert r.receipt["network"]["rules"] == 1 and "no_sockets" not in r.receipt["network"]["proxy"]["confined"]


def test_allowed_by_address_and_policy(anyone, outside, serve, tmp_path):    # pylint: disable=unused-argument
    serve(world.says(world.ok(b"private")), PRIVATE, 8080)
    policy = json.dumps({"network": {"allow": ["10.9.0.0/24:8080"], "connections": 3, "bytes": "1M", "idle_time": "5s"}})
    p = anyone.run("--json", "--policy", "-", "--", *fetch(f"http://{PRIVATE}:8080/"), stdin=policy.encode())
    r = json.loads(p.out)
    assert r["stdout"] == "private" and r["connections"][0]["rule"] == "10.9.0.0/24:8080"


def test_unreached(pinfold, names):    # pylint: disable=unused-argument
    r = pinfold.result(*allow("example.org:81", "nowhere.test:80"), "--", "sh", "-c",
                       "curl -s http://example.org:81/; curl -s http://nowhere.test/")
    assert [(c["target"], c["verdict"], c["reason"]) for c in r.connections] == [
        ("example.org:81", "unreached", "unreachable"), ("nowhere.test:80", "unreached", "unresolved")]
    assert all(c["error"] for c in r.connections)


def test_unreached_is_told(pinfold, names):    # pylint: disable=unused-argument
    p = pinfold.run(*allow("nowhere.test:443"), "--", *fetch("https://nowhere.test/"))
    assert "pinfold: not reached, though allowed: nowhere.test:443: there is no such name\n" in p.err, p.err


def test_redirect_to_a_refused_host(pinfold, names, serve):    # pylint: disable=unused-argument
    serve(world.says(b"HTTP/1.1 302 Found\r\nLocation: http://other.test/\r\nContent-Length: 0\r\n\r\n"), EXAMPLE, 80)
    r = pinfold.result(*allow("example.org:80"), "--", "curl", "-sSL", "http://example.org/")
    assert [d["target"] for d in r.denials] == ["other.test:80"] and "other.test:80" in r.stdout


def test_events_as_they_happen(pinfold, names, serve):    # pylint: disable=unused-argument
    serve(world.says(world.ok(b"the page")), EXAMPLE, 80)
    p = pinfold.run("--json=stream", *allow("example.org:80"), "--", "sh", "-c",
                    "curl -s http://example.org/; curl -s http://other.test/")
    lines = [json.loads(line) for line in p.out.splitlines()]
    found = {line["type"]: line for line in lines}
    assert found["connection"]["connection"] == found["result"]["result"]["connections"][0]
    assert found["denial"]["denial"]["target"] == "other.test:80"


def test_the_bytes_are_all_there(anyone, outside, serve, tmp_path):    # pylint: disable=unused-argument
    """Both ways, more than any buffer holds, with half-closes: sent, then read to the end."""
    got = []

    def count(conn):
        size = 0
        while data := conn.recv(1 << 16):
            size += len(data)
        got.append(size)
        conn.sendall(bytes(size))

    serve(count, EXAMPLE, 8080)
    r = anyone.result(*allow(f"{EXAMPLE}:8080"), "--", PYTHON, "-c", f"""
import socket
s = socket.create_connection(("127.0.0.1", 3128))
s.sendall(b"CONNECT {EXAMPLE}:8080 HTTP/1.1\\r\\nHost: {EXAMPLE}:8080\\r\\n\\r\\n")
head = b""
while not head.endswith(b"\\r\\n\\r\\n"): head += s.recv(1)
for _ in range(100): s.sendall(bytes(100000))
s.shutdown(socket.SHUT_WR)
n = 0
while True:
    d = s.recv(65536)
    if not d: break
    n += len(d)
print(n)
""")
    assert r.stdout == "10000000\n", r.stderr
    assert got == [10000000]
    assert (r.connections[0]["sent_bytes"], r.connections[0]["received_bytes"]) == (10000000, 10000000)


@needs_python
def test_two_hundred_at_once(pinfold, outside, serve):    # pylint: disable=unused-argument
    """All open together, and a slow reader among them holds up nobody. One more is told so."""
    def chat(conn):
        data = conn.recv(100)
        if data == b"much":
            try:
                conn.sendall(bytes(30 << 20))
            except OSError:
                pass
            return
        conn.sendall(data.upper())

    server = serve(chat, EXAMPLE, 8080)
    r = pinfold.result(*allow(f"{EXAMPLE}:8080"), "--", PYTHON, "-c", f"""
import socket
def tunnel():
    s = socket.create_connection(("127.0.0.1", 3128))
    s.sendall(b"CONNECT {EXAMPLE}:8080 HTTP/1.1\\r\\nHost: {EXAMPLE}:8080\\r\\n\\r\\n")
    return s
def head(s):
    h = b""
    while not h.endswith(b"\\r\\n\\r\\n"): h += s.recv(1)
    return h.split(b"\\r\\n")[0].decode()
all = [tunnel() for _ in range(200)]
assert {{head(s) for s in all}} == {{"HTTP/1.1 200 Connection established"}}
all[0].sendall(b"much")
extra = tunnel()
print(head(extra).split(":")[0])
for i, s in enumerate(all[1:]): s.sendall(b"n%d" % i)
print(sum(s.recv(10) == b"N%d" % i for i, s in enumerate(all[1:])))
""")
    assert r.stdout.splitlines() == ["HTTP/1.1 503 pinfold", "199"], (r.stdout, r.stderr)
    assert server.accepted == 200
    assert len(r.connections) == 200 and [d["rule"] for d in r.denials] == ["network.connections=200"]


@needs_python
def test_beyond_all_places(anyone, outside):    # pylint: disable=unused-argument
    """More than init takes: closed at once, counted, and the command's own streams go on."""
    r = anyone.result("--", PYTHON, "-c", """
import socket
all = [socket.create_connection(("127.0.0.1", 3128)) for _ in range(400)]
closed = 0
for s in all[256:]:
    s.settimeout(30)
    try:
        closed += s.recv(1) == b""
    except ConnectionResetError:
        closed += 1
print(closed)
""")
    assert r.stdout == "144\n", (r.stdout, r.stderr)
    assert {d["rule"]: d["count"] for d in r.denials}["network.connections"] == 144


def test_own_servers_on_localhost_need_no_door(anyone):
    r = anyone.result("--", "sh", "-c", f"""
{PYTHON} -c '
import http.server, os, threading, urllib.request
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=s.serve_forever, daemon=True).start()
for host in ("localhost", "127.0.0.1"):
    print(urllib.request.urlopen(f"http://{{host}}:{{s.server_port}}/").status)
' 2>/dev/null""")
    assert r.stdout == "200\n200\n" and r.denials == [] and r.receipt["network"]["proxy"] is None


# --- the proxy's end ----------------------------------------------------------------------------


def proxies():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                if f.read().strip() == "pinfold-egress":
                    found.append(int(pid))
        except OSError:
            pass
    return found


def knocking(who, script, **options):
    """A run whose command has a connection to the door open when it says so."""
    process = who.popen("run", "--json=stream", *allow(f"{EXAMPLE}:8080"), "--", PYTHON, "-u", "-c", f"""
import socket, sys
s = socket.create_connection(("127.0.0.1", 3128))
s.sendall(b"CONNECT {EXAMPLE}:8080 HTTP/1.1\\r\\nHost: {EXAMPLE}:8080\\r\\n\\r\\n")
h = b""
while not h.endswith(b"\\r\\n\\r\\n"): h += s.recv(1)
sys.stdout.write("open\\n")
{script}
""", text=True, **options)
    before = None
    for line in process.stdout:
        if json.loads(line).get("data") == "open\n":
            break
        before = line
    else:
        pytest.fail(f"it ended: {before} {process.stderr.read()}")
    return process


def children_of(pid):
    found = []
    for one in proxies():
        with open(f"/proc/{one}/stat", encoding="ascii") as f:
            if int(f.read().rpartition(")")[2].split()[1]) == pid:
                found.append(one)
    return found


def test_killed_in_the_middle(anyone, outside, serve):    # pylint: disable=unused-argument
    serve(world.echo, EXAMPLE, 8080)
    process = knocking(anyone, """
print(s.recv(1) == b"")
t = socket.create_connection(("127.0.0.1", 3128))
print(t.recv(1) == b"")
""")
    with process:
        proxy, = children_of(process.pid)
        os.kill(proxy, 9)
        out, _ = process.communicate(timeout=60)
    lines = [json.loads(line) for line in out.splitlines()]
    r = lines[-1]["result"]
    assert r["stdout"] == "open\nTrue\nTrue\n" and r["exit_code"] == 0, r
    assert r["denials"] == [{"kind": "net", "target": None, "rule": "network.proxy",
                             "hint": "pinfold-egress ended unexpectedly", "count": 2}]
    assert r["receipt"]["network"]["proxy"]["error"] == "pinfold-egress ended unexpectedly"
    assert [c["sent_bytes"] for c in r["connections"]] == [None]


def test_it_is_the_sandboxs(pinfold, outside, serve):    # pylint: disable=unused-argument
    """Who it is, where it is counted, and that it goes with its keeper however that ends."""
    serve(world.echo, EXAMPLE, 8080)
    process = knocking(pinfold, "s.recv(1)")
    with process:
        proxy, = children_of(process.pid)
        status = open(f"/proc/{proxy}/status", encoding="ascii").read()
        uids = set(re.search(r"^Uid:\s+(.*)$", status, re.M).group(1).split())
        groups = open(f"/proc/{proxy}/cgroup", encoding="ascii").read()
        assert len(uids) == 1 and uids & {"0", str(0x70000000 + 1000)} == set()
        assert re.search(r"CapBnd:\s+0{16}", status) and re.search(r"NoNewPrivs:\s+1", status) and "Seccomp:\t2" in status
        if os.geteuid() == 0:
            assert re.search(r"/pinfold-[a-z0-9]+/(box/execs/|execs/)?0$", groups, re.M), groups
        process.kill()
        process.wait()
    end = time.monotonic() + 10
    while os.path.exists(f"/proc/{proxy}") and time.monotonic() < end:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{proxy}")
    pinfold.sweep()


def test_without_the_program_nothing_gets_out(pinfold, outside, _place):    # pylint: disable=unused-argument
    top = os.path.join(_place, "without-egress")
    os.makedirs(os.path.join(top, "libexec/pinfold"))
    for name in ("pinfold", "libexec/pinfold/pinfold-init"):
        shutil.copy2(os.path.join(os.path.dirname(pinfold.program), name), os.path.join(top, name))
    who = type(pinfold)(os.path.join(top, "pinfold"), pinfold.state, pinfold.runtime)
    r = who.result(*allow("example.org:80"), "--", *fetch("http://example.org/"))
    assert r.exit_code in (52, 56) and [d["rule"] for d in r.denials] == ["network.proxy"], r
    assert "pinfold is not installed whole" in r.denials[0]["hint"]


# --- the six clients -----------------------------------------------------------------------------


@pytest.fixture
def sites(serve, certificate, names):    # pylint: disable=unused-argument
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def secure(conn):
        try:
            with context.wrap_socket(conn, server_side=True) as tls:
                site(tls)
        except ssl.SSLError:
            pass

    serve(site, EXAMPLE, 80)
    serve(secure, EXAMPLE, 443)


@pytest.mark.parametrize("name", CLIENTS)
def test_clients(pinfold, sites, workspace, certificate, name):    # pylint: disable=unused-argument
    """Refused: they show the rule, or the run does. Allowed: the page."""
    program = CLIENTS[name][0][0]
    program = PYTHON if program == sys.executable else program
    path = shutil.which(program, path="/usr/bin:/bin")
    if not path:
        pytest.skip(f"{program} is not in /usr, which is what the host image shows")
    if name == "pip" and subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("pip is not installed there")
    with open(certificate[0], encoding="ascii") as f:
        ws = workspace(pinfold, {"certificates/ca.pem": f.read()})
    for scheme, port in (("https", 443), ("http", 80)):
        url = f"{scheme}://example.org/"
        argv = [PYTHON if a == sys.executable else
                a.format(url=url, ca=f"{ws}/certificates/ca.pem", home="/tmp", trust="example.org" if port == 80 else "nobody.test")
                for a in CLIENTS[name][0]]
        p = pinfold.run("--rm", "--workspace", ws, "--", *argv)
        assert f"denied net example.org:{port} (network.default=deny): allow it with --allow example.org:{port}\n" in p.err
        r = pinfold.result("--rm", "--workspace", ws, *allow("example.org:80", "example.org:443"), "--", *argv)
        shown = r.stdout + r.stderr
        assert CLIENTS[name][1] in shown and "403" not in shown, shown
        assert r.connections and {c["target"] for c in r.connections} == {f"example.org:{port}"}
