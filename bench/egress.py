#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The door of a sandbox beside a direct connection and beside tinyproxy, in turn and in one run, in a network namespace of
its own.

    bench/egress.py --build build [--rounds 7] [--mb 512] [--json]     (as root)

bulk      one stream from the server to the client
requests  small HTTP requests, each on a connection of its own, one after another
start     from starting the program to its being ready, and its memory then

A client and the proxy are connected as a sandbox's are (a socket pair); "over tcp" is the same over loopback TCP, which
is how tinyproxy is reached. "in a sandbox" is all of the way: a client under `pinfold run`, init, the protocol, the keeper,
the proxy; the sandbox's start is not in its figures. Every figure is a median of the rounds; ratios are within a round.
"""
import argparse
import ctypes
import inspect
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TOP, "bench"), os.path.join(TOP, "tests/egress")]

import host      # noqa: E402
import world     # noqa: E402

BULK, SMALL, DOOR, TINY = 8001, 8002, 3128, 3129
PIECE = 1 << 18
TARGET = world.EXAMPLE


def enter_network():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0:
        sys.exit("bench: cannot make a network namespace (run it as root)")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for net in world.LOCAL4:
        subprocess.run(["ip", "route", "add", "local", net, "dev", "lo"], check=True)


def listen(address, port):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(256)
    return sock


def child(run):
    """A process of its own, so that server and client do not share an interpreter's lock. It ends with us."""
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(1, 9)    # PR_SET_PDEATHSIG, SIGKILL
        try:
            run()
        finally:
            os._exit(0)
    return pid


def serve_bulk(sock, size):
    data = bytes(PIECE)
    while True:
        conn, _ = sock.accept()
        with conn:
            conn.recv(1)
            left = size
            while left:
                left -= conn.send(data[:min(left, PIECE)])


def serve_small(sock):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    while True:
        conn, _ = sock.accept()
        with conn:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = conn.recv(4096)
                if not piece:
                    break
                data += piece
            conn.sendall(answer)


# --- ways to the server -----------------------------------------------------------------------


class Direct:
    name = "direct"

    def tunnel(self, port):
        return socket.create_connection((TARGET, port))

    def request(self):
        with socket.create_connection((TARGET, SMALL)) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return world.read_all(sock)


class Proxy:
    def __init__(self, name, connect):
        self.name, self.connect = name, connect

    def tunnel(self, port):
        sock = self.connect()
        sock.sendall(f"CONNECT {TARGET}:{port} HTTP/1.1\r\nHost: {TARGET}:{port}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):    # and not a byte of what follows
            piece = sock.recv(1)
            if not piece:
                sys.exit(f"bench: {self.name}: {head!r}")
            head += piece
        if b" 200 " not in head:
            sys.exit(f"bench: {self.name}: {head!r}")
        return sock

    def request(self):
        with self.connect() as sock:
            sock.sendall(f"GET http://{TARGET}:{SMALL}/ HTTP/1.1\r\nHost: {TARGET}:{SMALL}\r\n"
                         "Connection: close\r\n\r\n".encode())
            return world.read_all(sock)


def bulk(way, size):
    with way.tunnel(BULK) as sock:
        buffer = bytearray(PIECE)
        begun = time.perf_counter()
        sock.sendall(b"x")
        left = size
        while left:
            n = sock.recv_into(buffer)
            if n == 0:
                sys.exit(f"bench: {way.name} ended {left} bytes too early")
            left -= n
        return size / (time.perf_counter() - begun) / 1e6


def requests(way, count):
    begun = time.perf_counter()
    for _ in range(count):
        if not way.request().endswith(b"hello"):
            sys.exit(f"bench: {way.name} answered something else")
    return (time.perf_counter() - begun) / count * 1e6


def here(way, size, count):
    return {"bulk": bulk(way, size), "requests": requests(way, count)}


# --- the same from within a sandbox -----------------------------------------------------------


def in_sandbox(program, size, count):
    """The functions above, run by the sandbox's own Python."""
    source = "\n".join([
        "import json, socket, sys, time",
        f"TARGET, BULK, SMALL, PIECE = {TARGET!r}, {BULK}, {SMALL}, {PIECE}",
        "class world: pass",
        *[inspect.getsource(part) for part in (world.read_all, Proxy, bulk, requests, here)],
        "world.read_all = read_all",
        f"way = Proxy('in a sandbox', lambda: socket.create_connection(('127.0.0.1', {DOOR})))",
        f"print(json.dumps(here(way, {size}, {count})))"])
    done = subprocess.run([program, "run", "--rm", "--timeout", "none", "--allow", f"{TARGET}:*", "--", "python3", "-c", source],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: in a sandbox: {done.stderr}")
    return json.loads(done.stdout)


# --- proxies ----------------------------------------------------------------------------------


def start_tinyproxy(place):
    program = shutil.which("tinyproxy")
    if not program:
        return None
    path = os.path.join(place, "tinyproxy.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"User nobody\nGroup nogroup\nPort {TINY}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\nLogLevel Critical\n"
                f"ConnectPort {BULK}\n")
    process = subprocess.Popen([program, "-d", "-c", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", TINY)).close()
            return process
        except ConnectionRefusedError:
            time.sleep(0.01)
    sys.exit("bench: tinyproxy does not listen")


def memory_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        fields = {line.split()[0]: int(line.split()[1]) for line in f if "kB" in line}
    return fields["Pss:"], fields["Private_Dirty:"] + fields["Private_Clean:"]


def starts(program, rounds):
    took, pss = [], None
    for _ in range(rounds):
        begun = time.perf_counter()
        keeper = world.Keeper([program], [f"{TARGET}:*"])
        took.append((time.perf_counter() - begun) * 1e3)
        pss = memory_kib(keeper.process.pid)
        keeper.close()
    return statistics.median(took), pss


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mb", type=int, default=512)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    size = options.mb << 20
    idle = host.idle_percent()
    if idle < host.IDLE_NEEDED and not os.environ.get("BENCH_FORCE"):
        sys.exit(f"bench: the machine is busy ({idle:.0f} % idle); BENCH_FORCE=1 measures all the same")
    enter_network()
    servers = [(listen(TARGET, BULK), lambda s: serve_bulk(s, size)), (listen(TARGET, SMALL), serve_small)]
    children = [child(lambda s=s, run=run: run(s)) for s, run in servers]
    place = tempfile.mkdtemp(prefix="pf-bench-egress-")
    program = shutil.copy(os.path.join(options.build, "libexec/pinfold/pinfold-egress"), place)
    os.chmod(place, 0o755)
    tiny = start_tinyproxy(place)
    keeper = world.Keeper([program], [f"{TARGET}:*"])
    keeper.listen(DOOR)
    ways = [Direct(), Proxy("pinfold-egress", keeper.connect),
            Proxy("pinfold-egress over tcp", lambda: socket.create_connection(("127.0.0.1", DOOR)))]
    if tiny:
        ways.append(Proxy("tinyproxy over tcp", lambda: socket.create_connection(("127.0.0.1", TINY))))
    result = {"idle_percent": round(idle), "mb": options.mb, "rounds": options.rounds, "ways": {}}
    try:
        runs = {way.name: lambda way=way: here(way, size, options.requests) for way in ways}
        runs["pinfold run, in a sandbox"] = lambda: in_sandbox(os.path.join(options.build, "pinfold"), size, options.requests)
        figures = {name: {"bulk": [], "requests": []} for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                for kind, figure in run().items():
                    figures[name][kind].append(figure)
            keeper.clients[1:] = []    # done with
        direct = figures["direct"]
        for name, f in figures.items():
            result["ways"][name] = {
                "bulk_mb_s": round(statistics.median(f["bulk"])),
                "bulk_of_direct": round(statistics.median(a / b for a, b in zip(f["bulk"], direct["bulk"])), 2),
                "request_us": round(statistics.median(f["requests"])),
                "request_of_direct": round(statistics.median(a / b for a, b in zip(f["requests"], direct["requests"])), 2)}
        took, (pss, private) = starts(program, options.rounds)
        result["start_ms"], result["pss_kib"], result["private_kib"] = round(took, 2), pss, private
    finally:
        keeper.close()
        if tiny:
            tiny.terminate()
            tiny.wait()
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        shutil.rmtree(place)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{options.mb} MB a stream, {options.requests} requests, {options.rounds} rounds, machine {idle:.0f} % idle before")
    print(f"{'':26}{'MB/s':>8}{'of direct':>11}{'us/request':>12}{'of direct':>11}")
    for name, f in result["ways"].items():
        print(f"{name:26}{f['bulk_mb_s']:>8}{f['bulk_of_direct']:>11}{f['request_us']:>12}{f['request_of_direct']:>11}")
    print(f"start of pinfold-egress {result['start_ms']} ms, {result['pss_kib']} KiB PSS, {result['private_kib']} KiB private")


if __name__ == "__main__":
    main()
