# SPDX-License-Identifier: Apache-2.0
"""The host's daemons by their Unix sockets, and what they would hand over (SCM_RIGHTS).

By path in a workspace   `ro` and `cow` are overlays, whose sockets are not those below. No switch: without the overlay
                         there is no workspace. The control connects from outside and receives the descriptor.
By path elsewhere        no other host directory that could hold one is shown.
Abstract names           the network namespace and Landlock's scope, each alone.
"""
import array
import os
import secrets
import socket
import subprocess
import threading

import pytest

from escape import outcome


class Daemon:
    """Whoever connects gets a descriptor of a secret file."""

    def __init__(self, address, secret):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(address)
        self.socket.listen(8)
        self.secret, self.served = secret, 0
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer, open(self.secret, "rb") as f:
                self.served += 1
                try:
                    peer.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [f.fileno()]))])
                except OSError:
                    pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(5)


@pytest.fixture
def daemon(outside, canary):
    made = []

    def make(address):
        made.append(Daemon(address, outside(canary)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def native(attack_program, address):
    return subprocess.run([attack_program, "unix", address], capture_output=True, text=True, check=True, timeout=20).stdout


@pytest.mark.parametrize("mode", ["ro", "cow"])
def test_a_socket_in_the_workspace(anyone, own, workspace, daemon, tools, attack_program, canary, mode):
    ws = workspace(anyone, {"f": "x"})
    path = os.path.join(ws, "daemon.sock")
    server = daemon(path)
    os.chmod(path, 0o777)
    own(anyone, ws)
    assert canary in native(attack_program, path), "inconclusive: the daemon does not serve"
    before = server.served
    done = anyone.run("--quiet", "--tools", tools, "--workspace", f"{ws}:{mode}", "--", attack_program, "unix", path, "daemon.sock",
                      f"/proc/self/cwd/daemon.sock")
    assert "tried" in done.out and not any(outcome(done).values()) and canary not in done.out, repr(done)
    assert server.served == before


def test_an_abstract_name(anyone, prove, daemon, canary):
    name = "pf-escape-" + secrets.token_hex(6)
    daemon("\0" + name)
    prove(anyone, ["unix", "@" + name], ["netns", "landlock"], worked=lambda done: canary in done.out)


# A hole: --tools and the policy's mounts are binds, and a socket of the host is one there too. An overlay without an upper, as
# `ro` workspaces have, would be the cure; Landlock can forbid it from ABI 9 on.
@pytest.mark.xfail(strict=True, reason="known hole: sockets in a --tools tree are the host's")
def test_a_socket_in_a_tool_tree(anyone, own, workspace, daemon, tools, attack_program, canary):
    tree = workspace(anyone, {"bin/x": "x"})
    path = os.path.join(tree, "daemon.sock")
    server = daemon(path)
    os.chmod(path, 0o777)
    own(anyone, tree)
    assert canary in native(attack_program, path), "inconclusive: the daemon does not serve"
    before = server.served
    done = anyone.run("--quiet", "--tools", tools, "--tools", tree, "--", attack_program, "unix", path)
    assert "tried" in done.out and not any(outcome(done).values()) and canary not in done.out, repr(done)
    assert server.served == before


def test_daemons_of_the_host(anyone, refused):
    refused(anyone, ["unix", "/run/docker.sock", "/var/run/docker.sock", "/run/systemd/private", "/run/dbus/system_bus_socket",
                     "/run/containerd/containerd.sock", "/run/user/1000/bus", "/run/user/0/bus", "/tmp/.X11-unix/X0",
                     "@/tmp/.X11-unix/X0", "/run/pinfold"])
