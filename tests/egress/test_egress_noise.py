# SPDX-License-Identifier: Apache-2.0
"""Noise from both sides: what clients and servers say, cut, doubled and damaged. Whatever comes of it, the program lives,
every open connection is reported closed, and nothing is kept."""
import os
import random
import socket
import threading

from world import EXAMPLE, client_hello, extension, get, hello, ok, record

CLIENT = [
    b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nConnection: keep-alive, x\r\n\r\n",
    b"POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT http://example.org/ HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n" + hello("example.org"),
    b"CONNECT example.org:443 HTTP/1.1\r\n\r\n" + record(client_hello(extensions=extension(42, b""))) + record(b"x" * 50, 23)
    + record(client_hello()),
    b"CONNECT example.org:80 HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    b"CONNECT example.org:22 HTTP/1.1\r\nHost: example.org\r\n\r\nSSH-2.0-x\r\n",
    b"\5\1\0\5\1\0\3\x0bexample.org\0\x16SSH-2.0-x\r\n",
    b"\5\2\2\0\5\1\0\1\x5d\xb8\xd8\x22\1\xbb" + hello(None),
]
SERVER = [
    ok(b"hello"),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
    b"SSH-2.0-server\r\n" + b"x" * 1000,
]


def damage(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            del data[at:at + rng.randrange(1, 20)]
        elif kind == 1:
            data[at:at] = data[:rng.randrange(1, 60)]
        elif kind == 2 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 3:
            data[at:at] = rng.choice([b"\r\n", b"\n", b"\0", b"\r", b" ", b"\r\n\r\n", b"0", b"\x16\3\1"])
        elif kind == 4:
            data += bytes(rng.randrange(256) for _ in range(rng.randrange(200)))
    return bytes(data)


def test_noise(start_any, serve, names):
    rng = random.Random(20260901)
    lock = threading.Lock()

    def noisy(conn):
        conn.settimeout(0.2)
        with lock:
            answer, first, end = damage(rng, rng.choice(SERVER)), rng.random() < 0.3, rng.randrange(3)
        try:
            if not first:
                conn.recv(4096)
            conn.sendall(answer)
            if end == 1:
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")    # close() sends a reset
            elif end == 2:
                conn.shutdown(socket.SHUT_WR)
                while conn.recv(4096):
                    pass
        except TimeoutError:
            pass

    for port in (80, 443, 22):
        serve(noisy, EXAMPLE, port)
    keeper = start_any(["example.org:*", f"{EXAMPLE}:443"], idle_ms=300, header_ms=300, dial_ms=2000)
    for i in range(400):
        with lock:
            data, piece, end = damage(rng, rng.choice(CLIENT)), rng.choice([1, 7, 10000]), rng.randrange(4)
        sock = keeper.connect()
        sock.settimeout(0.3)
        try:
            for at in range(0, len(data), piece):
                sock.sendall(data[at:at + piece])
            if end == 1:
                sock.shutdown(socket.SHUT_WR)
            if end != 2:
                while sock.recv(4096):
                    pass
        except OSError:    # a timeout, a reset, a broken pipe: as it comes
            pass
        keeper.clients.pop().close()
        assert keeper.process.poll() is None, i
    assert get(keeper, "http://other.test/").status == 403    # it still does its work
    reports, done = keeper.finish()
    opened = {(r.id, r.request) for r in reports if r.kind == "opened"}
    closed = [(r.id, r.request) for r in reports if r.kind == "closed"]
    assert len(closed) == len(set(closed)) and set(closed) == opened
    assert len(opened) == done.opened > 50 and done.denied > 50


def test_nothing_is_kept(start_any, serve, names):
    """After many connections the descriptors are those of before."""
    serve(lambda conn: conn.sendall(ok()) if conn.recv(4096) else None)
    keeper = start_any(["example.org:80"])

    def descriptors():
        return len(os.listdir(f"/proc/{keeper.process.pid}/fd"))

    before = descriptors()
    for _ in range(100):
        assert get(keeper, "http://example.org/").status == 200
        get(keeper, "http://other.test/")
        for sock in keeper.clients:
            sock.close()
        keeper.clients.clear()
        for kind in ("opened", "closed", "denied"):
            keeper.report(kind)
    assert get(keeper, "http://other.test/").status == 403
    assert descriptors() <= before + 2    # this client's, and one that may linger
