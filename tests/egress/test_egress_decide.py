# SPDX-License-Identifier: Apache-2.0
"""Where a sandbox may go: rules, names, what they resolve to. Each refusal stands beside its control, which passes."""
import socket
import subprocess
import threading

import pytest

from world import (EXAMPLE, EXAMPLE6, METADATA, OTHER, PRIVATE, RESOLVER, Resolver, get, ok, says, socks,
                   tunnel, dns_name, dns_record, echo)


def test_what_has_a_rule_passes_and_is_reported(start, serve, names):
    serve(says(ok(b"hello")))
    keeper = start(["example.org:80"])
    answer = get(keeper, "http://example.org/x?y")
    assert (answer.status, answer.body) == (200, b"hello")
    opened, closed = keeper.report("opened"), keeper.report("closed")
    assert opened.target == closed.target == "example.org:80"
    assert opened.address == closed.address == EXAMPLE
    assert opened.rule == closed.rule == "example.org:80"
    assert (opened.protocol, opened.id, opened.request) == ("http", 1, 1)
    assert opened.sent == opened.received == 0
    assert closed.sent == len(b"GET /x?y HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")
    assert closed.received == len(ok(b"hello"))
    assert closed.reason == "none" and closed.duration >= opened.duration > 0
    reports, done = keeper.finish()
    assert not reports
    assert (done.opened, done.denied, done.unreached, done.unreported) == (1, 0, 0, 0)
    assert (done.sent, done.received) == (closed.sent, closed.received)


def test_what_has_none_is_refused_before_anybody_is_asked(start, serve, names):
    server = serve(says(ok()), OTHER)
    keeper = start(["example.org:80"])
    answer = get(keeper, "http://other.test/")
    line = "other.test:80 is not allowed (network.default=deny); allow it with --allow other.test:80"
    assert (answer.status, answer.reason) == (403, f"pinfold: {line}")
    assert answer.body.decode() == f"pinfold: network access to {line}\nThis sandbox may reach: example.org:80\n"
    assert answer.headers["proxy-status"] == "pinfold; error=http_request_denied"
    assert answer.headers["connection"] == "close"
    report = keeper.report("denied")
    assert (report.target, report.rule, report.hint, report.reason, report.address) == (
        "other.test:80", "network.default=deny", "allow it with --allow other.test:80", "no_rule", "")
    assert names.asked == [] and server.accepted == 0    # a name that is asked about has left the sandbox
    assert get(start(["other.test:80"]), "http://other.test/").status == 200    # the control


@pytest.mark.parametrize("rule, target, allowed", [
    ("example.org:443", "example.org:443", True),
    ("example.org:443", "EXAMPLE.org.:443", True),
    ("example.org:443", "example.org:444", False),
    ("example.org:443", "www.example.org:443", False),
    ("*.example.org:443", "www.example.org:443", True),
    ("*.example.org:443", "a.b.example.org:443", True),
    ("*.example.org:443", "example.org:443", False),
    ("*.example.org:443", "badexample.org:443", False),
    ("*:443", "www.example.org:443", True),
    ("*:443", f"{EXAMPLE}:443", False),
    (f"{EXAMPLE}:443", f"{EXAMPLE}:443", True),
    (f"{EXAMPLE}:443", "example.org:443", False),    # names are not allowed by where they lead
    ("93.184.216.0/24:*", f"{EXAMPLE}:443", True),
    ("93.184.217.0/24:*", f"{EXAMPLE}:443", False),
    ("93.184.216.0/24:400-450", f"{EXAMPLE}:443", True),
    ("93.184.216.0/24:444-450", f"{EXAMPLE}:443", False),
])
def test_rules(start, serve, names, rule, target, allowed):
    names.names.update({n: [EXAMPLE] for n in ("www.example.org", "a.b.example.org", "badexample.org")})
    serve(echo, EXAMPLE, 443)
    serve(echo, EXAMPLE, 444)
    keeper = start([rule])
    answer, _ = tunnel(keeper, target)
    assert answer.status == (200 if allowed else 403), answer.reason
    assert keeper.report().kind == ("opened" if allowed else "denied")


def test_without_rules_everything_is_refused_and_no_socket_can_be_made(start_any, names):
    keeper = start_any([])
    assert {"no_sockets", "seccomp"} <= keeper.held
    for url in ("http://example.org/", f"http://{EXAMPLE}/", "http://127.0.0.1:8000/"):
        answer = get(keeper, url)
        assert answer.status == 403 and "(network.default=deny)" in answer.reason
        assert answer.body.endswith(b"This sandbox has no network.\n")
    code, _ = socks(keeper, "example.org", 443)
    assert code == 2    # "connection not allowed by ruleset"
    assert names.asked == []
    _, done = keeper.finish()
    assert (done.opened, done.denied) == (0, 4)


# --- what names lead to ---------------------------------------------------------------------


def test_a_name_that_leads_inside_is_refused_unless_its_address_is_written(start, serve, names):
    serve(says(ok(b"inside")), PRIVATE)
    keeper = start(["private.test:80"])
    answer = get(keeper, "http://private.test/")
    assert answer.status == 403
    assert answer.reason == ("pinfold: private.test:80 is not allowed (network.private=deny); its address is 10.9.0.7, "
                             "a private address (RFC 1918); allow that with --allow 10.9.0.7:80")
    report = keeper.report("denied")
    assert (report.reason, report.address, report.target) == ("special", PRIVATE, "private.test:80")
    assert answer.headers["proxy-status"] == "pinfold; error=destination_ip_prohibited"
    for also in (f"{PRIVATE}:80", "10.0.0.0/8:80"):
        assert get(start(["private.test:80", also]), "http://private.test/").body == b"inside"
    # ... of that port
    assert get(start(["private.test:80", f"{PRIVATE}:81"]), "http://private.test/").status == 403
    # and by the address itself, which needs no name
    assert get(start([f"{PRIVATE}:80"]), f"http://{PRIVATE}/").body == b"inside"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "::ffff:10.9.0.7", "fd00:9::1",
                                     "100.64.0.1", "64:ff9b::a09:7", "2002:a09:7::1", "224.0.0.1", "255.255.255.255"])
def test_addresses_that_no_name_may_lead_to(start, names, address):
    names.names["example.org"] = [address]
    keeper = start(["example.org:80"])
    assert get(keeper, "http://example.org/").status == 403
    report = keeper.report("denied")
    assert report.reason in ("special", "never") and report.address
    names.names["example.org"] = [EXAMPLE]    # the control: nobody listens there, but it may be dialled
    assert get(keeper, "http://example.org/").status == 502
    assert keeper.report("unreached").reason == "unreachable"


def test_metadata_is_never_reached_not_even_by_a_wide_rule(start, serve, names):
    server = serve(says(ok(b"credentials")), METADATA)
    names.names["metadata.test"] = [METADATA]
    keeper = start(["0.0.0.0/0:80", "*:80"])
    for url in (f"http://{METADATA}/latest/", "http://metadata.test/latest/", "http://[::ffff:169.254.169.254]/latest/"):
        answer = get(keeper, url)
        assert answer.status == 403 and "network.link_local=never" in answer.reason
        assert keeper.report("denied").reason == "never"
    assert server.accepted == 0
    serve(says(ok(b"public")), EXAMPLE)
    assert get(keeper, f"http://{EXAMPLE}/").body == b"public"    # the control
    refused = start(["169.254.169.254:80"])    # and nobody can write it
    assert "never allowed" in refused.failed


def test_an_address_of_this_host_is_special(start, serve, names):
    """A service behind the host's firewall is open to the host itself, and so would be to the sandbox."""
    own = "198.41.0.99"
    subprocess.run(["ip", "addr", "add", f"{own}/32", "dev", "lo"], check=True)
    try:
        serve(says(ok(b"behind the firewall")), own)
        names.names["host.test"] = [own]
        answer = get(start(["host.test:80"]), "http://host.test/")
        assert answer.status == 403 and "an address of this host" in answer.reason
        assert get(start(["host.test:80", f"{own}:80"]), "http://host.test/").status == 200
    finally:
        subprocess.run(["ip", "addr", "del", f"{own}/32", "dev", "lo"], check=True)


def test_a_name_that_changes_between_two_answers(start, serve, names):
    """DNS rebinding: what was judged is what is dialled; the second answer is judged for the second connection."""
    inside = serve(says(ok(b"inside")), PRIVATE)
    serve(says(ok(b"outside")), EXAMPLE)
    names.names["rebind.test"] = [[EXAMPLE], [PRIVATE]]
    keeper = start(["rebind.test:80"])
    assert get(keeper, "http://rebind.test/").body == b"outside"
    assert len(names.asked) == 2    # A and AAAA once: nothing is looked up between judgement and use
    assert get(keeper, "http://rebind.test/").status == 403
    assert inside.accepted == 0
    # the control: with the rule the very same second answer is dialled
    names.turn.clear()
    keeper = start(["rebind.test:80", "10.0.0.0/8:80"])
    assert [get(keeper, "http://rebind.test/").body for _ in range(2)] == [b"outside", b"inside"]


def test_of_mixed_answers_only_what_is_allowed_is_dialled(start, serve, names):
    inside = serve(says(ok(b"inside")), PRIVATE)
    serve(says(ok(b"outside")), EXAMPLE)
    names.names["mixed.test"] = [PRIVATE, EXAMPLE]
    keeper = start(["mixed.test:80"])
    assert get(keeper, "http://mixed.test/").body == b"outside"
    assert inside.accepted == 0


def test_each_address_is_dialled_once(start, serve, names):
    """One that refuses is not tried again; the next is."""
    serve(says(ok(b"second")), OTHER)
    names.names["two.test"] = [EXAMPLE, OTHER, EXAMPLE]
    keeper = start(["two.test:80"])
    assert get(keeper, "http://two.test/").body == b"second"
    assert keeper.report("opened").address == OTHER
    names.names["two.test"] = [EXAMPLE]
    answer = get(keeper, "http://two.test/")
    assert answer.status == 502 and answer.reason.endswith("; it refuses the connection")


def test_ipv6(start, serve, names):
    if not start.internet["ipv6"]:
        pytest.skip("this kernel has no IPv6")
    serve(says(ok(b"six")), EXAMPLE6)
    names.names["example.org"] = [EXAMPLE6]
    assert get(start(["example.org:80"]), "http://example.org/").body == b"six"
    assert get(start(["[2606:2800::/32]:80"]), f"http://[{EXAMPLE6}]/").body == b"six"
    answer = get(start(["example.org:80"]), f"http://[{EXAMPLE6}]/")
    assert answer.reason.endswith(f"allow it with --allow '[{EXAMPLE6}]:80'")
    # both families: the one that answers
    serve(says(ok(b"four")), OTHER)
    names.names["both.test"] = ["2606:2800:220:1::99", OTHER]
    assert get(start(["both.test:80"]), "http://both.test/").body == b"four"


# --- the resolver ---------------------------------------------------------------------------


def test_names_that_are_not_there(start, names):
    keeper = start(["gone.test:80", "silent.test:80", "sick.test:80"], dial_ms=500)
    names.names["sick.test"] = lambda packet, kind, tcp: [Resolver.packet(packet, kind, [], 0x8182)]    # SERVFAIL
    names.names["silent.test"] = lambda packet, kind, tcp: []
    for name, status, hint in (("gone", 502, "there is no such name"),
                               ("sick", 502, "no resolver of the host could tell its address"),
                               ("silent", 504, "the resolvers of the host take too long")):
        answer = get(keeper, f"http://{name}.test/")
        assert (answer.status, answer.reason.split("; ")[1]) == (status, hint)
        report = keeper.report("unreached")
        assert report.target == f"{name}.test:80" and report.hint == hint


def test_an_answer_that_does_not_fit_comes_over_tcp(start, serve, names):
    serve(says(ok()))
    names.names["example.org"] = lambda packet, kind, tcp: [
        Resolver.packet(packet, kind, [EXAMPLE] if tcp else [], 0x8180 if tcp else 0x8380)]
    assert get(start(["example.org:80"]), "http://example.org/").status == 200
    assert ("example.org", "A", True) in names.asked


def test_forged_and_foreign_answers_are_not_taken(start_any, serve, names):
    """Before the right one come: a wrong id, another name's, another type's, a query, garbage, and records of others."""
    trap = serve(says(ok(b"trap")), OTHER)
    serve(says(ok(b"right")), EXAMPLE)

    def answers(packet, kind, tcp):
        def trap_answer(query):
            return Resolver.packet(query, kind, [OTHER])

        foreign = dns_record(dns_name("other.test"), kind, socket.inet_pton(socket.AF_INET, OTHER) * (1 if kind == 1 else 4))
        return [trap_answer(bytes([packet[0] ^ 1]) + packet[1:]),
                trap_answer(packet[:12] + dns_name("other.test") + packet[-4:]), trap_answer(packet[:-4] + b"\0\x10\0\1"),
                packet, b"", b"\0" * 12, packet[:2] + b"\x81",
                Resolver.packet(packet, kind, [EXAMPLE], more=[foreign])]

    names.names["example.org"] = answers
    assert get(start_any(["example.org:80"]), "http://example.org/").body == b"right"
    assert trap.accepted == 0


def test_an_alias_is_followed_within_its_answer(start, serve, names):
    serve(says(ok(b"aliased")), OTHER)

    def answers(packet, kind, tcp):
        more = [dns_record(b"\xc0\x0c", 5, dns_name("other.test"))]
        if kind == 1:
            more.append(dns_record(dns_name("OTHER.test"), kind, socket.inet_pton(socket.AF_INET, OTHER)))
        return [Resolver.packet(packet, kind, [], more=more)]

    names.names["example.org"] = answers
    keeper = start(["example.org:80"])
    assert get(keeper, "http://example.org/").body == b"aliased"
    assert keeper.report("opened").target == "example.org:80"


def test_localhost_is_never_asked_about(start, names):
    keeper = start(["*:80"])
    answer = get(keeper, "http://localhost/")
    assert answer.status == 403 and "a loopback address of the host" in answer.reason
    assert names.asked == []
    # and no hint names a rule that cannot be written
    answer = get(start([]), "http://localhost:8000/")
    assert "localhost is the sandbox's own" in answer.reason and "--allow" not in answer.reason
    assert "--allow" not in get(start([]), "http://x.onion/").reason


def test_the_hosts_own_files_serve_without_a_resolver_of_the_keepers(start, tmp_path):
    """/etc/hosts of a mount namespace of the test's own."""
    hosts = tmp_path / "hosts"
    hosts.write_text("# comment\n93.184.216.34 files.test alias.test # more\n10.9.0.7\tinside.test\nbad line\n")
    done = threading.Event()
    got = {}

    def run():
        import ctypes    # in a thread: the mount namespace is its alone
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(0x00020000 | 0x00000200) == 0    # CLONE_NEWNS, CLONE_FS
        assert libc.mount(None, b"/", None, 0x4000 | 0x40000, None) == 0    # MS_REC, MS_PRIVATE
        assert libc.mount(str(hosts).encode(), b"/etc/hosts", None, 0x1000, None) == 0    # MS_BIND
        got["keeper"] = start(["files.test:80", "alias.test:80", "inside.test:80"], resolver=None)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done.is_set()
    keeper = got["keeper"]
    for name, reason in (("files", "unreachable"), ("alias", "unreachable"), ("inside", "special")):
        get(keeper, f"http://{name}.test/")
        report = keeper.report()
        assert report.reason == reason, report


def test_servers_are_asked_one_after_another(start, serve, names):
    """A resolver where nobody listens is known at once (ICMP), and reported."""
    keeper = start(["example.org:80"], resolver=("127.0.0.1", 5399))
    assert get(keeper, "http://example.org/").status == 502
    assert keeper.report("unreached").reason == "unresolved"
    serve(says(ok()))
    assert get(start(["example.org:80"], resolver=RESOLVER), "http://example.org/").status == 200


def test_a_client_that_leaves_while_a_name_is_looked_up(start, names):
    asked = threading.Event()

    def silent(packet, kind, tcp):
        asked.set()
        return []

    names.names["example.org"] = silent
    keeper = start(["example.org:80"])
    sock = keeper.connect()
    sock.sendall(b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n")
    assert asked.wait(30)
    sock.shutdown(socket.SHUT_RDWR)
    sock.close()
    assert get(keeper, "http://other.test/").status == 403    # it goes on with others
    _, done = keeper.finish()
    assert (done.opened, done.denied, done.unreached) == (0, 1, 0)


def test_a_rule_that_cannot_be_read_stops_the_start(start):
    assert "has a path" in start(["example.org:80/x"]).failed


