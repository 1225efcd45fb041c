# SPDX-License-Identifier: Apache-2.0
"""`--image`: the root is the image's, with the sandbox's own places over it; and what its configuration says is done."""
import json
import os
import shutil
import subprocess

import pytest

import images

DIGEST = r"sha256:[0-9a-f]{64}"


@pytest.fixture
def box(image):
    """box(who, config={...}, change=function of the tree): the options that run such an image."""

    def make(who, config=None, change=None, tree=None):
        tree = tree or images.busybox()
        if change:
            change(tree)
        return ["--image", image(who, tree, config)]

    return make


# --- the root --------------------------------------------------------------------------------


def test_the_root_is_the_image(anyone, sh, box):
    r = sh(anyone, "cat /etc/image; ls /usr/bin /opt; ls -d /usr/lib 2>/dev/null; id -u; pwd", *box(anyone))
    assert r.stdout == "of the image\n/opt:\n\n/usr/bin:\n1000\n/home/user\n" or r.stdout.splitlines()[0] == "of the image"
    assert "/usr/lib" not in r.stdout and r.stdout.endswith("1000\n/home/user\n"), r.stdout
    assert r["image"] == r["receipt"]["image"] and r["image"].startswith("sha256:")
    assert r["receipt"]["image_by"] in ("erofs file", "erofs loop", "unpacked")
    assert r["receipt"]["image_owners"] in ("kept", "user", "nobody")


def test_the_host_is_no_image(anyone, sh):
    r = sh(anyone, "true", "--image", "host")
    assert (r["image"], r["receipt"]["image_by"], r["receipt"]["image_owners"]) == (None, None, None)


def test_by_digest(anyone, sh, box):
    _, name = box(anyone)
    digest = sh(anyone, "true", "--image", name)["image"]
    for word in (digest, digest[7:], digest[7:19]):
        assert sh(anyone, "cat /etc/image", "--image", word).stdout == "of the image\n", word


def test_nothing_of_the_host_is_in_it(anyone, sh, box):
    r = sh(anyone, "ls -A / /home /root /usr/bin 2>/dev/null; cat /etc/hostname /etc/hosts", *box(anyone))
    assert "python3" not in r.stdout and r.stdout.count("pinfold") >= 2, r.stdout
    assert os.uname().nodename not in r.stdout or os.uname().nodename == "pinfold"


def test_it_is_read_only(anyone, sh, box):
    r = sh(anyone, "for f in /x /etc/x /usr/x /bin/x /opt/x /srv/x /var/x; do echo >$f && echo WROTE $f; done 2>/dev/null;"
                   " rm -rf /etc/image /bin 2>/dev/null; cat /etc/image; for f in /tmp /var/tmp /run /dev/shm $HOME; do"
                   " echo $f >$f/x && cat $f/x; done", *box(anyone))
    assert r.stdout == "of the image\n/tmp\n/var/tmp\n/run\n/dev/shm\n/home/user\n", r


def test_root_is_not_enough_to_write(anyone, sh, box):
    r = sh(anyone, "id -u; echo >/etc/image; mount -o remount,rw / ; echo >/x; cat /etc/image", "--user", "root", *box(anyone))
    assert r.stdout == "0\nof the image\n", r


def test_an_image_that_lacks_everything(anyone, image):
    """One program and no directory: all that a sandbox has is there all the same, and the account too."""
    name = image(anyone, images.only_busybox())
    script = ("ls -d /proc/self /dev/null /sys/devices /tmp /run /var/tmp /var/run/. /home/user; id; cat /etc/hosts | head -1;"
              " echo x >/tmp/x; cat /etc/passwd")
    r = anyone.result("--image", name, "--env", "PATH=/", "--", "/busybox", "sh", "-c",
                      "b=/busybox; " + "".join(f"{c}() {{ $b {c} \"$@\"; }}; " for c in ("ls", "id", "cat", "head")) + script)
    assert r.exit_code == 0 and not r.stderr, r
    assert "uid=1000(user) gid=1000(user)" in r.stdout and "127.0.0.1\tlocalhost" in r.stdout
    assert r.stdout.endswith("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
                             "user:x:1000:1000::/home/user:/bin/sh\n")


def test_owners_and_modes(anyone, sh, box):
    """As the image has them where the host can; else the receipt says whose all of it is."""
    def change(tree):
        tree.file("srv/a", "a", 0o640, 1000, 1000).file("srv/b", "b", 0o640, 33, 34).dir("srv/d", 0o2775, 5, 1000)
        tree.file("srv/set", "x", 0o4755)

    r = sh(anyone, "stat -c '%u %g %a' / /etc /etc/image /srv/a /srv/b /srv/d /srv/set; cat /srv/b", *box(anyone, change=change))
    lines = r.stdout.splitlines()
    if r["receipt"]["image_owners"] == "kept":
        assert lines == ["0 0 755", "0 0 755", "0 0 644", "1000 1000 640", "33 34 640", "5 1000 2775", "0 0 4755"]
    else:
        assert r["receipt"]["image_owners"] == "user" and {line.rsplit(" ", 1)[0] for line in lines[:7]} == {"1000 1000"}


def test_a_large_id_is_nobodys(anyone, sh, box):
    r = sh(anyone, "stat -c '%u %g' /srv/a; cat /srv/a", *box(anyone, change=lambda t: t.file("srv/a", "a", 0o644, 70000, 70000)))
    owner = r.stdout.split("\n")[0]
    assert r.stdout.endswith("a") and owner == ("65534 65534" if r["receipt"]["image_owners"] == "kept" else "1000 1000")


# --- who the command is -------------------------------------------------------------------------


ACCOUNTS = (images.PASSWD + "app:x:1234:2345:An app:/home/app:/bin/sh\nnode:x:3000:3000::/opt/node:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n"
            "broken:x:12x:0::/:/bin/sh\nshort:x:77:77\nneg:x:-5:-5::/:/bin/sh\nbig:x:99999:1::/home/big:/bin/sh\n"
            "1000:x:0:0:named like a number:/root:/bin/sh\n")
GROUPS = images.GROUP + "web:x:4000:app\n"


def accounts(tree):
    tree.file("etc/passwd", ACCOUNTS).file("etc/group", GROUPS)


IDENTITY = "echo $(id -u) $(id -g) $(id -un) $HOME $USER; touch ~/x && stat -c %u ~/x"


@pytest.mark.parametrize("own, asked, expected", [
    ("", None, "1000 1000 user /home/user user"),
    ("root", None, "1000 1000 user /home/user user"),
    ("0:0", None, "1000 1000 user /home/user user"),
    ("app", None, "1234 2345 app /home/app app"),
    ("app:web", None, "1234 4000 app /home/app app"),
    ("3000", None, "3000 3000 node /opt/node node"),
    ("5000", None, "5000 0 user /home/user user"),
    ("5000:6000", None, "5000 6000 user /home/user user"),
    ("app", "1000", "1000 1000 user /home/user user"),
    ("app", "root", "0 0 root /root root"),
    ("", "app", "1234 2345 app /home/app app"),
    ("app", "node:app", None),
    ("", "node:2345", "3000 2345 node /opt/node node"),
    ("", "daemon", "1 1 daemon /home/user daemon"),
    ("", "65534", "65534 0 user /home/user user"),
    ("", "65533", "65533 0 user /home/user user"),
])
def test_user(anyone, sh, box, own, asked, expected):
    """USER as docker has it, but root, which only --user gives; who is not in passwd is added to it."""
    r = sh(anyone, IDENTITY, *box(anyone, {"User": own}, accounts), *(["--user", asked] if asked else []))
    if expected is None:
        assert r.cause == "error" and "no group 'app'" in r.error, r
        return
    uid, gid = expected.split()[:2]
    if r["receipt"]["init_uid"] == "shared":    # one id: the group has its number
        expected = expected.replace(f"{uid} {gid} ", f"{uid} {uid} ")
    assert r.stdout == f"{expected}\n{uid}\n", r
    inside = r["receipt"]["inside"]
    assert inside["uid"] == int(uid) and r["receipt"]["agree"]


@pytest.mark.parametrize("own, asked, why", [
    ("", "nosuch", "no user 'nosuch'"), ("nosuch", None, "the image's USER 'nosuch'"), ("", "broken", "no user 'broken'"),
    ("", "short", "no user"), ("", "neg", "no user"), ("", "big", "99999"), ("99999", None, "99999"), ("", "toor", "--user root"),
    ("4294967296", None, "no user id"), ("", "app:nosuch", "no group 'nosuch'"), ("12x", None, "no user '12x'"),
])
def test_user_that_cannot_be(anyone, sh, box, own, asked, why):
    r = sh(anyone, "echo RAN", *box(anyone, {"User": own}, accounts), *(["--user", asked] if asked else []))
    assert (r.cause, r.code, r.stdout) == ("error", 125, "") and why in r.error, r


def test_a_number_is_never_a_name(anyone, sh, box):
    """CVE-2026-30892's kind: an account called "1000" with uid 0 makes nobody uid 0."""
    r = sh(anyone, "id -u", *box(anyone, {"User": "1000"}, accounts))
    assert r.stdout == "1000\n"


def test_user_needs_an_image(anyone):
    done = anyone("run", "--user", "me", "true")
    assert done.code == 125 and '"me" is not one of user, root' in done.err
    assert anyone.result("--user", "1000", "id", "-u").stdout == "1000\n"


def test_an_account_of_uid_1000(anyone, sh, box):
    """Most images that have a user call it something: passwd and environment say the same."""
    change = lambda t: t.file("etc/passwd", images.PASSWD + "vscode:x:1000:1000::/home/vscode:/bin/sh\n").file("home/vscode/.rc", "rc\n", 0o644, 1000, 1000)
    r = sh(anyone, "id -un; echo $HOME $USER; cat ~/.rc; echo y >~/.rc; cat ~/.rc; tail -1 /etc/passwd", *box(anyone, change=change))
    assert r.stdout == "vscode\n/home/vscode vscode\nrc\ny\nvscode:x:1000:1000::/home/vscode:/bin/sh\n", r


def test_home_shows_what_the_image_has_and_keeps_nothing(anyone, sh, box):
    def change(tree):
        accounts(tree)
        tree.dir("home/app", 0o700, 1234, 2345).dir("home/app/sub", 0o755, 1234, 2345).file("home/app/tool", "#!/bin/sh\necho tool\n", 0o755, 1234, 2345).file("home/app/sub/f", "f", 0o644, 1234, 2345)

    options = box(anyone, {"User": "app"}, change)
    for _ in range(2):
        r = sh(anyone, "ls ~; ~/tool; echo n >~/new; rm -r ~/sub; ls ~; cat ~/new", *options)
        assert r.stdout == "sub\ntool\ntool\nnew\ntool\nn\n", r


@pytest.mark.parametrize("home", ["/", "/etc", "/proc/1", "/dev", "/usr/bin", "/tmp", "relative", "", "/home/../etc", "/bin/x", "/run/x", "/a\x1bb"])
def test_homes_that_are_none(anyone, sh, box, home):
    change = lambda t: t.file("etc/passwd", images.PASSWD + f"app:x:1234:1234::{home}:/bin/sh\n")
    r = sh(anyone, "echo $HOME; touch ~/x && echo ok; head -1 /proc/self/status | cut -c1-4; ls /etc/image; ls -d /usr/bin", *box(anyone, {"User": "app"}, change))
    assert r.stdout == "/home/user\nok\nName\n/etc/image\n/usr/bin\n", r


# --- what the configuration says ----------------------------------------------------------------


def test_environment(anyone, sh, box):
    config = {"Env": ["PATH=/opt/own:/bin", "A=image", "B=image", "C=a=b", "HOME=/nowhere", "USER=nobody", "EMPTY="]}
    options = box(anyone, config)
    r = sh(anyone, "echo $PATH $A $B $C $HOME $USER $LANG; echo ${EMPTY-unset}", "--env", "B=mine", *options)
    assert r.stdout == "/opt/own:/bin image mine a=b /home/user user C.UTF-8\n\n"
    assert sh(anyone, "echo $LANG", *box(anyone, {"Env": ["LANG=de_DE.UTF-8"]})).stdout == "de_DE.UTF-8\n"
    assert sh(anyone, "echo $PATH", "--env", "PATH=/bin:/x", *options).stdout == "/bin:/x\n"


def test_tools_come_before_the_images_path(anyone, workspace, image):
    tools = workspace(anyone, {"bin/hello": ("#!/bin/sh\necho hello\n", 0o755)})
    name = image(anyone, images.busybox(), {"Env": ["PATH=/opt/own:/bin"]})
    r = anyone.result("--image", name, "--tools", tools, "--", "sh", "-c", "hello; echo $PATH")
    assert r.stdout == f"hello\n{tools}/bin:/opt/own:/bin\n", r


def test_directory(anyone, sh, box, workspace):
    options = box(anyone, {"WorkingDir": "/srv"})
    ws = workspace(anyone)
    assert sh(anyone, "pwd", *options).stdout == "/srv\n"
    assert sh(anyone, "pwd", "--cwd", "/etc", *options).stdout == "/etc\n"
    assert sh(anyone, "pwd", "--workspace", ws, *options).stdout == f"{ws}\n"
    # made where it is not there, as docker does; not through a link
    assert sh(anyone, "pwd", *box(anyone, {"WorkingDir": "/not/yet/there"})).stdout == "/not/yet/there\n"
    r = sh(anyone, "pwd", *box(anyone, {"WorkingDir": "/link/x"}, lambda t: t.link("link", "/nowhere")))
    assert r.cause == "error" and "/link/x" in r.error


ENTRY = {"Entrypoint": ["/bin/printf", "%s|"], "Cmd": ["a", "b c"]}


@pytest.mark.parametrize("config, options, argv", [
    (ENTRY, ["{image}"], ["/bin/printf", "%s|", "a", "b c"]),
    (ENTRY, ["{image}", "--", "x"], ["/bin/printf", "%s|", "x"]),
    (ENTRY, ["{image}", "--entrypoint", "", "--", "echo", "x"], ["echo", "x"]),
    (ENTRY, ["{image}", "--entrypoint", "/bin/echo"], ["/bin/echo"]),
    (ENTRY, ["{image}", "--entrypoint", "echo", "--", "x"], ["echo", "x"]),
    ({"Cmd": ["echo", "cmd"]}, ["{image}"], ["echo", "cmd"]),
    ({"Cmd": ["echo", "cmd"]}, ["{image}", "--", "echo", "x"], ["echo", "x"]),
    ({"Entrypoint": ["echo"]}, ["{image}"], ["echo"]),
])
def test_entrypoint(anyone, image, config, options, argv):
    name = image(anyone, images.busybox(), config)
    words = [w for o in options for w in (["--image", name] if o == "{image}" else [o])]
    r = anyone.result(*words)
    assert (r["argv"], r.exit_code) == (argv, 0), r


def test_nothing_to_run(anyone, image):
    name = image(anyone, images.busybox())
    for words in (["--image", name], ["--image", name, "--entrypoint", ""]):
        r = anyone.result(*words)
        assert (r.cause, r.code) == ("error", 125) and "the image says none itself" in r.error, r
    done = anyone("run", "--entrypoint", "x", "true")
    assert done.code == 125 and "--entrypoint is of an image" in done.err
    assert anyone("run").code == 125


def test_a_policy_names_the_image(anyone, image, workspace):
    name = image(anyone, images.busybox(), {"Entrypoint": ["echo", "entry"]})
    place = workspace(anyone, {"p.json": json.dumps({"image": name, "user": "daemon"})})
    r = anyone.result("--policy", place + "/p.json")
    assert r.stdout == "entry\n" and r["receipt"]["inside"]["uid"] == 1
    shown = json.loads(anyone("policy", "show", "--policy", place + "/p.json").out)
    assert (shown["image"], shown["user"]) == (name, "daemon")


@pytest.mark.parametrize("name", ["no-such", "sha256:" + "0" * 64, "0123456789ab"])
def test_no_such_image(anyone, name):
    r = anyone.result("--image", name, "--", "true")
    assert (r.cause, r.code) == ("error", 125) and "no image" in r.error and "pinfold image ls" in r.error, r


@pytest.mark.parametrize("name", ["", "a b", "-x", "a\nb", "x" * 300])
def test_names_that_are_none(anyone, name):
    done = anyone("run", f"--image={name}", "--", "true")
    assert done.code == 125 and "--image" in done.err, done


# --- workspaces, tools and mounts in an image -------------------------------------------------------


def test_workspace(anyone, sh, box, workspace):
    ws = workspace(anyone, {"a": "old\n", "d/x": "y"})
    for user in ([], ["--user", "app"], ["--user", "root"], ["--user", "5000"]):
        r = sh(anyone, "pwd; stat -c %u . a; cat a; echo new >a; echo n >n; mkdir e; rm -r d; id -u", "--workspace", ws, *user,
               *box(anyone, change=accounts))
        lines = r.stdout.splitlines()
        assert lines[0] == ws and lines[1] == lines[2] == lines[-1] and lines[3] == "old", r
        assert (r["changes"]["added"], r["changes"]["modified"], r["changes"]["deleted"]) == (2, 1, 1) or r["changes"]["added"] >= 2
    assert anyone("apply", "last").code == 0
    assert open(ws + "/a").read() == "new\n" and sorted(os.listdir(ws)) == ["a", "e", "n"]
    assert {os.stat(os.path.join(ws, n)).st_uid for n in os.listdir(ws)} == {os.stat(ws).st_uid}


@pytest.mark.parametrize("at", ["/srv", "/srv/new/deep", "/workspace", "/home/user/ws", "/tmp/ws", "/opt/x", "/var/lib/ws"])
def test_workspace_elsewhere(anyone, sh, box, workspace, at):
    ws = workspace(anyone, {"a": "x\n"})
    r = sh(anyone, "pwd; cat a; echo n >n; ls /etc/image", "--workspace", f"{ws}:path={at}", *box(anyone))
    assert r.stdout == f"{at}\nx\n/etc/image\n" and r["changes"]["added"] == 1, r


def test_places_that_a_link_of_the_image_takes(anyone, sh, box, workspace):
    """Covering it would take away what it leads to, and following it would leave the choice to the image."""
    ws = workspace(anyone, {"a": "x\n"})
    options = box(anyone, change=lambda t: t.link("link", "/srv").file("plain", "x"))
    for at in ("/link", "/link/x", "/plain", "/plain/x", "/bin/ls"):
        r = sh(anyone, "echo RAN", "--workspace", f"{ws}:path={at}", *options)
        assert (r.cause, r.code, r.stdout) == ("error", 125, "") and "of the image" in r.error, (at, r)


def test_mounts_and_tools(anyone, workspace, image, own):
    data = workspace(anyone, {"d/f": "data\n", "one": "file\n"})
    place = workspace(anyone, {"p.json": json.dumps({"mounts": [
        {"from": data + "/d", "to": "/data"}, {"from": data + "/d", "to": "/srv/sub/dir"}, {"from": data + "/one", "to": "/etc/image"},
        {"from": data + "/one", "to": "/etc/new/one"}, {"from": data + "/one", "to": "/tmp/one"}]})})
    name = image(anyone, images.busybox())
    r = anyone.result("--image", name, "--policy", place + "/p.json", "--", "sh", "-c",
                      "cat /data/f /srv/sub/dir/f /etc/image /etc/new/one /tmp/one; echo x >/etc/image; echo x >/data/x; ls /srv /srv/sub")
    assert r.stdout == "data\ndata\nfile\nfile\nfile\n/srv:\nsub\n\n/srv/sub:\ndir\n", r
    with open(place + "/q.json", "w", encoding="utf-8") as f:
        json.dump({"mounts": [{"from": data + "/one", "to": "/srv"}]}, f)
    r = anyone.result("--image", name, "--policy", place + "/q.json", "--", "true")
    assert r.cause == "error" and "link or directory of the image" in r.error, r


# --- root: cow ----------------------------------------------------------------------------------------


@pytest.fixture
def cow(workspace):
    def options(who, **more):
        place = workspace(who, {"p.json": json.dumps({"root": "cow", "user": "root", **more})})
        return ["--policy", place + "/p.json"]

    return options


def test_root_cow(anyone, sh, box, cow):
    options = [*cow(anyone), *box(anyone, change=lambda t: t.file("srv/d/f", "f"))]
    for _ in range(2):    # nothing is kept
        r = sh(anyone, "echo x >/new; echo y >>/etc/image; cat /new /etc/image; rm -r /opt; mv /srv/d /srv/e; ls /srv; mkdir /usr/n;"
                       " rm /bin/true; ls / | tr '\\n' ' '; echo x 2>/dev/null >/sys/x; echo x 2>/dev/null >/proc/sys/kernel/hostname; hostname",
               *options)
        assert r.exit_code == 0 and r.stdout.startswith("x\nof the image\ny\ne\n") and r.stdout.endswith("pinfold\n"), r
        assert "opt" not in r.stdout.splitlines()[4].split()


def test_root_cow_as_the_user(anyone, sh, box, cow):
    """It is the owner that decides, as in any system."""
    r = sh(anyone, "echo x >/etc/image && echo WROTE; echo x >/srv/own && cat /srv/own", "--user", "1000", *cow(anyone, user="user"),
           *box(anyone, change=lambda t: t.dir("srv", 0o755, 1000, 1000)))
    assert r.stdout in ("x\n", "WROTE\nx\n") and ("WROTE" in r.stdout) == (r["receipt"]["image_owners"] == "user"), r


def test_root_cow_is_bounded(anyone, sh, box, cow, holds):
    if not holds(anyone, "memory"):
        pytest.skip("no memory limit for this user, so no smaller root either")
    r = sh(anyone, "head -c 62914560 /dev/zero >/big; echo $?; ls -l /big | wc -l; exit 3", "--memory", "100M", *cow(anyone), *box(anyone))
    assert (r.cause, r.exit_code) == ("disk_limit", 3) and r.hits() == {"disk_limit"} and r.stdout == "1\n1\n", r
    r = sh(anyone, "i=0; while echo >/d$i; do i=$((i+1)); done 2>/dev/null; exit 3", "--memory", "100M", "--timeout", "50s", *cow(anyone), *box(anyone))
    assert (r.cause, r.exit_code) == ("disk_limit", 3), r


def test_root_cow_needs_an_image(anyone, cow):
    r = anyone.result(*cow(anyone), "--", "true")
    assert r.code == 125 and "needs an image" in r.error


# --- the store while it is used --------------------------------------------------------------------------


def image_dir(who, digest):
    return os.path.join(who.state, "images", digest.replace(":", "-"))


def test_a_live_sandbox_holds_its_image(anyone, live, image):
    name = image(anyone, images.busybox().file("etc/held", "1"), name="held")
    run = live(anyone, "run", "-i", "--image", name, "--", "sh", "-c", "echo up; read x; cat /etc/held", stdin=subprocess.PIPE)
    run.until("up")
    shown = json.loads(anyone("ls", "--json").out)["sandboxes"]
    assert len(shown) == 1 and shown[0]["image"].startswith("sha256:")
    assert shown[0]["image"][7:19] in anyone("ls").out
    refused = anyone("image", "rm", name)
    assert refused.code == 125 and shown[0]["id"] in refused.err, refused
    run.send("\n")
    assert run.wait() == 0 and run.text().endswith(b"1")
    assert anyone("image", "rm", name).code == 0
    r = anyone.result("--image", name, "--", "true")
    assert r.cause == "error" and "no image" in r.error
    image.names = {key: value for key, value in image.names.items() if value != name}


def test_an_image_that_vanishes_while_it_runs(anyone, live, image):
    name = image(anyone, images.busybox().file("etc/gone", "1"), name="gone")
    run = live(anyone, "run", "--json=stream", "-i", "--image", name, "--", "sh", "-c", "echo up; read x; cat /etc/gone; exit 4", stdin=subprocess.PIPE)
    run.until("up")
    digest = json.loads(anyone("ls", "--json").out)["sandboxes"][0]["image"]
    shutil.rmtree(image_dir(anyone, digest))
    run.send("\n")
    code = run.wait()
    result = json.loads(run.text().splitlines()[-1])["result"]
    # unpacked, its files are gone and the shell may not even find cat; from a file, the kernel has it open
    assert result["cause"] == "exited" and code in (4, 126, 127), result
    r = anyone.result("--image", name, "--", "true")
    assert (r.cause, r.code) == ("error", 125) and r.error, r
    image.names = {key: value for key, value in image.names.items() if value != name}
    os.unlink(os.path.join(anyone.state, "images/names", name))


def damage(path, how):
    os.chmod(path, 0o644)
    if how == "gone":
        os.unlink(path)
    elif how == "short":
        os.truncate(path, os.path.getsize(path) // 2)
    elif how == "link":
        os.rename(path, path + "x")
        os.symlink(path + "x", path)
    else:
        with open(path, "r+b") as f:
            f.seek({"superblock": 1024, "checksum": 1024 + 40}[how])
            f.write(b"\xff" * 16)


@pytest.mark.parametrize("how", ["gone", "short", "link", "superblock", "checksum"])
def test_a_damaged_image(pinfold, need_root, image, how):
    """Refused with the reason before anything starts. An unpacked tree is files like any others: there is nothing to check."""
    name = image(pinfold, images.busybox().file("etc/damage", how), name=f"damaged-{how}")
    digest = pinfold.result("--image", name, "--", "true")["image"]
    damage(os.path.join(image_dir(pinfold, digest), "image.erofs"), how)
    r = pinfold.result("--image", name, "--", "echo", "RAN")
    assert (r.cause, r.code, r.stdout) == ("error", 125, "") and "damaged" in r.error, r
    assert "image inspect --verify" in r.error or "image rm" in r.error, r
    assert pinfold("image", "rm", name).code == 0
    image.names = {key: value for key, value in image.names.items() if value != name}


def test_an_image_that_is_cut_off_while_it_runs(pinfold, need_root, live, image):
    """What cannot be read any more is the command's EIO (or SIGBUS), not a hang and not pinfold's failure."""
    data = os.urandom(8 << 20)
    name = image(pinfold, images.busybox().file("srv/data", data), name="cut")
    run = live(pinfold, "run", "--json=stream", "-i", "--image", name, "--", "sh", "-c",
               "echo up; read x; cat /srv/data >/tmp/data; exit 0", stdin=subprocess.PIPE)
    run.until("up")
    digest = json.loads(pinfold("ls", "--json").out)["sandboxes"][0]["image"]
    path = os.path.join(image_dir(pinfold, digest), "image.erofs")
    os.chmod(path, 0o644)
    os.truncate(path, 8192)
    run.send("\n")
    run.wait()
    result = json.loads(run.text().splitlines()[-1])["result"]
    assert result["cause"] in ("exited", "signalled") and result["error"] is None or result["exit_code"] in (126, 127), result
    assert pinfold("image", "rm", name).code == 0
    image.names = {key: value for key, value in image.names.items() if value != name}


# --- what pinfold-image is asked for ------------------------------------------------------------------------


@pytest.fixture
def fake(_place, request):
    """fake(who, script): the same program with a pinfold-image that is this script. Its words go to `calls`."""
    made = []

    def make(who, script):
        top = os.path.join(_place, f"fake-{len(made)}")
        made.append(top)
        shutil.copytree(os.path.dirname(who.program), top, ignore=lambda d, names: [n for n in names if n not in (
            "pinfold", "libexec", "pinfold-init", "pinfold-image")])
        with open(top + "/libexec/pinfold/pinfold-image", "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\necho \"$*\" >>{who.state}/calls\n" + script)
        os.chmod(top + "/libexec/pinfold/pinfold-image", 0o755)
        subprocess.run(["chmod", "-R", "a+rX", top], check=True)
        return type(who)(os.path.join(top, "pinfold"), who.state, who.runtime, who.prefix, who.env)

    yield make
    for top in made:
        shutil.rmtree(top)


def calls(who):
    try:
        with open(who.state + "/calls", encoding="utf-8") as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []
    finally:
        if os.path.exists(who.state + "/calls"):
            os.unlink(who.state + "/calls")


def test_base_is_made_on_first_need(anyone, fake, image):
    real = os.path.join(os.path.dirname(anyone.program), "libexec/pinfold/pinfold-image")
    folder = images.layout(os.path.join(os.path.dirname(anyone.state), "base-layout"), images.busybox().file("etc/base", "base\n"))
    who = fake(anyone, f"[ $1 = ensure ] || exec {real} \"$@\"\n[ $2 = base ] || exit 9\nexec {real} import --name base {folder}\n")
    for count in (1, 0):
        r = who.result("--image", "base", "--", "cat", "/etc/base")
        assert r.stdout == "base\n", r
        assert [c for c in calls(anyone) if c.startswith("ensure")] == ["ensure base"] * count
    assert anyone("image", "rm", "base").code == 0
    shutil.rmtree(folder)


def test_base_that_cannot_be_made(anyone, fake):
    r = fake(anyone, "echo 'working ...' >&2; echo 'pinfold: no mmdebstrap: apt-get install mmdebstrap' >&2; exit 125\n").result("--image", "base", "--", "true")
    assert (r.cause, r.code) == ("error", 125) and r.error == "pinfold-image ensure base failed: no mmdebstrap: apt-get install mmdebstrap"
    assert calls(anyone) == ["ensure base"]
    r = fake(anyone, "kill -9 $$\n").result("--image", "base", "--", "true")
    assert r.cause == "error" and "signal 9" in r.error
    calls(anyone)


def test_other_images_are_not_made(anyone, fake):
    r = fake(anyone, "exit 0\n").result("--image", "debian", "--", "true")
    assert r.cause == "error" and calls(anyone) == []


def test_unpacked_once(as_user, fake, image):
    """Where the image cannot be mounted its tree is unpacked by the first run, and used by the next."""
    name = image(as_user, images.busybox().file("etc/unpacked", "1"))
    real = os.path.join(os.path.dirname(as_user.program), "libexec/pinfold/pinfold-image")
    who = fake(as_user, f"exec {real} \"$@\"\n")
    r = who.result("--image", name, "--", "cat", "/etc/unpacked")
    assert (r.stdout, r["receipt"]["image_by"]) == ("1", "unpacked")
    first = calls(as_user)
    assert len(first) == 1 and first[0].split()[0] == "unpack"
    assert who.result("--image", name, "--", "cat", "/etc/unpacked").stdout == "1" and calls(as_user) == []


# --- the ways to it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off, by", [([], "erofs file"), (["erofs_file"], "erofs loop"), (["erofs_file", "erofs_loop"], "unpacked")])
def test_every_way(pinfold, need_root, sh, box, workspace, off, by, kernel):
    """Each shows the same; the next is taken where one is not to be had."""
    def change(tree):
        accounts(tree)
        tree.file("home/app/f", "f\n", 0o600, 1234, 2345).file("srv/closed", "x", 0o600, 0, 0).file("srv/own", "own\n", 0o600, 1234, 2345)

    ws = workspace(pinfold, {"a": "x\n"})
    r = sh(pinfold.broken(*off), "cat /etc/image ~/f /srv/own; echo n >~/n; cat /srv/closed 2>/dev/null; stat -c '%u %g' /srv/own; echo y >a; id -u",
           "--user", "app", "--workspace", ws, *box(pinfold, change=change))
    if r["receipt"]["tier"] != "container":
        pytest.skip("another tier has its own ways")
    if not off and kernel < (6, 12):
        by = "erofs loop"
    assert r["receipt"]["image_by"] == by, r
    assert r.stdout == "of the image\nf\nown\n1234 2345\n1234\n" and r["changes"]["modified"] == 1, r


def test_state_on_an_overlay(pinfold, need_root, sh, image, _place):
    """Overlays nest two deep, and a file system from a file counts as one: some way must be left."""
    top = os.path.join(_place, "nested")
    for name in ("lower", "upper", "work", "at"):
        os.makedirs(os.path.join(top, name))
    subprocess.run(["mount", "-t", "tmpfs", "none", top + "/upper"], check=True)
    try:
        os.makedirs(top + "/upper/u")
        os.makedirs(top + "/upper/w")
        subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={top}/lower,upperdir={top}/upper/u,workdir={top}/upper/w", "none", top + "/at"], check=True)
        try:
            who = type(pinfold)(pinfold.program, top + "/at/state", pinfold.runtime, pinfold.prefix, {**pinfold.env, "PINFOLD_STATE": top + "/at/state"})
            name = image(who, images.busybox())
            r = sh(who, "cat /etc/image; echo x >~/x; stat -c %u /etc/image", "--image", name)
            assert r.stdout.startswith("of the image\n") and r.exit_code == 0, r
        finally:
            subprocess.run(["umount", top + "/at"], check=True)
    finally:
        subprocess.run(["umount", top + "/upper"], check=True)
        shutil.rmtree(top)
    image.names = {key: value for key, value in image.names.items() if not key[0].startswith(top)}


def test_doctor_tells_of_them(anyone):
    tiers = json.loads(anyone("doctor", "--json").out)["tiers"]
    for tier in tiers:
        if tier["name"] != "container":
            continue
        items = {item["name"]: item for item in tier["items"]}
        assert items["unpacked"]["ok"]
        for name in ("erofs_file", "erofs_loop"):
            assert items[name]["ok"] or items[name]["detail"]
        if anyone.prefix or os.geteuid() != 0:
            assert not items["erofs_file"]["ok"] and items["erofs_file"]["detail"] == "for root alone"
