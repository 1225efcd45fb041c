# SPDX-License-Identifier: Apache-2.0
"""steps("root"): what the steps of that boot said. The boots that the chosen tests need run once, two at a time."""
import concurrent.futures
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("O", "build"))
CACHE = os.path.join(BUILD, "cache/hosts")
BOOTS_AT_ONCE = 2

sys.path.insert(0, HERE)

import boot  # noqa: E402
import mkinitramfs  # noqa: E402
import situations  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "host(boot, situation): the boot and the situation in it that a test looks at")


@pytest.fixture(scope="session")
def kernel():
    try:
        return boot.find_kernel(CACHE)
    except boot.Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def boots(request, kernel):
    """Boot name -> future."""
    marks = (item.get_closest_marker("host") for item in request.session.items)
    names = list(dict.fromkeys(mark.args[0] for mark in marks if mark))
    pool = concurrent.futures.ThreadPoolExecutor(BOOTS_AT_ONCE)
    yield {name: pool.submit(boot.boot, kernel, situations.BOOTS[name].script, BUILD, CACHE, situations.BOOTS[name].append)
           for name in names}
    pool.shutdown(cancel_futures=True)


class Situation:
    """The steps of one situation: host["doctor"], and host.result("exit") for a run's JSON."""

    def __init__(self, name, steps, validate):
        self.name, self.steps, self.validate = name, steps, validate

    def __getitem__(self, what):
        return self.steps[f"{self.name}.{what}"]

    def result(self, what):
        value = self[what].json()
        self.validate(value)
        return value


@pytest.fixture
def host(request, boots):
    name, situation = request.node.get_closest_marker("host").args
    try:
        steps = boots[name].result()
    except mkinitramfs.Missing as why:
        pytest.skip(str(why))
    from conftest import validator    # tests/conftest.py's, which knows the schema
    return Situation(situation, steps, validator().validate)
