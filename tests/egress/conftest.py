# SPDX-License-Identifier: Apache-2.0
"""pinfold-egress by itself: a network namespace with world.py in it, and the program as root, as a user, and under ASan."""
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world    # noqa: E402
from internet import network    # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("O", "build"))

@pytest.fixture(scope="module")
def internet():
    """See internet.py."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for a network namespace of its own")
    if not shutil.which("ip"):
        pytest.skip("ip is not installed")
    with network() as six:
        yield {"ipv6": six}


@pytest.fixture(scope="session")
def _programs():
    """Copies that everybody may run: the sources may lie where only root can look."""
    place = tempfile.mkdtemp(prefix="pf-egress-")
    os.chmod(place, 0o755)
    found = {}
    for name, part in (("release", ""), ("asan", "asan")):
        source = os.path.join(BUILD, part, "libexec/pinfold/pinfold-egress")
        if os.path.exists(source):
            found[name] = os.path.join(place, "pinfold-egress-" + name)
            shutil.copy2(source, found[name])
            os.chmod(found[name], 0o755)
    if "release" not in found:
        pytest.fail(f"pinfold-egress is not built in {BUILD}")
    yield found
    shutil.rmtree(place, ignore_errors=True)


def _starter(internet, argv, env=None):
    keepers = []

    def start(rules=(), **options):
        keeper = world.Keeper(argv, rules, env=env, **options)
        keepers.append(keeper)
        return keeper

    start.internet = internet
    return start, keepers


def _end(keepers):
    for keeper in keepers:
        keeper.close()


@pytest.fixture
def start(internet, _programs):
    """start(rules, **limits): a Keeper of the program that ships."""
    make, keepers = _starter(internet, [_programs["release"]])
    yield make
    _end(keepers)


@pytest.fixture(params=["release", "asan"])
def start_any(request, internet, _programs):
    """The same for hostile input: also of the build with ASan and UBSan."""
    if request.param not in _programs:
        pytest.fail("the build under ASan is not there")
    make, keepers = _starter(internet, [_programs[request.param]], {"PF_TESTING": "1"})
    yield make
    _end(keepers)


@pytest.fixture
def start_as_user(internet, _programs):
    """The same, by an ordinary user."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not there, so nobody else can be tested")
    prefix = ["setpriv", f"--reuid={world.USER}", f"--regid={world.USER}", "--clear-groups", "--"]
    make, keepers = _starter(internet, prefix + [_programs["release"]])
    yield make
    _end(keepers)


@pytest.fixture
def serve(internet):    # pylint: disable=unused-argument
    """serve(handler, address, port): a server of the world."""
    servers = []

    def make(handler, address=world.EXAMPLE, port=80):
        servers.append(world.Server(handler, address, port))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def names(internet):    # pylint: disable=unused-argument
    """names({...}): what the resolver of the world answers; changes are seen at once."""
    resolver = world.Resolver({"example.org": [world.EXAMPLE], "other.test": [world.OTHER],
                               "private.test": [world.PRIVATE]})
    yield resolver
    resolver.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(certificate, key) of example.org and other.test, signed by itself."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    place = tmp_path_factory.mktemp("tls")
    cert, key = str(place / "cert.pem"), str(place / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=example.org", "-addext",
                    "subjectAltName=DNS:example.org,DNS:other.test"], check=True, capture_output=True)
    return cert, key
