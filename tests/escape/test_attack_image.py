# SPDX-License-Identifier: Apache-2.0
"""An image that attacks the host while its sandbox is made.

CVE-2026-41579 (runc), CVE-2026-47766 (crun)    /dev of the image is a link, and devices are made where it leads
CVE-2021-30465, 2024-45310, 2019-18837          links on the way to a mount point: what is made or mounted lands elsewhere
    image_links   what stands in the image where pinfold has places is covered by a directory of the skeleton; what stands
                  where the user wants one is refused
    beneath       mount points are resolved through no link at all
A passwd or a HOME that is a link out of the image: a file of the host is copied, a directory of it is mounted as a layer
    image_beneath the image is looked into by openat2(2), beneath its root
CVE-2026-30892                                  an account that is read loosely: tests/tier/test_image.py, tests/unit/test_account.c
Set-user-id programs of the image               as in test_attack_privilege.py

The image itself is read-only three times over (an overlay without an upper, a mount that is read-only, an EROFS file);
none of that has a switch, since without the first there is nothing that could be written to.
"""
import os

import pytest

import images
from escape import outcome


@pytest.fixture
def victim_dir(_place):
    """A directory of the host in which anybody could make something. victim_dir.made(): what is in it."""
    made = []

    class Victim(str):
        def made(self):
            return sorted(os.listdir(self))

    def make():
        path = os.path.join(_place, f"victim-{len(made)}")
        os.mkdir(path)
        os.chmod(path, 0o777)
        made.append(path)
        return Victim(path)

    yield make
    for path in made:
        for name in os.listdir(path):
            os.rmdir(os.path.join(path, name))
        os.rmdir(path)


def up(path):
    return "../" * 12 + path.lstrip("/")


# --- where mounts land ----------------------------------------------------------------------

PLACES = [["proc", "dev", "sys", "tmp", "run", "var", "etc", "home"], ["var/tmp", "home/user"]]
SHAPES = ["absolute", "relative", "to ..", "to itself", "to /proc/self/root", "a file", "a fifo", "missing"]


def shape_it(tree, shape, place, victim):
    if shape == "a file":
        return tree.file(place, "x")
    if shape == "a fifo":
        return tree.fifo(place)
    if shape == "missing":
        return tree.remove(place)
    target = {"absolute": victim, "relative": up(victim), "to ..": "..", "to itself": os.path.basename(place),
              "to /proc/self/root": "/proc/self/root/tmp"}[shape]
    return tree.link(place, target)


WHOLE = ("test -c /dev/null && test -d /proc/self/fd && test -d /sys/devices && echo x >/tmp/x && echo x >/run/x && echo x >/var/tmp/x &&"
         " echo x >~/x && grep -q pinfold /etc/hosts && id -un && for d in / /proc /dev /sys /tmp /run /var /var/tmp /etc /home /home/user; do"
         " test -L $d && echo LINK $d; done; echo whole")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("places", PLACES)
def test_places_of_an_image(anyone, image, odd_image, victim_dir, places, shape):
    """Whatever it has where the sandbox's own places are: they are all there, and nothing of the host was touched."""
    victim = victim_dir()
    before = os.stat(victim)
    tree = images.busybox().dir("home/user")
    for place in places:
        shape_it(tree, shape, place, victim)
    name = (odd_image if shape in ("relative", "to ..") else image)(anyone, tree)
    done = anyone.run("--quiet", "--image", name, "--", "sh", "-c", WHOLE)
    assert done.out == "user\nwhole\n", repr(done)
    after = os.stat(victim)
    assert victim.made() == [] and (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)


def test_a_link_where_a_place_is_made(anyone, prove, image, tools, attack_program, victim_dir):
    """/home leads out: HOME would be made there. (With .. it leads nowhere: a root has no parent.)"""
    victim = victim_dir()
    name = image(anyone, images.busybox().link("home", victim))

    def run(program):
        return program.run("--quiet", "--image", name, "--tools", tools, "--", attack_program, "read", "/home/user/secret")

    def reset():
        for made in victim.made():
            os.rmdir(os.path.join(victim, made))

    prove(anyone, None, ["image_links", "beneath"], run=run, worked=lambda done: victim.made() == ["user"], may_not_start=["beneath"], reset=reset)


def test_a_link_where_the_workspace_is_placed(anyone, prove, image, tools, attack_program, victim_dir, workspace):
    """The program that ships refuses it by name, and nothing starts."""
    victim, ws = victim_dir(), workspace(anyone, {"secret": "mine"})
    name = image(anyone, images.busybox().link("srv", victim))

    def run(program):
        return program.run("--quiet", "--image", name, "--tools", tools, "--workspace", f"{ws}:ro:path=/srv/new", "--", attack_program, "read",
                           "/srv/new/secret")

    def reset():
        for made in victim.made():
            os.rmdir(os.path.join(victim, made))

    prove(anyone, None, ["image_links", "beneath"], run=run, worked=lambda done: victim.made() == ["new"],
          may_not_start=["image_links", "beneath"], reset=reset)
    done = run(anyone)
    assert done.code == 125 and "is a link of the image" in done.err


# --- what is read of an image -------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["absolute", "relative", "its directory"])
def test_a_passwd_of_the_hosts(anyone, prove, image, odd_image, tools, attack_program, outside, canary, shape):
    """It is read by who makes the sandbox, and copied with a line more: any file of his."""
    if shape == "relative" and not anyone.prefix:
        pytest.skip("a mounted image has no parent that .. could lead to")
    secret = outside(f"{canary}:x:77:77::/:/bin/sh\n", name="passwd", mode=0o644 if anyone.prefix else 0o600)
    tree = images.busybox()
    if shape == "its directory":
        tree.remove("etc").link("etc", os.path.dirname(secret))
    else:
        tree.link("etc/passwd", secret if shape == "absolute" else up(secret))
    name = (odd_image if shape == "relative" else image)(anyone, tree)
    prove(anyone, None, ["image_beneath"], worked=lambda done: canary in done.out,
          run=lambda program: program.run("--quiet", "--image", name, "--tools", tools, "--", attack_program, "read", "/etc/passwd"))


def test_a_passwd_that_never_ends(anyone, image):
    """Devices cannot be in an image; a FIFO may be, and a link to what is endless outside."""
    for change in (lambda t: t.fifo("etc/passwd"), lambda t: t.link("etc/passwd", "/dev/zero"), lambda t: t.dir("etc/passwd"),
                   lambda t: t.link("etc/passwd", "passwd"), lambda t: t.file("etc/passwd", b"\0" * 4096)):
        tree = images.busybox().remove("etc/passwd")
        change(tree)
        done = anyone.run("--quiet", "--image", image(anyone, tree), "--", "sh", "-c", "id -u; tail -n1 /etc/passwd | tr -d '\\000'")
        assert done.out == "1000\nuser:x:1000:1000::/home/user:/bin/sh\n", repr(done)
    tree = images.busybox().file("etc/passwd", b"x" * ((1 << 20) + 1))
    done = anyone.run("--quiet", "--image", image(anyone, tree), "--", "true")
    assert done.code == 125 and "longer than" in done.err


@pytest.mark.parametrize("shape", ["absolute", "on the way"])
def test_a_home_of_the_hosts(anyone, prove, image, tools, attack_program, outside, canary, shape):
    """HOME shows what the image has there, as a layer: of a directory of the host it would show that."""
    secret = outside(canary)
    top = os.path.dirname(secret)
    tree = images.busybox()
    if shape == "on the way":
        tree.remove("home").link("home", os.path.dirname(top))
        home = f"/home/{os.path.basename(top)}"
    else:
        tree.link("home/app", top)
        home = "/home/app"
    tree.file("etc/passwd", images.PASSWD + f"app:x:1000:1000::{home}:/bin/sh\n")
    name = image(anyone, tree)
    prove(anyone, None, ["image_beneath"], worked=lambda done: canary in done.out,
          run=lambda program: program.run("--quiet", "--image", name, "--tools", tools, "--", attack_program, "read", f"{home}/secret"))


# --- what is in an image ----------------------------------------------------------------------------


def test_a_set_user_id_program_of_the_image(pinfold, need_root, prove, image, attack_program):
    tree = images.busybox().copy("bin/suid", attack_program, 0o4755)
    name = image(pinfold, tree)
    # uid 0 of the sandbox is what it could become: the image's owners are mapped
    prove(pinfold, None, ["nnp", "nosuid"], worked=lambda done: outcome(done).get("uid 0", False),
          run=lambda program: program.run("--quiet", "--image", name, "--", "sh", "-c", "echo tried; exec /bin/suid"))


def test_a_set_user_id_program_gives_nobody_of_the_image_either(anyone, image, attack_program):
    """Whose owner is mapped in the sandbox: nosuid and no_new_privs refuse what the user namespace would allow."""
    tree = images.busybox().copy("bin/root", attack_program, 0o4755).file("bin/other", tree_bytes(attack_program), 0o6755, 33, 33)
    for program in ("root", "other"):
        done = anyone.run("--quiet", "--image", image(anyone, tree), "--", "sh", "-c", f"echo tried; exec /bin/{program}")
        assert "tried" in done.out and not any(outcome(done).values()), repr(done)


def tree_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def test_sockets_and_fifos_of_an_image_lead_nowhere(anyone, image):
    """A FIFO of a read-only image cannot connect two sandboxes: each has its own."""
    name = image(anyone, images.busybox().fifo("srv/fifo"))
    done = anyone.run("--quiet", "--image", name, "--timeout", "3s", "--", "sh", "-c", "test -p /srv/fifo && echo is; echo x 2>/dev/null >/srv/other || echo ro")
    assert done.out in ("is\nro\n", "ro\n"), repr(done)


def test_what_an_image_says_to_the_overlay_is_not_obeyed(pinfold, need_root, image):
    """Attributes of overlayfs in a layer: opaque, redirect and whiteouts of the image hide nothing of the skeleton's, and lead
    nowhere: it is the lowest layer."""
    tree = images.busybox().dir("var/x")
    for path, name, value in (("etc", "opaque", "y"), ("var", "redirect", "/etc"), ("var/x", "redirect", "/../../etc"), ("home", "opaque", "x")):
        info, _ = tree.entries[path]
        info.pax_headers = {f"SCHILY.xattr.trusted.overlay.{name}": value}
    done = pinfold.run("--quiet", "--image", image(pinfold, tree), "--", "sh", "-c", "cat /etc/image; grep -c pinfold /etc/hosts; ls -A /var/x; ls /var; ls /home")
    assert done.out == "of the image\n1\nrun\ntmp\nx\nuser\n", repr(done)
