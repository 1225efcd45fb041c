# SPDX-License-Identifier: Apache-2.0
"""What one sandbox may take: connections, bytes, rate, time, and the keeper's patience."""
import os
import signal
import socket
import struct
import threading

from world import EXAMPLE, Answer, ask, echo, get, ok, read_all, read_exactly, read_request, says, socks, tunnel

HEAD = "Host: example.org\r\n"


def test_two_hundred_connections_at_once(start, serve, names):
    """All open together, each with bytes of its own, both ways."""
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"])
    socks_ = []
    for _ in range(200):
        sock = keeper.connect()
        sock.sendall(b"CONNECT example.org:22 HTTP/1.1\r\nHost: example.org:22\r\n\r\n")
        socks_.append(sock)
    for i, sock in enumerate(socks_):
        assert Answer(sock, head_only=True).status == 200
        sock.sendall(struct.pack(">I", i) * 1000)
    for i, sock in enumerate(socks_):
        assert read_exactly(sock, 4000) == struct.pack(">I", i) * 1000
    for sock in socks_:
        sock.close()
    reports = [keeper.report() for _ in range(400)]
    assert len({r.id for r in reports if r.kind == "closed"}) == 200
    assert all(r.sent == r.received == 4000 for r in reports if r.kind == "closed")


def test_more_connections_than_allowed(start, serve, names):
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"], connections=3)
    open_ = [tunnel(keeper, "example.org:22") for _ in range(3)]
    assert [a.status for a, _ in open_] == [200] * 3
    answer, _ = tunnel(keeper, "example.org:22")
    assert answer.status == 503
    assert answer.reason == ("pinfold: example.org:22 is refused (network.connections=3); so many are open at once; "
                             "close some")
    assert socks(keeper, "example.org", 22)[0] == 1
    reports = [keeper.report() for _ in range(5)]
    assert [r.kind for r in reports].count("denied") == 2 and reports[-1].reason == "too_many"
    open_[0][1].close()
    assert keeper.report("closed").id == 1
    assert tunnel(keeper, "example.org:22")[0].status == 200    # there is room again


def test_far_more_connections_than_allowed(start, names):
    """Beyond some that are told so, they are only closed."""
    keeper = start(["example.org:22"], connections=1)
    held = [keeper.connect() for _ in range(1 + 64)]
    for _ in range(30):
        assert read_all(keeper.connect()) == b""
    for sock in held:
        sock.close()
    reports, done = keeper.finish()
    assert [r.reason for r in reports] == ["too_many"] * 30 and done.denied == 30


def test_bytes(start, serve, names):
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"], bytes=100_000)
    _, sock = tunnel(keeper, "example.org:22")
    sock.sendall(b"x" * 40_000)
    assert read_exactly(sock, 40_000)
    sock.sendall(b"x" * 40_000)
    assert len(read_all(sock)) < 40_000
    answer, _ = tunnel(keeper, "example.org:22")
    assert answer.status == 403 and "(network.bytes=100000)" in answer.reason
    keeper.report("opened")
    closed = keeper.report("closed")
    assert closed.reason == "too_much"
    assert [keeper.report("denied").reason for _ in range(2)] == ["too_much"] * 2
    _, done = keeper.finish()
    assert done.sent + done.received <= 100_000


def test_rate(start, serve, names):
    """A rate slows and loses nothing. Only the least time is looked at, on the clock of the program itself."""
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"], bytes_per_second=1_000_000)
    _, sock = tunnel(keeper, "example.org:22")
    data = os.urandom(400_000)
    thread = threading.Thread(target=sock.sendall, args=(data,))
    thread.start()
    assert read_exactly(sock, len(data)) == data
    thread.join()
    sock.close()
    opened, closed = keeper.report("opened"), keeper.report("closed")
    # 800,000 bytes both ways, of which a quarter of a second's worth may come at once: at least half a second
    assert closed.duration - opened.duration >= 500_000_000


def test_a_reader_that_reads_nothing_holds_up_nobody(start, serve, names):
    """Its server is stopped by full buffers, which are bounded; others go on; the proxy's memory stays as it is."""
    size = 200_000_000
    sent, stop = [0], threading.Event()

    def flood(conn):
        read_request(conn)
        conn.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        piece = b"x" * 65536
        conn.settimeout(None)
        while not stop.is_set():
            try:
                sent[0] += conn.send(piece, socket.MSG_DONTWAIT)
            except BlockingIOError:
                stop.wait(0.02)    # until the test is over

    serve(flood)
    serve(says(ok(b"quick")), EXAMPLE, 81)
    keeper = start(["example.org:80-81"])
    slow = keeper.connect()
    slow.sendall(f"GET http://example.org/ HTTP/1.1\r\n{HEAD}\r\n".encode())
    assert read_exactly(slow, 15) == b"HTTP/1.1 200 OK"
    for _ in range(50):
        assert get(keeper, "http://example.org:81/").body == b"quick"
    with open(f"/proc/{keeper.process.pid}/status", encoding="ascii") as f:
        resident = int(next(line for line in f if line.startswith("VmHWM:")).split()[1])
    assert resident < 8192    # KiB
    assert sent[0] < size / 4
    stop.set()
    slow.close()


def test_an_idle_connection_is_closed(start, serve, names):
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"], idle_ms=200)
    _, sock = tunnel(keeper, "example.org:22")
    assert read_all(sock) == b""
    keeper.report("opened")
    assert keeper.report("closed").reason == "timeout"
    assert read_all(keeper.connect()) == b""    # and one that never says anything


def test_a_request_that_does_not_come_whole(start, names):
    keeper = start(["example.org:80"], header_ms=200)
    answer = ask(keeper, "GET http://example.org/ HTTP/1.1\r\nHost: exa")
    assert answer.status == 408 and "(network.header_time=200ms)" in answer.reason
    assert keeper.report("denied").reason == "timeout"
    sock = keeper.connect()
    sock.sendall(b"\5\1\0\5\1")
    assert read_all(sock) == b"\5\0\5\1\0\1" + b"\0" * 6


def test_a_server_that_says_nothing(start, serve, names):
    serve(lambda conn: read_all(conn))    # pylint: disable=unnecessary-lambda
    keeper = start(["example.org:80"], idle_ms=300)
    assert get(keeper, "http://example.org/").status == 504
    keeper.report("opened")
    assert keeper.report("closed").reason == "timeout"


def test_a_peer_that_does_not_answer(start, serve, names):
    """A full backlog: the kernel drops what comes."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((EXAMPLE, 22))
    listener.listen(0)
    fill = []
    with listener:
        for _ in range(8):    # Linux takes one more than the backlog
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex((EXAMPLE, 22))
            fill.append(sock)
        keeper = start(["example.org:22"], dial_ms=400)
        answer, _ = tunnel(keeper, "example.org:22")
        assert answer.status == 504 and answer.reason.endswith("; it does not answer")
        assert keeper.report("unreached").reason == "timeout"
        for sock in fill:
            sock.close()


# --- the keeper -----------------------------------------------------------------------------


def test_a_keeper_that_does_not_read(start, names):
    """More events than its socket holds: the proxy keeps few, takes no more, and loses none."""
    keeper = start([], connections=1000, reading=False)
    total, many = 600, threading.Event()

    def connect():
        for i in range(total):
            keeper.connect().sendall(b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n")
            if i == 150:
                many.set()

    thread = threading.Thread(target=connect)
    thread.start()
    assert many.wait(30)
    keeper.read()
    reports = [keeper.report("denied") for _ in range(total)]
    thread.join()
    assert len({r.id for r in reports}) == total
    for sock in keeper.clients:
        assert Answer(sock).status == 403


def test_reports_are_bounded(start, names):
    """A sandbox that asks without end is told off without end, and the keeper hears of so many and then a number."""
    keeper = start([])
    total = 4096 + 50
    for _ in range(total):
        assert get(keeper, "http://example.org/").status == 403
        keeper.clients.pop().close()
    reports, done = keeper.finish()
    assert len(reports) == 4096
    assert (done.denied, done.unreported) == (total, 50)


def test_the_end_closes_and_reports_what_is_open(start, serve, names):
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"])
    _, sock = tunnel(keeper, "example.org:22")
    sock.sendall(b"hello")
    assert read_exactly(sock, 5) == b"hello"
    reports, done = keeper.finish()
    assert [(r.kind, r.reason) for r in reports] == [("opened", "none"), ("closed", "shutdown")]
    assert (reports[1].sent, reports[1].received, done.sent, done.received) == (5, 5, 5, 5)
    assert read_all(sock) == b""


def test_a_keeper_that_dies_ends_it(start, serve, names):
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"])
    _, sock = tunnel(keeper, "example.org:22")
    keeper.hang_up()
    assert read_all(sock) == b""
    assert keeper.process.wait(30) == 0


def test_killed_in_the_middle(start, serve, names):
    """Its clients see an end and not a stall, the keeper sees one too, and no bytes were lost before it."""
    serve(echo, EXAMPLE, 22)
    keeper = start(["example.org:22"])
    _, sock = tunnel(keeper, "example.org:22")
    sock.sendall(b"hello")
    assert read_exactly(sock, 5) == b"hello"
    waiting = keeper.connect()
    keeper.process.send_signal(signal.SIGKILL)
    assert read_all(sock) == b"" and read_all(waiting) == b""
    assert keeper.report("opened").target == "example.org:22"    # what it had told is there
    assert keeper.packets.get(timeout=30) == b""
    assert keeper.process.wait(30) == -signal.SIGKILL


def test_a_keeper_of_another_version(start):
    """Messages that are none end it, with nothing done."""
    for message in (b"", b"\0", struct.pack("=I", 99), struct.pack("=IIQ", 4, 0, 1), b"x" * 10000, struct.pack("=I", 1)):
        keeper = start(["example.org:22"])
        if message:
            keeper.control.send(message)
        else:
            keeper.control.shutdown(socket.SHUT_WR)
        assert keeper.process.wait(30) == (125 if message else 0)


def test_few_descriptors(start, serve, names):
    """Where the user's own limit of open files is low, fewer connections fit, and that is said."""
    serve(echo, EXAMPLE, 22)
    assert "open files are too few" in start(["example.org:22"], nofile=50).failed
    keeper = start(["example.org:22"], nofile=100)
    assert keeper.connections == 4
    answers = [tunnel(keeper, "example.org:22") for _ in range(6)]
    assert [a.status for a, _ in answers] == [200] * 4 + [503] * 2
    assert "network.connections=4" in answers[-1][0].reason
    for _, sock in answers:
        sock.close()
    reports = [keeper.report() for _ in range(10)]
    assert [r.kind for r in reports].count("closed") == 4
    assert tunnel(keeper, "example.org:22")[0].status == 200
