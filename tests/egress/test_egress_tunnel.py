# SPDX-License-Identifier: Apache-2.0
"""CONNECT and SOCKS5: which TLS passes, what else does, and how a tunnel ends."""
import os
import socket
import ssl
import threading

import pytest

from world import (ALERT, EXAMPLE, EXAMPLE6, OTHER, PRIVATE, Answer, client_hello, echo, extension, get, hello, ok,
                   read_all, read_exactly, record, says, socks, tunnel)

ECH, ESNI, EARLY_DATA = 0xfe0d, 0xffce, 42
LARGE = client_hello(extensions=extension(21, b"\0" * 17000))


def hangs_up(sock):
    """What came before the end of the connection."""
    return read_all(sock)


# --- TLS ------------------------------------------------------------------------------------


def test_a_real_handshake_passes(start, serve, names, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def handler(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            tls.sendall(b"secret " + tls.recv(100))

    serve(handler, EXAMPLE, 443)
    keeper = start(["example.org:443"])
    answer, sock = tunnel(keeper, "example.org:443")
    assert (answer.status, answer.reason, answer.headers) == (200, "Connection established", {})
    client = ssl.create_default_context(cafile=certificate[0])
    with client.wrap_socket(sock, server_hostname="example.org") as tls:
        tls.sendall(b"hello")
        assert tls.recv(100) == b"secret hello"
    opened, closed = keeper.report("opened"), keeper.report("closed")
    assert opened.protocol == "connect" and opened.target == "example.org:443"
    assert closed.sent > 200 and closed.received > 200


@pytest.mark.parametrize("first, passes", {
    "the same name": (hello("example.org"), True),
    "in capitals": (record(client_hello(b"EXAMPLE.ORG")), True),
    "another name": (hello("other.test"), False),
    "a name below": (hello("www.example.org"), False),
    "a longer name": (hello("example.org.other.test"), False),
    "no name": (hello(None), False),
    "with a dot": (record(client_hello(b"example.org.")), False),
    "an empty name": (record(client_hello(b"")), False),
    "a NUL in it": (record(client_hello(b"example.org\0.other.test")), False),
    "two names": (record(client_hello(extensions=extension(0, b"\0\x0d\0\0\x0aother.test"))), False),
    "two names in one": (record(client_hello(sni=False, extensions=extension(
        0, b"\0\x1b\0\0\x0bexample.org\0\0\x0aother.test"))), False),
    "another type of name": (record(client_hello(sni=False, extensions=extension(0, b"\0\x0e\1\0\x0bexample.org"))), False),
    "an encrypted hello": (record(client_hello(extensions=extension(ECH, b"\0" * 40))), False),
    "an encrypted name": (record(client_hello(extensions=extension(ESNI, b"\0" * 40))), False),
    "no hello": (record(b"\x10\0\0\1x"), False),
    "an alert": (record(b"\1\0", 21), False),
    "application data": (record(b"hello", 23), False),
    "SSLv2": (b"\x80\x2e\1\3\1\0\x15\0\0\0\x10" + b"x" * 37, False),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", False),
    "SSH": (b"SSH-2.0-x\r\n", False),
    "in single bytes": ([bytes([b]) for b in hello("example.org")], True),
    "in small records": (b"".join(record(client_hello()[i:i + 7]) for i in range(0, len(client_hello()), 7)), True),
    "in an empty record": (record(b"") + record(client_hello()), False),
    "with an alert between": (record(client_hello()[:20]) + record(b"\1\0", 21) + record(client_hello()[20:]), False),
    "with more in its record": (record(client_hello() + b"\1"), False),
    "longer than it says": (record(b"\1" + (len(client_hello()) - 5).to_bytes(3, "big") + client_hello()[4:]), False),
    "cut extensions": (record(client_hello(extensions=b"\0\x10\0\xff")), False),
    "as large as may be": (record(client_hello(extensions=extension(21, b"\0" * 15000))), True),
    "larger": (record(LARGE[:16384]) + record(LARGE[16384:]), False),
    "of a megabyte": (record(b"\1\x0f\xff\xff" + b"x" * 1000), False),
}.items(), ids=lambda v: v if isinstance(v, str) else "")
def test_the_name_in_the_handshake(start_any, serve, names, first, passes):
    """A CONNECT to an allowed name carries TLS for that name and for nobody else."""
    first, passes = passes
    serve(echo, EXAMPLE, 443)
    keeper = start_any(["example.org:443"])
    answer, sock = tunnel(keeper, "example.org:443")
    assert answer.status == 200
    pieces = first if isinstance(first, list) else [first]
    for piece in pieces:
        sock.sendall(piece)
    if passes:
        assert read_exactly(sock, sum(map(len, pieces))) == b"".join(pieces)
        sock.sendall(record(b"more", 23))
        assert read_exactly(sock, 9) == record(b"more", 23)
        return
    said = hangs_up(sock)
    assert said in (b"", ALERT)
    keeper.report("opened")
    closed, denied = keeper.report("closed"), keeper.report("denied")
    assert closed.reason == denied.reason and closed.sent == 0
    assert denied.reason in ("tls_name", "tls_no_name", "tls_hidden", "not_tls", "malformed")
    assert denied.rule in ("network.tls_name", "network.port_443=tls") and denied.hint


def test_what_a_wrong_name_is_told(start, serve, names):
    serve(echo, EXAMPLE, 443)
    keeper = start(["example.org:443"])
    _, sock = tunnel(keeper, "example.org:443")
    sock.sendall(hello("other.test"))
    assert hangs_up(sock) == ALERT    # which TLS libraries call "access denied"
    keeper.report("opened")
    keeper.report("closed")
    denied = keeper.report("denied")
    assert (denied.reason, denied.target) == ("tls_name", "example.org:443")
    assert denied.hint == "the TLS handshake asks for other.test; CONNECT to that, with --allow other.test:443"


@pytest.mark.parametrize("between", [b"", record(b"\1", 20), record(b"\1\x5a", 21), record(b"early " * 100, 23)],
                         ids=["nothing", "change_cipher_spec", "alert", "early data"])
def test_a_second_hello_says_the_same_name(start_any, serve, names, between):
    """After a HelloRetryRequest a second hello follows in plain text, whatever stood between."""
    serve(echo, EXAMPLE, 443)
    keeper = start_any(["example.org:443"])
    first = record(client_hello(extensions=extension(EARLY_DATA, b"")))
    for name, passes in ((b"example.org", True), (b"other.test", False)):
        _, sock = tunnel(keeper, "example.org:443")
        sock.sendall(first)
        assert read_exactly(sock, len(first)) == first
        second = record(client_hello(name))
        sock.sendall(between + second)
        if passes:
            assert read_exactly(sock, len(between + second)) == between + second
            sock.sendall(record(client_hello(b"other.test")))    # a third there cannot be: encrypted by now
            assert read_exactly(sock, 5)
            sock.close()
        else:
            said = hangs_up(sock)    # what was echoed in time, and the alert
            assert said.endswith(ALERT) and (between + ALERT).endswith(said)
    reasons = [keeper.report().reason for _ in range(4)]
    assert reasons.count("tls_name") == 1


def test_what_follows_a_handshake_is_not_looked_at(start, serve, names):
    """TLS 1.2: the client's next handshake record is no hello."""
    serve(echo, EXAMPLE, 443)
    keeper = start(["example.org:443"])
    _, sock = tunnel(keeper, "example.org:443")
    data = record(client_hello()) + record(b"\x10\0\0\1x") + record(b"\1", 20) + record(os.urandom(40)) + b"\1" * 1000
    sock.sendall(data)
    assert read_exactly(sock, len(data)) == data


def test_the_server_says_nothing_before_the_hello(start, serve, names):
    """On port 443 a server that speaks first would be something else."""
    said = threading.Event()

    def handler(conn):
        conn.sendall(b"220 smtp.example.org ESMTP\r\n")
        said.set()
        conn.recv(100)

    serve(handler, EXAMPLE, 443)
    serve(handler, EXAMPLE, 25)
    keeper = start(["example.org:443", "example.org:25"], header_ms=300)
    _, sock = tunnel(keeper, "example.org:443")
    assert said.wait(30)
    assert hangs_up(sock) == b""    # after header_ms
    answer, sock = tunnel(keeper, "example.org:25")    # the control
    assert (answer.rest + sock.recv(4))[:4] == b"220 "


def test_other_ports_carry_other_protocols_but_no_foreign_tls(start, serve, names):
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"])
    for first, passes in ((b"SSH-2.0-client\r\n", True), (b"\x16", True), (b"\x16\x04", True), (hello("example.org"), True),
                          (hello("other.test"), False), (hello(None), False), (b"\x16\x03\x01\0\x05hello", False)):
        _, sock = tunnel(keeper, "example.org:22")
        sock.sendall(first)
        if first == b"\x16":
            sock.sendall(b"x")
            first += b"x"
        if passes:
            assert read_exactly(sock, len(first)) == first
        else:
            assert hangs_up(sock) == ALERT


def test_tls_to_an_address(start, serve, names):
    """No name in the hello, or one that has a rule of its own."""
    serve(echo, EXAMPLE, 443)
    target = f"{EXAMPLE}:443"
    for rules, name, passes in (([target], None, True), ([target], "example.org", False),
                                ([target, "example.org:443"], "example.org", True),
                                ([target, "example.org:444"], "example.org", False)):
        keeper = start(rules)
        _, sock = tunnel(keeper, target)
        first = hello(name)
        sock.sendall(first)
        if passes:
            assert read_exactly(sock, len(first)) == first
        else:
            assert hangs_up(sock) == ALERT


# --- CONNECT --------------------------------------------------------------------------------


def test_http10_and_hosts_as_clients_write_them(start, serve, names):
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"])
    for lines in ("HTTP/1.0\r\n", "HTTP/1.1\r\n", "HTTP/1.1\r\nHost: example.org:22\r\n", "HTTP/1.1\r\nHost: example.org\r\n",
                  "HTTP/1.1\r\nHost: EXAMPLE.org.:22\r\nUser-Agent: x\r\nProxy-Connection: Keep-Alive\r\n"):
        sock = keeper.connect()
        sock.sendall(f"CONNECT example.org:22 {lines}\r\nearly".encode())    # and does not wait
        assert read_all_until(sock, b"early").startswith(b"HTTP/1.1 200 ")


def read_all_until(sock, end):
    data = b""
    while not data.endswith(end):
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    return data


def test_half_closed_tunnels(start, serve, names):
    """Either side may end first; what the other still sends arrives."""

    def handler(conn):
        got = read_all(conn)    # up to the client's end
        conn.sendall(b"got " + got)

    serve(handler, EXAMPLE, 22)

    def first(conn):
        conn.sendall(b"bye")
        conn.shutdown(socket.SHUT_WR)
        assert read_all(conn) == b"after all"

    serve(first, EXAMPLE, 23)
    keeper = start(["example.org:22-23"])
    _, sock = tunnel(keeper, "example.org:22")
    sock.sendall(b"x" * 100000)
    sock.shutdown(socket.SHUT_WR)
    assert read_all(sock) == b"got " + b"x" * 100000
    answer, sock = tunnel(keeper, "example.org:23")
    assert answer.rest + read_all(sock) == b"bye"
    sock.sendall(b"after all")
    sock.shutdown(socket.SHUT_WR)
    reports = [keeper.report() for _ in range(4)]
    assert [r.kind for r in reports] == ["opened", "closed"] * 2
    assert [(r.reason, r.sent, r.received) for r in reports[1::2]] == [("none", 100000, 100004), ("none", 9, 3)]


def test_a_peer_that_breaks_off(start, serve, names):
    def handler(conn):
        conn.recv(10)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")    # close() sends a reset

    serve(handler, EXAMPLE, 22)
    keeper = start(["example.org:22"])
    _, sock = tunnel(keeper, "example.org:22")
    sock.sendall(b"x" * 10)
    assert read_all(sock) == b""
    keeper.report("opened")
    assert keeper.report("closed").reason == "cut"


def test_a_client_that_goes_away(start, serve, names):
    ended = threading.Event()

    def handler(conn):
        read_all(conn)
        ended.set()

    serve(handler, EXAMPLE, 22)
    keeper = start(["example.org:22"])
    _, sock = tunnel(keeper, "example.org:22")
    sock.sendall(b"x")
    sock.close()
    assert ended.wait(30)
    keeper.report("opened")
    assert keeper.report("closed").sent == 1


# --- port 80 --------------------------------------------------------------------------------


def through_connect(keeper, host):
    answer, sock = tunnel(keeper, f"{host}:80")
    assert answer.status == 200
    return sock


def through_socks(keeper, host):
    code, sock = socks(keeper, host, 80)
    assert code == 0
    return sock


@pytest.mark.parametrize("through", [through_connect, through_socks])
def test_http_in_a_tunnel_is_judged_as_without(start_any, serve, names, through):
    """Another Host in it would be another site of the same front server."""
    seen = []
    serve(says(ok(b"hello"), seen))
    keeper = start_any(["example.org:80", "private.test:80"])
    sock = through(keeper, "example.org")
    for path in ("/one", "/two"):
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: example.org\r\nConnection: keep-alive\r\n\r\n".encode())
        assert Answer(sock).body == b"hello"
        assert keeper.report("opened").protocol == "http" and keeper.report("closed").target == "example.org:80"
    assert [head.split("\r\n")[0] for head, _ in seen] == ["GET /one HTTP/1.1", "GET /two HTTP/1.1"]
    sock.sendall(b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
    answer = Answer(sock)
    assert answer.status == 400 and answer.reason.endswith("; Host is another than the target's")
    denied = keeper.report("denied")
    assert (denied.target, denied.request, denied.reason) == ("example.org:80", 3, "malformed")
    for first in (b"SSH-2.0-x\r\n\r\n", b"GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n", hello("example.org"),
                  b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test\r\n\r\n", b"\5\1\0", b"x\r\n\r\n"):
        sock = through(keeper, "example.org")
        sock.sendall(first)
        assert Answer(sock).status == 400, first
    sock = through(keeper, "private.test")
    sock.sendall(b"GET / HTTP/1.1\r\nHost: private.test\r\n\r\n")
    answer = Answer(sock)
    assert answer.status == 403 and "(network.private=deny)" in answer.reason
    assert len(seen) == 2


def test_http_in_a_tunnel_does_not_wait_for_its_answer(start, serve, names):
    serve(says(ok(b"hello")))
    keeper = start(["example.org:80"])
    sock = keeper.connect()
    sock.sendall(b"CONNECT example.org:80 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")
    data = read_all(sock)
    assert data.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK\r\n") and data.endswith(b"hello")
    assert tunnel(keeper, "other.test:80")[0].status == 403    # a tunnel without a rule is none


# --- SOCKS5 ---------------------------------------------------------------------------------


def test_socks(start, serve, names):
    serve(echo, EXAMPLE, 22)
    serve(echo, EXAMPLE, 443)
    keeper = start(["example.org:22", "example.org:443", f"{EXAMPLE}:22", "private.test:22"])
    for host in ("example.org", "EXAMPLE.ORG.", EXAMPLE):
        code, sock = socks(keeper, host, 22)
        assert code == 0
        sock.sendall(b"hello")
        assert read_exactly(sock, 5) == b"hello"
        assert keeper.report("opened").protocol == "socks"
    # judged as everything else is
    for host, port, code, reason in (("example.org", 23, 2, "no_rule"), ("other.test", 22, 2, "no_rule"),
                                     (OTHER, 22, 2, "no_rule"), ("private.test", 22, 2, "special"),
                                     (PRIVATE, 22, 2, "no_rule"), ("169.254.169.254", 22, 2, "never"),
                                     ("::ffff:10.9.0.7", 22, 2, "no_rule"), ("0x7f.1", 22, 1, "malformed"),
                                     ("exa mple", 22, 1, "malformed"), ("example.org", 0, 1, "malformed")):
        got, sock = socks(keeper, host, port)
        assert got == code, host
        assert read_all(sock) == b""
        assert keeper.report("denied").reason == reason
    _, sock = socks(keeper, "example.org", 443)
    sock.sendall(hello("other.test"))
    assert hangs_up(sock) == ALERT


def test_socks_to_what_is_not_there(start, names):
    keeper = start(["gone.test:22", "example.org:22", f"[{EXAMPLE6}]:22"])
    assert socks(keeper, "gone.test", 22)[0] == 4    # host unreachable
    assert socks(keeper, "example.org", 22)[0] == 5    # connection refused
    if start.internet["ipv6"]:
        assert socks(keeper, EXAMPLE6, 22)[0] == 5


@pytest.mark.parametrize("data, answer", [
    (b"\5\1\2", b"\5\xff"),                               # a password alone
    (b"\5\0", b"\5\xff"),                                 # no method at all
    (b"\5\1\0\5\2\0\1\1\2\3\4\0\x16", b"\5\0\5\7\0\1" + b"\0" * 6),    # BIND
    (b"\5\1\0\5\3\0\1\1\2\3\4\0\x16", b"\5\0\5\7\0\1" + b"\0" * 6),    # UDP
    (b"\5\1\0\5\1\0\2\1\2\3\4\0\x16", b"\5\0\5\x08\0\1" + b"\0" * 6),  # an address of type 2
    (b"\5\1\0\5\1\1\1\1\2\3\4\0\x16", b"\5\0\5\x08\0\1" + b"\0" * 6),  # a reserved byte
    (b"\5\1\0\4\1\0\1\1\2\3\4\0\x16", b"\5\0\5\1\0\1" + b"\0" * 6),    # another version
    (b"\5\1\0\5\1\0\3\0\0\x16", b"\5\0\5\1\0\1" + b"\0" * 6),          # an empty name
])
def test_socks_that_is_not_spoken(start_any, names, data, answer):
    keeper = start_any(["example.org:22"])
    sock = keeper.connect()
    sock.sendall(data)
    assert read_all(sock) == answer
    assert keeper.report("denied").rule == "network.protocol"


def test_socks_in_single_bytes(start_any, serve, names):
    serve(echo, EXAMPLE, 22)
    keeper = start_any(["example.org:22"])
    sock = keeper.connect()
    for byte in b"\5\2\2\0\5\1\0\3\x0bexample.org\0\x16hello":
        sock.sendall(bytes([byte]))
    assert read_exactly(sock, 17) == b"\5\0\5\0\0\1" + b"\0" * 6 + b"hello"


def test_requests_through_both_doors_at_once(start, serve, names):
    """What one connection speaks says nothing of the next."""
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"])
    code, first = socks(keeper, "example.org", 22)
    answer, second = tunnel(keeper, "example.org:22")
    assert (code, answer.status, get(keeper, "http://example.org/").status) == (0, 200, 403)
    for sock in (first, second):
        sock.sendall(b"hello")
        assert read_exactly(sock, 5) == b"hello"
