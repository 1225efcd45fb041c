# SPDX-License-Identifier: Apache-2.0
"""A small Internet on the loopback of a network namespace of the tests' own, a keeper for pinfold-egress, and clients.

    keeper = start(rules=["example.org:80"])     the program, with a control socket (src/egress/control.h)
    sock = keeper.connect()                      what init would forward: one end of a socket pair
    keeper.report("denied")                      the next report, of that kind
    reports, done = keeper.finish()              end it in order; everything that was not read yet
"""
import array
import collections
import ctypes
import errno
import os
import queue
import re
import resource
import socket
import ssl
import struct
import subprocess
import threading

PATIENCE = 30    # seconds until a test that waits for what never comes fails

EXAMPLE, OTHER = "93.184.216.34", "93.184.216.35"    # of example.org and other.test in this world
EXAMPLE6 = "2606:2800:220:1::34"
PRIVATE = "10.9.0.7"
METADATA = "169.254.169.254"
LOCAL4 = ["93.184.216.0/24", "10.9.0.0/24", "169.254.169.254/32"]
LOCAL6 = ["2606:2800:220::/48", "fd00:9::/64"]
RESOLVER = ("127.0.0.1", 5353)
IPV6_FREEBIND = 78
USER = 12345    # without an account

# --- the messages of src/egress/control.h ---------------------------------------------------

CONTROL_FD = 3
SETUP, RULES, GO, CONN, READY, FAILED, REPORT, DONE = 1, 2, 3, 4, 16, 17, 18, 19
KINDS = [None, "opened", "closed", "denied", "unreached"]
PROTOCOLS = ["unknown", "connect", "http", "socks"]
REASONS = ["none", "no_rule", "special", "never", "tls_name", "tls_no_name", "tls_hidden", "not_tls", "malformed",
           "unsupported", "too_many", "too_much", "unresolved", "unreachable", "timeout", "bad_answer", "cut", "shutdown"]
HELD = ["uid", "root", "ipc", "pid", "landlock", "ports", "scope", "seccomp", "no_sockets"]


class Limits(ctypes.Structure):
    _fields_ = [("connections", ctypes.c_uint32), ("header_ms", ctypes.c_uint32), ("dial_ms", ctypes.c_uint32),
                ("idle_ms", ctypes.c_uint32), ("bytes", ctypes.c_uint64), ("bytes_per_second", ctypes.c_uint64)]


class Address(ctypes.Structure):
    _fields_ = [("family", ctypes.c_uint8), ("b", ctypes.c_uint8 * 16)]


class Setup(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint32), ("version", ctypes.c_uint32), ("uid", ctypes.c_uint32),
                ("gid", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("resolver_port", ctypes.c_uint16),
                ("unused", ctypes.c_uint16), ("resolver", Address), ("limits", Limits)]


class RawReport(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint32), ("kind", ctypes.c_uint8), ("protocol", ctypes.c_uint8),
                ("reason", ctypes.c_uint8), ("unused", ctypes.c_uint8), ("id", ctypes.c_uint64),
                ("request", ctypes.c_uint64), ("started_ns", ctypes.c_uint64), ("duration_ns", ctypes.c_uint64),
                ("sent", ctypes.c_uint64), ("received", ctypes.c_uint64), ("target", ctypes.c_char * 261),
                ("address", ctypes.c_char * 48), ("rule", ctypes.c_char * 300), ("hint", ctypes.c_char * 640)]


class RawDone(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint32), ("unused", ctypes.c_uint32), ("opened", ctypes.c_uint64),
                ("denied", ctypes.c_uint64), ("unreached", ctypes.c_uint64), ("unreported", ctypes.c_uint64),
                ("sent", ctypes.c_uint64), ("received", ctypes.c_uint64)]


Report = collections.namedtuple("Report", "kind protocol reason id request started duration sent received target address "
                                          "rule hint")


def read_report(packet):
    raw = RawReport.from_buffer_copy(packet)
    return Report(KINDS[raw.kind], PROTOCOLS[raw.protocol], REASONS[raw.reason], raw.id, raw.request, raw.started_ns,
                  raw.duration_ns, raw.sent, raw.received, *(getattr(raw, f).decode("ascii") for f in
                                                             ("target", "address", "rule", "hint")))


# --- the keeper -----------------------------------------------------------------------------


class Keeper:
    def __init__(self, argv, rules=(), resolver=RESOLVER, uid=54321, env=None, nofile=None, reading=True, **limits):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(PATIENCE)
        fd = theirs.fileno()

        def prepare():
            os.dup2(fd, CONTROL_FD)
            if nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        self.process = subprocess.Popen(argv, preexec_fn=prepare, pass_fds=(CONTROL_FD,),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, env=env or {}, cwd="/")
        theirs.close()
        self.ids, self.clients = 0, []
        self.held, self.failed, self.connections = None, None, None
        self._setup(rules, resolver, uid, limits)
        self.packets, self.reader = queue.SimpleQueue(), None
        if reading:
            self.read()

    def read(self):
        """From now on. A keeper that does not read is one that the proxy waits for."""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        self.control.settimeout(None)
        while True:
            try:
                packet = self._packet()
            except OSError:
                packet = b""
            self.packets.put(packet)
            if not packet:
                return

    def _packet(self):
        """The next one, an empty one at the end. It may die with something of ours unread, which is an error
        once; what it had told comes behind that."""
        try:
            return self.control.recv(4096)
        except ConnectionResetError:
            return self.control.recv(4096)

    def _setup(self, rules, resolver, uid, limits):
        setup = Setup(SETUP, 1, uid, uid, 0)
        if resolver:
            packed = socket.inet_pton(socket.AF_INET6 if ":" in resolver[0] else socket.AF_INET, resolver[0])
            setup.resolver.family = 4 if len(packed) == 4 else 6
            setup.resolver.b[:len(packed)] = packed
            setup.resolver_port = resolver[1]
        setup.limits = Limits(256, 30000, 30000, 600000)
        for name, value in limits.items():
            setattr(setup.limits, name, value)
        try:
            self.control.send(bytes(setup))
            for rule in rules:
                text = rule.encode() + b"\n"
                self.control.send(struct.pack("=II", RULES, len(text)) + text)
            self.control.send(struct.pack("=I", GO))
        except BrokenPipeError:
            pass    # it said why
        packet = self._packet()
        kind = struct.unpack("=I", packet[:4])[0] if packet else None
        if kind == READY:
            _, _, held, _, self.connections = struct.unpack("=5I", packet)
            self.held = {name for i, name in enumerate(HELD) if held >> i & 1}
        elif kind == FAILED:
            self.failed = packet[8:].rstrip(b"\0").decode()
        else:
            raise AssertionError(f"no READY: {packet!r} {self.process.stderr.read()!r}")

    def _pass(self, sock):
        self.ids += 1
        self.control.sendmsg([struct.pack("=IIQ", CONN, 0, self.ids)],
                             [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))])

    def connect(self):
        ours, theirs = socket.socketpair()
        with theirs:
            self._pass(theirs)
        ours.settimeout(PATIENCE)
        self.clients.append(ours)
        return ours

    def listen(self, port=3128):
        """What init does inside: a port on the loopback, every connection of which the proxy gets. Its URL."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        self.clients.append(listener)

        def accept():
            while True:
                try:
                    conn, _ = listener.accept()
                    with conn:
                        self._pass(conn)
                except OSError:
                    return

        self.door = threading.Thread(target=accept, daemon=True)
        self.door.start()
        return f"http://127.0.0.1:{port}"

    def _next(self):
        packet = self.packets.get(timeout=PATIENCE)
        if not packet:
            return None
        kind = struct.unpack("=I", packet[:4])[0]
        if kind == REPORT:
            return read_report(packet)
        assert kind == DONE, packet
        return RawDone.from_buffer_copy(packet)

    def report(self, kind=None):
        """The next report; if a kind is named, it must be of that."""
        got = self._next()
        assert isinstance(got, Report), got
        assert kind is None or got.kind == kind, got
        return got

    def finish(self):
        self.control.shutdown(socket.SHUT_WR)
        reports, done = [], None
        while (got := self._next()) is not None:
            if isinstance(got, Report):
                reports.append(got)
            else:
                done = got
        assert self.process.wait(PATIENCE) == 0, self.process.stderr.read()
        assert done is not None
        return reports, done

    def hang_up(self):
        """As if the keeper had died."""
        try:
            self.control.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.reader:
            self.reader.join(PATIENCE)
        self.control.close()

    def close(self):
        """Always at the end. A sanitizer's report fails the test."""
        for sock in self.clients:
            try:
                sock.shutdown(socket.SHUT_RDWR)    # wakes a thread that accepts on it
            except OSError:
                pass
            sock.close()
        self.hang_up()
        if self.process.poll() is None:
            try:
                self.process.wait(PATIENCE)    # the end of its control socket is its end
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        said = self.process.stderr.read().decode(errors="replace")
        self.process.stderr.close()
        assert self.process.returncode in (0, 125, -9), (self.process.returncode, said)
        assert "Sanitizer: " not in said and "runtime error: " not in said, said


# --- clients --------------------------------------------------------------------------------


class Answer:
    """A response, read to its end by its own framing (or up to the end of the head, for a tunnel)."""

    def __init__(self, sock, head_only=False, head_request=False):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = sock.recv(65536)
            assert piece, f"the connection ended in a head: {data!r}"
            data += piece
        head, self.rest = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status, self.reason = (lines[0].split(" ", 2) + [""])[:3]
        assert version == "HTTP/1.1", lines[0]
        self.status = int(status)
        self.lines = lines[1:]
        self.headers = {}
        for line in self.lines:
            name, value = line.split(": ", 1)
            assert name.lower() not in self.headers, f"{name} twice"
            self.headers[name.lower()] = value
        self.body = b""
        self.whole = True    # as long as its framing says
        if head_only and self.status == 200 or head_request or self.status in (204, 304) or self.status < 200:
            return
        if "content-length" in self.headers:
            size = int(self.headers["content-length"])
            while len(self.rest) < size:
                piece = sock.recv(65536)
                if not piece:
                    self.whole = False
                    break
                self.rest += piece
            self.body, self.rest = self.rest[:size], self.rest[size:]
            return
        # chunks are left as they are
        chunked = "transfer-encoding" in self.headers
        while not (chunked and self.rest.endswith(b"0\r\n\r\n")):
            piece = sock.recv(65536)
            if not piece:
                self.whole = not chunked
                break
            self.rest += piece
        self.body, self.rest = self.rest, b""


def ask(keeper, request, sock=None):
    """Send these bytes and read one answer."""
    sock = sock or keeper.connect()
    sock.sendall(request if isinstance(request, bytes) else request.encode())
    return Answer(sock, head_request=request[:4] in ("HEAD", b"HEAD"))


def get(keeper, url, sock=None, headers=""):
    host = re.match(r"http://([^/?]*)", url).group(1)
    return ask(keeper, f"GET {url} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n", sock)


def tunnel(keeper, target):
    """CONNECT: (answer, socket)."""
    sock = keeper.connect()
    sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    return Answer(sock, head_only=True), sock


def read_all(sock):
    data = b""
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:    # it was closed with something of ours unread
            return data
        if not piece:
            return data
        data += piece


def socks(keeper, host, port, sock=None):
    """SOCKS5 to a name or an address: (reply code, socket)."""
    sock = sock or keeper.connect()
    sock.sendall(b"\x05\x01\x00")
    assert read_exactly(sock, 2) == b"\x05\x00"
    if re.fullmatch(r"[0-9.]+", host):
        where = b"\x01" + socket.inet_pton(socket.AF_INET, host)
    elif ":" in host:
        where = b"\x04" + socket.inet_pton(socket.AF_INET6, host)
    else:
        where = b"\x03" + bytes([len(host)]) + host.encode()
    sock.sendall(b"\x05\x01\x00" + where + struct.pack(">H", port))
    reply = read_exactly(sock, 10)
    assert reply[0] == 5 and reply[2:] == b"\0\x01" + b"\0" * 6
    return reply[1], sock


def read_exactly(sock, n):
    data = b""
    while len(data) < n:
        piece = sock.recv(n - len(data))
        assert piece, f"ended after {data!r}"
        data += piece
    return data


def hello(name, **options):
    """The ClientHello of a real TLS implementation."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for key, value in options.items():
        setattr(context, key, value)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def client_hello(name=b"example.org", extensions=b"", sni=True):
    """One by hand, for what no implementation says: (a handshake message, without its record)."""
    if sni:
        entry = b"\0" + struct.pack(">H", len(name)) + name
        extensions = extension(0, struct.pack(">H", len(entry)) + entry) + extensions
    body = (b"\3\3" + b"r" * 32 + b"\0" + b"\0\2\x13\1" + b"\1\0" + struct.pack(">H", len(extensions)) + extensions)
    return b"\1" + len(body).to_bytes(3, "big") + body


def extension(number, data):
    return struct.pack(">HH", number, len(data)) + data


def record(data, kind=22):
    return bytes([kind, 3, 1]) + struct.pack(">H", len(data)) + data


ALERT = b"\x15\x03\x01\x00\x02\x02\x31"    # fatal, access_denied


# --- servers --------------------------------------------------------------------------------


class Server:
    """handler(connection) in a thread for each connection; what it raises is the test's failure at the end."""

    def __init__(self, handler, address=EXAMPLE, port=80):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            self.listener.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)    # the address is routed here, not ours
        self.listener.bind((address, port))
        self.listener.listen(512)
        self.handler, self.errors, self.accepted = handler, [], 0
        self.threads, self.open = [], []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            conn.settimeout(PATIENCE)
            self.open.append(conn)
            thread = threading.Thread(target=self._serve, args=(conn,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, conn):
        try:
            with conn:
                self.handler(conn)
        except OSError as error:    # the proxy may have closed before us
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                self.errors.append(repr(error))
        except Exception as error:    # pylint: disable=broad-except
            self.errors.append(repr(error))

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for conn in self.open:
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(PATIENCE)
        for thread in self.threads:
            thread.join(PATIENCE)
        assert not self.errors, self.errors


def read_request(conn):
    """(head, body) of one request by its own framing; chunks are left as they are."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = conn.recv(65536)
        if not piece:
            return None, data
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    head = head.decode("latin-1")
    length = re.search(r"(?im)^content-length: *(\d+)\r?$", head)
    if length:
        while len(body) < int(length.group(1)):
            body += conn.recv(65536)
    elif re.search(r"(?im)^transfer-encoding: *chunked\r?$", head):
        while not body.endswith(b"0\r\n\r\n"):
            body += conn.recv(65536)
    return head, body


def echo(conn):
    while data := conn.recv(65536):
        conn.sendall(data)
    conn.shutdown(socket.SHUT_WR)


def says(response, seen=None):
    """A handler that reads a request, keeps it in seen, and answers these bytes."""

    def handler(conn):
        head, body = read_request(conn)
        if head is None:
            return
        if seen is not None:
            seen.append((head, body))
        conn.sendall(response)
        conn.shutdown(socket.SHUT_WR)
        while conn.recv(65536):
            pass

    return handler


def ok(body=b"hello", more=""):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


# --- a resolver -----------------------------------------------------------------------------


def dns_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def dns_record(owner, kind, data):
    return owner + struct.pack(">HHIH", kind, 1, 0, len(data)) + data


class Resolver:
    """names: {"example.org": ["93.184.216.34"]}; a list of lists answers its items one after another, the last for
    ever. A function gets (id, question, type) and returns the packets to send. What is not there does not exist."""

    def __init__(self, names):
        self.names, self.asked = names, []
        self.turn = collections.Counter()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(RESOLVER)
        self.tcp = Server(self._serve_tcp, *RESOLVER)
        self.thread = threading.Thread(target=self._serve_udp, daemon=True)
        self.thread.start()

    def _serve_udp(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if packet == b"end":
                return
            for answer in self.answers(packet, False):
                self.udp.sendto(answer, peer)

    def _serve_tcp(self, conn):
        size = struct.unpack(">H", read_exactly(conn, 2))[0]
        for answer in self.answers(read_exactly(conn, size), True):
            conn.sendall(struct.pack(">H", len(answer)) + answer)

    def answers(self, packet, tcp):
        name, at = [], 12
        while packet[at]:
            name.append(packet[at + 1:at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        name, kind = ".".join(name), struct.unpack(">H", packet[at + 1:at + 3])[0]
        self.asked.append((name, {1: "A", 28: "AAAA"}[kind], tcp))
        found = self.names.get(name)
        if callable(found):
            return found(packet, kind, tcp)
        if found and isinstance(found[0], list):
            turn = self.turn[name, kind]
            self.turn[name, kind] += 1
            found = found[min(turn, len(found) - 1)]
        return [self.packet(packet, kind, found)]

    @staticmethod
    def packet(query, kind, addresses, flags=0x8180, more=()):
        """The answer with those of the addresses that are of this kind. None: no such name. more: records before them."""
        question = query[12:]
        records = list(more)
        for address in addresses or ():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            if (kind == 28) == (family == socket.AF_INET6):
                records.append(dns_record(b"\xc0\x0c", kind, socket.inet_pton(family, address)))
        if addresses is None:
            flags |= 3
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"end", RESOLVER)
        self.thread.join(PATIENCE)
        self.udp.close()
        self.tcp.close()
