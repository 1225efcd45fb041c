# SPDX-License-Identifier: Apache-2.0
"""What the programs that people and agents use show of a refusal, and that each works where a rule allows it.

Three things a proxy cannot change, so the rule and the hint stand in the sandbox's result alone: curl, and git which
uses it, show of a refused CONNECT nothing but its number; pip says of an index over plain http only that it found
nothing. Everywhere else the reason phrase or the body is shown.
"""
import json
import os
import shutil
import ssl
import subprocess
import sys

import pytest

from world import EXAMPLE, read_request

LINE = "is not allowed (network.default=deny); allow it with --allow example.org:{port}"
NOTHING = "No matching distribution found for left-pad"
NUMBER = "CONNECT tunnel failed, response 403"
SECONDS = 60

PACKUMENT = {"name": "left-pad", "dist-tags": {"latest": "1.3.0"},
             "versions": {"1.3.0": {"name": "left-pad", "version": "1.3.0", "dist": {"tarball": "x", "shasum": "0" * 40}}}}


def site(conn):
    """A web server, a package index, a registry and a git repository, as far as anybody asks here."""
    head, _ = read_request(conn)
    if head is None:
        return
    path = head.split(" ")[1]
    if path.startswith("/left-pad"):
        kind, body = "application/json", json.dumps(PACKUMENT)
    elif "info/refs" in path:
        kind = "application/x-git-upload-pack-advertisement"
        body = "001e# service=git-upload-pack\n0000" + "003f" + "1" * 40 + " refs/heads/main\0x\n" + "0000"
        assert len("1" * 40 + " refs/heads/main\0x\n") + 4 == 0x3f
    else:
        kind, body = "text/html", "<html><body>the page</body></html>"
    conn.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


PIP = ["-m", "pip", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--isolated", "download", "--no-deps",
       "--retries", "1", "--timeout", "20", "-d", "{home}"]
# name: command, what it shows if it may, what of a refused http and a refused https
CLIENTS = {
    "curl": (["curl", "-sS", "--cacert", "{ca}", "{url}"], "the page", LINE, NUMBER),
    "wget": (["wget", "-O", "-", "--tries=1", "--ca-certificate={ca}", "{url}"], "the page", LINE, LINE),
    "git": (["git", "-c", "http.sslCAInfo={ca}", "ls-remote", "{url}x.git"], "refs/heads/main", LINE, NUMBER),
    "urllib": ([sys.executable, "-c", "import ssl, sys, urllib.request as u\n"
                "c = ssl.create_default_context(cafile=sys.argv[2])\n"
                "print(u.urlopen(sys.argv[1], context=c).read())", "{url}", "{ca}"], "the page", LINE, LINE),
    "pip": ([sys.executable, *PIP, "--cert", "{ca}", "--trusted-host", "{trust}", "-i", "{url}simple", "left-pad"],
            "from versions: none", NOTHING, LINE),
    "npm": (["npm", "--registry={url}", "--fetch-retries=0", "--cafile={ca}", "--no-update-notifier", "view", "left-pad",
             "version"], "1.3.0", LINE, LINE),
}


@pytest.fixture
def client(tmp_path, certificate):
    """client(name, url, proxy): (exit code, everything that it printed)."""

    def run(name, url, proxy):
        argv = CLIENTS[name][0]
        if not shutil.which(argv[0]):
            pytest.skip(f"{argv[0]} is not installed")
        if name == "pip" and subprocess.run([argv[0], "-m", "pip", "--version"], capture_output=True,
                                            check=False).returncode:
            pytest.skip("pip is not installed")
        argv = [a.format(url=url, ca=certificate[0], home=tmp_path,
                         trust="example.org" if url.startswith("http:") else "nobody.test") for a in argv]
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0"}
        for name_ in ("http_proxy", "https_proxy", "all_proxy"):
            env[name_] = env[name_.upper()] = proxy
        env["no_proxy"] = env["NO_PROXY"] = "localhost,127.0.0.1,::1"
        done = subprocess.run(argv, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
        return done.returncode, done.stdout.decode(errors="replace")

    return run


@pytest.fixture
def sites(serve, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def secure(conn):
        try:
            with context.wrap_socket(conn, server_side=True) as tls:
                site(tls)
        except ssl.SSLError:    # a client that went away
            pass

    serve(site, EXAMPLE, 80)
    serve(secure, EXAMPLE, 443)


@pytest.mark.parametrize("name", CLIENTS)
def test_what_is_shown(start, names, sites, client, name):    # pylint: disable=unused-argument
    refusing = start([])
    proxy = refusing.listen(3128)
    for scheme, port in (("https", 443), ("http", 80)):
        code, shown = client(name, f"{scheme}://example.org/", proxy)
        expected = CLIENTS[name][3 if scheme == "https" else 2]
        assert expected.format(port=port) in " ".join(shown.split()), shown
        assert code != 0 or (name, scheme) == ("curl", "http")    # without -f a 403 is a page like another
        while (denied := refusing.report("denied")).target != f"example.org:{port}":
            pass    # of a client that had tried again
        assert denied.hint == f"allow it with --allow example.org:{port}"
    allowing = start(["example.org:80", "example.org:443"])
    proxy = allowing.listen(3129)
    for scheme in ("http", "https"):
        code, shown = client(name, f"{scheme}://example.org/", proxy)
        assert CLIENTS[name][1] in shown and "403" not in shown, shown
        assert allowing.report("opened").target.startswith("example.org:")
        assert allowing.report("closed")


def test_curl_over_socks(start, names, sites, client, certificate):    # pylint: disable=unused-argument
    """socks5h: the name comes to the proxy. With socks5 the client would look it up inside, where nobody answers."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    keeper = start(["example.org:443", "example.org:80"])
    proxy = keeper.listen(3128).replace("http", "socks5h")
    argv = ["curl", "-sS", "--cacert", certificate[0], "-x", proxy]
    for url in ("https://example.org/", "http://example.org/"):
        done = subprocess.run([*argv, url], capture_output=True, timeout=SECONDS, check=False)
        assert b"the page" in done.stdout, done.stderr
    done = subprocess.run([*argv, "https://other.test/"], capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 97 and b"(2)" in done.stderr    # not allowed by ruleset
