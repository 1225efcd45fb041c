# SPDX-License-Identifier: Apache-2.0
"""What the tests of this directory share beside fixtures."""
import ctypes
import os
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("O", "build"))

# For uid 0 an exec gives back all that is not bounded; no_new_privs takes it away again. Only the three together are off.
CAPS = "caps=caps+bounding+nnp"


def switches(defence):
    return tuple(defence.partition("=")[2].split("+")) if "=" in defence else (defence,)


def escaped(done):
    return "ESCAPED" in done.out


def outcome(done):
    """What `attack` said, by attempt: True if it worked."""
    found = {}
    for line in done.out.splitlines():
        word, _, rest = line.partition(" ")
        if word == "ESCAPED":
            found[rest] = True
        elif word == "refused":
            found.setdefault(rest.partition(":")[0], False)
    return found


CLONE_NEWNET = 0x40000000


def in_own_network(function):
    """Call it where loopback is nobody else's: in a network namespace of its own if we may, of a thread that ends with it."""
    if os.geteuid() != 0:
        return function()
    box = {}

    def run():
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            box["value"] = function()
        except BaseException as error:  # pylint: disable=broad-except
            box["error"] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in box:
        raise box["error"]
    return box["value"]


def wait_until(condition, seconds=5):
    """For what happens off the path of a result and has no event to wait for."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
