# SPDX-License-Identifier: Apache-2.0
"""HTTP through the proxy: what goes on and what does not, smuggling in both directions, connections that go on."""
import threading

import pytest

from world import Answer, EXAMPLE, OTHER, ask, get, ok, read_all, read_request, says

HEAD = "Host: example.org\r\n"


def test_the_request_is_printed_anew(start, serve, names):
    seen = []
    serve(says(ok(), seen))
    keeper = start(["example.org:80"])
    answer = ask(keeper, "GET HTTP://Example.ORG:80/a%20b?c=|d| HTTP/1.1\r\nhost:   EXAMPLE.org. \r\nAccept: */*\r\n"
                         "Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n"
                         "Connection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\n"
                         "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nX-Other:  two  words \t\r\n\r\n")
    assert answer.status == 200
    assert seen[0][0] == ("GET /a%20b?c=|d| HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nX-Other: two  words\r\n"
                          "Connection: close")


def test_other_ports_stay_in_the_host_field(start, serve, names):
    seen = []
    serve(says(ok(), seen), EXAMPLE, 8080)
    assert get(start(["example.org:8080"]), "http://example.org:8080").status == 200
    assert seen[0][0] == "GET / HTTP/1.1\r\nHost: example.org:8080\r\nConnection: close"


@pytest.mark.parametrize("body, sent", [
    ("Content-Length: 5\r\n\r\nhello", (b"hello", "Content-Length: 5")),
    ("Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", (b"5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked")),
])
def test_bodies_pass_with_one_framing(start, serve, names, body, sent):
    seen = []
    serve(says(ok(), seen))
    answer = ask(start(["example.org:80"]), f"POST http://example.org/ HTTP/1.1\r\n{HEAD}{body}")
    assert answer.status == 200
    assert seen[0][1] == sent[0]
    assert seen[0][0].splitlines()[-2] == sent[1]


def test_options_of_the_whole_server(start, serve, names):
    seen = []
    serve(says(ok(), seen))
    assert ask(start(["example.org:80"]), f"OPTIONS http://example.org HTTP/1.1\r\n{HEAD}\r\n").status == 200
    assert seen[0][0].startswith("OPTIONS * HTTP/1.1\r\n")


def test_http10_clients(start, serve, names):
    """Without a Host, and answered by no chunks."""
    seen = []
    serve(says(ok(), seen))
    keeper = start(["example.org:80", "other.test:80"])
    answer = ask(keeper, "GET http://example.org/ HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert seen[0][0].startswith("GET / HTTP/1.0\r\nHost: example.org\r\n")
    serve(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), OTHER)
    assert ask(keeper, "GET http://other.test/ HTTP/1.0\r\n\r\n").status == 502


# --- a connection that goes on --------------------------------------------------------------


def test_each_request_of_a_connection_is_judged(start, serve, names):
    """A first allowed request opens nothing for the next; a second server gets a connection of its own."""
    first, second = serve(says(ok(b"one"))), serve(says(ok(b"two")), OTHER)
    keeper = start(["example.org:80", "other.test:80"])
    sock = keeper.connect()
    assert get(keeper, "http://example.org/", sock).body == b"one"
    assert get(keeper, "http://other.test/", sock).body == b"two"
    assert get(keeper, "http://example.org/", sock).body == b"one"
    assert (first.accepted, second.accepted) == (2, 1)    # one connection to a server carries one request
    answer = get(keeper, "http://third.test/", sock)
    assert answer.status == 403 and read_all(sock) == b""
    reports = [keeper.report() for _ in range(7)]
    assert [r.kind for r in reports] == ["opened", "closed"] * 3 + ["denied"]
    assert [r.request for r in reports] == [1, 1, 2, 2, 3, 3, 4]
    assert {r.id for r in reports} == {1}


def test_pipelined_requests_are_answered_in_order_and_judged_each(start, serve, names):
    serve(says(ok(b"one")))
    second = serve(says(ok(b"two")), OTHER)
    keeper = start(["example.org:80"])
    sock = keeper.connect()
    sock.sendall(f"GET http://example.org/ HTTP/1.1\r\n{HEAD}\r\n".encode() * 2 +
                 b"GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n"
                 b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n")
    data = read_all(sock)
    assert data.count(b"HTTP/1.1 200 OK\r\n") == 2 and data.count(b"HTTP/1.1 403 pinfold: ") == 1
    assert data.index(b"403") > data.rindex(b"200 OK")
    assert second.accepted == 0


def test_a_body_does_not_become_a_request(start, serve, names):
    """What looks like a request inside a body reaches no other server."""
    seen = []
    serve(says(ok(b"one"), seen))
    other = serve(says(ok(b"two")), OTHER)
    keeper = start(["example.org:80", "other.test:80"])
    inner = b"GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n"
    answer = ask(keeper, f"POST http://example.org/ HTTP/1.1\r\n{HEAD}Content-Length: {len(inner)}\r\n\r\n".encode() + inner)
    assert answer.body == b"one" and seen[0][1] == inner and other.accepted == 0


def test_head_and_no_content(start, serve, names):
    keeper = start(["example.org:80", "other.test:80"])
    serve(says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nX: y\r\n\r\n"))
    serve(says(b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nETag: \"1\"\r\n\r\n"), OTHER)
    sock = keeper.connect()
    answer = ask(keeper, f"HEAD http://example.org/ HTTP/1.1\r\n{HEAD}\r\n", sock)
    assert answer.headers == {"content-length": "1000", "x": "y", "connection": "keep-alive"}
    answer = get(keeper, "http://other.test/", sock)
    assert answer.status == 304 and answer.headers == {"etag": "\"1\"", "connection": "keep-alive"}


def test_expect_continue(start, serve, names):
    def handler(conn):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += conn.recv(1)
        assert b"Expect: 100-continue" in head
        conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        while len(body) < 5:
            body += conn.recv(5)
        conn.sendall(ok(b"got " + body))

    serve(handler)
    keeper = start(["example.org:80"])
    sock = keeper.connect()
    first = ask(keeper, f"PUT http://example.org/ HTTP/1.1\r\n{HEAD}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", sock)
    assert first.status == 100 and "connection" not in first.headers
    sock.sendall(b"hello")
    assert Answer(sock).body == b"got hello"


def test_a_server_that_refuses_a_body_is_heard(start, serve, names):
    """It answers and closes while the client still sends: the answer arrives, and the connection goes no further."""

    def handler(conn):
        conn.recv(100)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")

    serve(handler)
    keeper = start(["example.org:80"])
    sock = keeper.connect()
    sock.sendall(f"PUT http://example.org/ HTTP/1.1\r\n{HEAD}Content-Length: 100000000\r\n\r\n".encode())

    def send():
        try:
            while True:
                sock.sendall(b"x" * 65536)
        except OSError:
            pass

    thread = threading.Thread(target=send)
    thread.start()
    answer = Answer(sock)
    assert (answer.status, answer.body, answer.headers["connection"]) == (413, b"no", "close")
    thread.join()


def test_a_redirect_leads_nowhere_by_itself(start, serve, names):
    """The proxy follows none, and where it leads to is refused like anything else."""
    serve(says(b"HTTP/1.1 302 Found\r\nLocation: http://other.test/\r\nContent-Length: 0\r\n\r\n"))
    other = serve(says(ok()), OTHER)
    keeper = start(["example.org:80"])
    answer = get(keeper, "http://example.org/")
    assert (answer.status, answer.headers["location"]) == (302, "http://other.test/")
    assert get(keeper, answer.headers["location"]).status == 403
    assert other.accepted == 0


# --- requests that two readers could read in two ways ---------------------------------------

CHUNKS = "5\r\nhello\r\n0\r\n\r\n"
SMUGGLING = {
    "two lengths": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "the same length twice": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5, 5\r\n\r\nhello",
    "a signed length": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nContent-Length: +5\r\n\r\nhello",
    "chunked and a length": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "two codings": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "gzip, chunked": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "xchunked": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "identity": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: identity\r\n\r\n",
    "a coding in HTTP/1.0": "POST http://example.org/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "a space before the colon": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "a tab before the colon": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nContent-Length\t: 5\r\n\r\nhello",
    "a folded line": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nX: a\r\n b\r\n\r\n",
    "a folded coding": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS,
    "underscores": "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nTransfer_Encoding: chunked\r\n\r\n",
    "a bare LF in the head": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\nX: y\r\n\r\n",
    "a bare CR in the head": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\rX: y\r\n\r\n",
    "a NUL in a value": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nX: a\0b\r\n\r\n",
    "a NUL in a name": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nX\0: a\r\n\r\n",
    "a control character": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nX: a\x08b\r\n\r\n",
    "no colon": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nX\r\n\r\n",
    "an empty name": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n: x\r\n\r\n",
    "two hosts": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nHost: other.test\r\n\r\n",
    "another host": "GET http://example.org/ HTTP/1.1\r\nHost: other.test\r\n\r\n",
    "another port": "GET http://example.org/ HTTP/1.1\r\nHost: example.org:81\r\n\r\n",
    "no host": "GET http://example.org/ HTTP/1.1\r\n\r\n",
    "a user": "GET http://other.test@example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a user that looks like the host": "GET http://example.org:80@other.test/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a backslash": "GET http://example.org\\@other.test/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a fragment": "GET http://example.org/#@other.test/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a space in the target": "GET http://example.org/ x HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "two spaces": "GET  http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a tab for a space": "GET\thttp://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "CRLF in the URI": "GET http://example.org/\r\nX: y HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "an encoded host": "GET http://example%2eorg/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a host of bytes": "GET http://ex\xe4mple.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a port that is none": "GET http://example.org:0x50/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a port beyond": "GET http://example.org:65616/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "an empty port": "GET http://example.org:/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a number for an address": "GET http://2130706433/ HTTP/1.1\r\nHost: 2130706433\r\n\r\n",
    "a short address": "GET http://127.1/ HTTP/1.1\r\nHost: 127.1\r\n\r\n",
    "an octal address": "GET http://0177.0.0.1/ HTTP/1.1\r\nHost: 0177.0.0.1\r\n\r\n",
    "a hexadecimal address": "GET http://0x7f.0.0.1/ HTTP/1.1\r\nHost: 0x7f.0.0.1\r\n\r\n",
    "the host as a hop's": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nConnection: host\r\n\r\n",
    "HTTP/1.2": "GET http://example.org/ HTTP/1.2\r\nHost: example.org\r\n\r\n",
    "HTTP/2": "GET http://example.org/ HTTP/2.0\r\nHost: example.org\r\n\r\n",
    "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": "GET http://example.org/\r\n\r\n",
    "a switch of protocols": "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "TRACE": "TRACE http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a path alone": "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "https to the proxy": "GET https://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "another scheme": "GET ftp://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a method of brackets": "G[]T http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "CONNECT with a body": "CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\nContent-Length: 5\r\n\r\nhello",
    "CONNECT with another host": "CONNECT example.org:80 HTTP/1.1\r\nHost: other.test:80\r\n\r\n",
    "CONNECT without a port": "CONNECT example.org HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "CONNECT to a URI": "CONNECT http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a digit first": "1GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "SOCKS4": "\x04\x01\x00\x50\x5d\xb8\xd8\x22\x00\x00\r\n\r\n",
    "TLS to the proxy": "\x16\x03\x01\x00\x05hello\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_what_could_be_read_in_two_ways_is_refused(start_any, serve, names, name):
    server = serve(says(ok()))
    keeper = start_any(["example.org:80", f"{EXAMPLE}:80"])
    sock = keeper.connect()
    sock.sendall(SMUGGLING[name].encode("latin-1"))
    answer = Answer(sock)
    assert answer.status in (400, 405, 501, 505), answer.reason
    assert "(network.protocol); " in answer.reason
    assert read_all(sock) == b""    # and nothing more is read of it
    report = keeper.report("denied")
    assert report.reason in ("malformed", "unsupported") and report.rule == "network.protocol" and report.hint
    assert server.accepted == 0
    # the control: the same proxy, the plain request
    assert get(keeper, "http://example.org/").status == 200


@pytest.mark.parametrize("chunks", [
    "5;x=y\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\r\nhelloX\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "0\r\nContent-Length: 5\r\n\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
])
def test_chunks_that_could_be_read_in_two_ways(start_any, serve, names, chunks):
    seen, got = [], threading.Event()

    def handler(conn):
        while data := conn.recv(65536):
            seen.append(data)
        got.set()

    serve(handler)
    keeper = start_any(["example.org:80"])
    answer = ask(keeper, f"POST http://example.org/ HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunks}")
    assert answer.status == 400
    assert got.wait(30)
    # The server saw nothing, or no end: it cannot have taken this for a request.
    assert b"0\r\n\r\n" not in b"".join(seen)


@pytest.mark.parametrize("lines", ["X: " + "a" * 20000, "\r\n".join(f"X{i}: y" for i in range(200)),
                                   "\r\n".join("X: " + "a" * 8000 for i in range(8))])
def test_heads_without_end(start_any, serve, names, lines):
    server = serve(says(ok()))
    keeper = start_any(["example.org:80"])
    answer = ask(keeper, f"GET http://example.org/ HTTP/1.1\r\n{HEAD}{lines}\r\n\r\n")
    assert answer.status == 431 and server.accepted == 0
    assert get(keeper, "http://example.org/", headers="X: " + "a" * 8000 + "\r\n").status == 200


def test_a_head_that_never_ends(start_any, names):
    keeper = start_any(["example.org:80"])
    sock = keeper.connect()
    sock.sendall(b"GET http://example.org/ HTTP/1.1\r\n")
    try:
        while True:
            sock.sendall(b"X-More: and more\r\n" * 1000)
    except (BrokenPipeError, ConnectionResetError):
        pass    # it does not listen for ever
    assert keeper.report("denied").hint == "the head is larger than 32 KiB"


def test_a_line_that_is_too_long(start_any, names):
    keeper = start_any(["example.org:80"])
    assert ask(keeper, f"GET http://example.org/{'a' * 17000} HTTP/1.1\r\n{HEAD}\r\n").status == 414


# --- responses ------------------------------------------------------------------------------

BAD_RESPONSES = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 20\r\n\r\nok",
    "chunked and a length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx",
    "a bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
    "a bare CR": b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
    "a folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n",
    "a status of letters": b"HTTP/1.1 2x0 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status that is none": b"HTTP/1.1 999 OK\r\n\r\n",
    "a switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "a NUL": b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\nok",
    "too large": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 8000 + b"\r\n",
    "interim ones without end": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20,
}


@pytest.mark.parametrize("name", BAD_RESPONSES)
def test_a_malformed_response_goes_no_further(start_any, serve, names, name):
    serve(says(BAD_RESPONSES[name]))
    keeper = start_any(["example.org:80"])
    sock = keeper.connect()
    answer = get(keeper, "http://example.org/", sock)
    while answer.status == 103:
        rest = answer.rest
        if rest:    # the interim ones that were let through came in one piece
            text = rest.decode("latin-1")
            assert text.count("HTTP/1.1 103") <= 8
            assert "HTTP/1.1 502 pinfold: example.org:80 answered what cannot be passed on" in text + read_all(sock).decode()
            break
        answer = Answer(sock)
    else:
        assert answer.status == 502, answer.lines
    assert keeper.report("opened")
    assert keeper.report("closed").reason == "bad_answer"


def test_what_follows_a_response_is_dropped(start, serve, names):
    """Response splitting: a second response in the first one's stream never becomes an answer to a later request."""
    serve(says(ok(b"one") + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    serve(says(ok(b"two")), OTHER)
    keeper = start(["example.org:80", "other.test:80"])
    sock = keeper.connect()
    assert get(keeper, "http://example.org/", sock).body == b"one"
    assert get(keeper, "http://other.test/", sock).body == b"two"


def test_a_response_that_is_cut_is_not_made_whole(start, serve, names):
    serve(says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"))
    keeper = start(["example.org:80"])
    answer = get(keeper, "http://example.org/")
    assert answer.body == b"short" and not answer.whole
    keeper.report("opened")
    assert keeper.report("closed").reason == "cut"


def test_bad_chunks_of_a_response_end_it(start, serve, names):
    serve(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5;x\r\nworld\r\n0\r\n\r\n"))
    keeper = start(["example.org:80"])
    answer = get(keeper, "http://example.org/")
    assert not answer.whole and b"world" not in answer.body
    keeper.report("opened")
    assert keeper.report("closed").reason == "bad_answer"


@pytest.mark.parametrize("response, keep, body", [
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", True, b"5\r\nhello\r\n0\r\n\r\n"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: abc\r\n\r\n", True, None),
    (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", False, b"until the end"),
    (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", False, b"until the end"),
    (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", True, b""),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: x\r\nConnection: X-Hop\r\nX-Hop: 1\r\nUpgrade: h2\r\n\r\n", True, b""),
])
def test_framing_of_responses(start, serve, names, response, keep, body):
    serve(says(response))
    keeper = start(["example.org:80"])
    sock = keeper.connect()
    if body is None:    # trailers
        sock.sendall(f"GET http://example.org/ HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n".encode())
        assert read_all(sock).endswith(b"\r\n\r\n0\r\nX-Sum: abc\r\n\r\n")
        return
    answer = get(keeper, "http://example.org/", sock)
    assert answer.body == body and answer.whole
    assert answer.headers["connection"] == ("keep-alive" if keep else "close")
    assert not {"keep-alive", "x-hop", "upgrade"} & set(answer.headers)
    if not keep:
        assert read_all(sock) == b""


def test_a_client_that_says_close_is_closed(start, serve, names):
    serve(says(ok(b"one")))
    keeper = start(["example.org:80"])
    sock = keeper.connect()
    answer = get(keeper, "http://example.org/", sock, headers="Connection: close\r\n")
    assert answer.headers["connection"] == "close" and read_all(sock) == b""


def test_a_client_that_half_closes_gets_its_answer(start, serve, names):
    import socket
    serve(says(ok(b"one")))
    keeper = start(["example.org:80"])
    sock = keeper.connect()
    sock.sendall(f"GET http://example.org/ HTTP/1.1\r\n{HEAD}\r\n".encode())
    sock.shutdown(socket.SHUT_WR)
    assert Answer(sock).body == b"one" and read_all(sock) == b""


def test_large_bodies_both_ways(start, serve, names):
    """More than any buffer, and exactly what was sent."""
    size = 3_000_001
    data = bytes(range(256)) * (size // 256 + 1)

    def handler(conn):
        _, body = read_request(conn)
        conn.sendall(ok(body))

    serve(handler)
    keeper = start(["example.org:80"])
    sock = keeper.connect()
    request = f"PUT http://example.org/ HTTP/1.1\r\n{HEAD}Content-Length: {size}\r\n\r\n".encode() + data[:size]
    thread = threading.Thread(target=sock.sendall, args=(request,))
    thread.start()
    assert Answer(sock).body == data[:size]
    thread.join()
    keeper.report("opened")
    closed = keeper.report("closed")
    assert closed.received == len(ok(data[:size])) and closed.sent > size
