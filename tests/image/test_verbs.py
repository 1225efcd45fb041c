# SPDX-License-Identifier: Apache-2.0
"""pinfold image: what each verb takes, says and leaves."""
import json
import os
import pty
import re
import shutil
import socket
import stat
import subprocess

import pytest

from archives import f, gone, layout

VERBS = ["import", "build", "pull", "ls", "inspect", "tag", "rm", "unpack", "ensure"]
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


# --- help and misuse -------------------------------------------------------------------------


def test_help(images):
    whole = images("--help")
    assert whole.code == 0 and whole.out.startswith("usage: pinfold image import")
    assert whole.out == images("-h").out == images.who("help", "image").out
    for verb in VERBS:
        assert f"pinfold image {verb} " in whole.out
        done = images(verb, "--help")
        assert done.code == 0 and done.out.startswith(f"usage: pinfold image {verb} ") and done.err == "", repr(done)
        assert images.who("help", "image", verb).out == images(verb, "-h").out == done.out
        assert max(map(len, done.out.splitlines())) <= 120


@pytest.mark.parametrize("args, says", [
    ([], "which verb of images"),
    (["improt", "x"], 'did you mean "image import"'),
    (["frob"], 'no verb "image frob"'),
    (["\x1b[0m"], "\\x1b[0m"),
    (["import"], "what is to be imported"),
    (["import", "a", "b"], "at a time"),
    (["import", "--nmae", "x", "a"], "did you mean --name"),
    (["import", "--name", "no good", "a"], "cannot be the name"),
    (["import", "--kind", "zip", "a"], "none of dir, tar, docker, oci"),
    (["import", "--max-size", "much", "a"], "no size"),
    (["import", "--max-ratio", "0", "a"], "no number"),
    (["ls", "x"], "no arguments"),
    (["inspect"], "which image"),
    (["inspect", "a", "b"], "at a time"),
    (["tag", "a"], "an image and its new name"),
    (["rm"], "which image"),
    (["unpack"], "which image"),
    (["ensure"], "one image"),
    (["pull"], "which image"),
    (["pull", "--tls-verify", "maybe", "x"], "true or false"),
    (["pull", "--platform", "linux", "x"], "not OS/ARCH"),
    (["pull", "a b"], "cannot be the name"),
    (["pull", "--", "-x"], "begins with '-'"),
    (["build"], "what is to be built"),
    (["build", "ubuntu"], "what is to be built"),
    (["build", "base", "--packages", "git"], "base is what it is"),
    (["build", "debian", "--list"], "--list is for base"),
])
def test_misuse(images, args, says):
    said = images.fails(*args)
    assert says in said, said
    assert not os.path.exists(images.state)


@pytest.mark.parametrize("args", [["inspect"], ["unpack"], ["rm"], ["ensure"]])
def test_an_image_that_is_not_there(images, args):
    assert 'there is no image "x": "pinfold image ls" lists them' in images.fails(*args, "x")
    assert "there is no image \"abcdef123456\"" in images.fails(*args, "abcdef123456")


def test_ensure_of_what_is_not_base_makes_nothing(images):
    images.fails("ensure", "debian")
    assert not os.path.exists(images.dir)


TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def page(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("verb", VERBS)
def test_options_are_those_of_the_man_page(images, verb):
    options = set(re.findall(r"^  (?:-\w, |    )--([a-z-]+)", images(verb, "--help").out, re.M)) - {"help"}
    text = re.split(rf"^\.Ss {verb}$", page("man/pinfold-image.1"), flags=re.M)
    assert len(text) == 2
    section = re.split(r"^\.S[sh] ", text[1], maxsplit=1, flags=re.M)[0]
    items = re.findall(r"^\.It (Fl .*)$", section, re.M)
    assert options == {o for item in items for o in re.findall(r"Fl -([a-z-]+)", item)}


def test_the_page_has_the_packages_of_base(images):
    listed = [line.split(None, 1) for line in images.ok("build", "base", "--list").splitlines()]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", page("docs/images.md").split("### base")[1].split("###")[0], re.M)
    assert rows == [tuple(row) for row in listed]


# --- import, ls, inspect ----------------------------------------------------------------------


def test_import_and_look(anyones, tree):
    root = tree({"bin/sh": ("x", 0o755), "etc/a": "12345"})
    assert re.fullmatch(DIGEST.pattern + " mine\n", anyones.ok("import", "--name", "mine", "--kind", "dir", root))
    one = anyones.json("inspect", "mine")
    assert one["names"] == ["mine"] and one["source"] == f"dir {root}" and one["notes"] == []
    assert one["bytes"] == 6 and one["files"] >= 4 and one["size"] % 4096 == 0
    assert one["config"] == {"user": "", "workdir": "", "env": [], "entrypoint": [], "cmd": []}
    assert (one["unpacked"], one["owners_kept"], one["in_use"], one["sandboxes"], one["verified"]) == (
        False, None, False, [], None)
    listed = anyones.json("ls")["images"]
    assert len(listed) == 1
    assert {k: listed[0][k] for k in ("digest", "names", "size", "bytes", "files", "created", "source", "in_use")} == {
        k: one[k] for k in ("digest", "names", "size", "bytes", "files", "created", "source", "in_use")}
    assert listed[0]["damage"] is None
    lines = anyones.ok("ls").splitlines()
    assert lines[0].split() == ["NAME", "DIGEST", "SIZE", "CREATED", "USE"]
    assert lines[1].split()[:2] == ["mine", one["digest"][7:19]] and lines[1].split()[-1] == "-"
    text = anyones.ok("inspect", "--verify", one["digest"][:7 + 12])
    assert one["digest"] in text and "verified    yes" in text and root in text
    assert anyones.json("inspect", "--verify", "mine")["verified"] is True


def test_the_store_is_closed_to_others(anyones, tree):
    digest = anyones.add(tree({"secret": "x"}))
    assert stat.S_IMODE(os.stat(anyones.dir).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(anyones.path(digest, "image.erofs")).st_mode) == 0o444
    assert sorted(os.listdir(anyones.path(digest))) == ["image.erofs", "info.json", "lock", "manifest.json"]
    with open(anyones.path(digest, "manifest.json"), "rb") as file:
        manifest = file.read()
    assert manifest.count(b"\n") == 1 and json.loads(manifest)["schema"] == 1


def test_an_empty_store(images):
    assert images.ok("ls").count("\n") == 1
    assert images.json("ls") == {"images": []}
    assert not os.path.exists(images.dir)


def test_the_configuration_of_an_image(images, place):
    path = layout([[f("etc/a", b"x")]], config={
        "User": "app:app", "WorkingDir": "/srv", "Env": ["PATH=/opt/bin:/bin", "A=b c\td"], "Entrypoint": ["/bin/e", ""],
        "Cmd": ["-x", "\x1b[0m"]}).write(os.path.join(place, "oci"))
    images.ok("import", "--name", "x", path)
    config = images.json("inspect", "x")["config"]
    assert config == {"user": "app:app", "workdir": "/srv", "env": ["PATH=/opt/bin:/bin", "A=b c\td"],
                      "entrypoint": ["/bin/e", ""], "cmd": ["-x", "\x1b[0m"]}
    text = images.ok("inspect", "x")
    assert "\x1b" not in text and 'entrypoint  "/bin/e" ""\n' in text and 'cmd         "-x" "\\x1b[0m"\n' in text


def test_from_standard_input(images, small_tar):
    with open(small_tar, "rb") as file:
        digest = images.json("import", "--name", "x", "-", stdin=file)["digest"]
    assert images.json("inspect", "x")["source"] == "tar -"
    assert images.add(small_tar) == digest


def test_the_same_again(images, tree):
    root = tree({"a": "x"})
    first = images.json("import", "--name", "a", root)
    again = images.json("import", "--name", "b", root)
    nameless = images.json("import", root)
    assert (first["existed"], again["existed"], nameless["existed"]) == (False, True, True)
    assert first["digest"] == again["digest"] == nameless["digest"]
    assert images.json("inspect", "a")["names"] == ["a", "b"]
    assert len(images.digests()) == 1 and images.remains() == []


def test_a_name_goes_to_the_newer_image(images, tree):
    old, new = images.add("--name", "x", tree({"a": "1"})), images.add("--name", "x", tree({"a": "2"}))
    assert old != new and images.json("inspect", "x")["digest"] == new
    assert [i["names"] for i in images.json("ls")["images"] if i["digest"] == old] == [[]]
    assert [line.split()[0] for line in images.ok("ls").splitlines()[1:]].count("-") == 1


def test_names_of_all_kinds(images, tree):
    root = tree({"a": "x"})
    names = ["127.0.0.1:5000/team/app:1.0", "debian:bookworm-slim", "x@y", ".dot", "a+b", "x" * 200]
    for name in names:
        images.ok("import", "--name", name, root)
    assert images.json("inspect", names[0])["names"] == sorted(names)
    for name in names[1:]:
        assert images.ok("rm", name) == f"untagged: {name}\n"
    assert images.json("inspect", names[0])["names"] == names[:1]


def test_a_missing_source_leaves_nothing(images, place):
    said = images.fails("import", "--name", "x", os.path.join(place, "nothing"))
    assert "nothing" in said and images.remains() == [] and images.digests() == set()


# --- tag, rm -----------------------------------------------------------------------------------


def test_tag_and_rm(images, tree):
    digest = images.add("--name", "a", tree({"a": "x"}))
    images.ok("tag", "a", "b")
    images.ok("tag", digest[7:13], "c")
    assert "several names (a, b, c)" in images.fails("rm", digest)
    assert images.ok("rm", "b", "c") == "untagged: b\nuntagged: c\n"
    done = images("rm", "nothing", "a")
    assert done.code == 125 and done.out == f"untagged: a\ndeleted: {digest}\n" and "nothing" in done.err
    assert images.digests() == set() and images.remains() == [] and os.listdir(os.path.join(images.dir, "names")) == []


def test_a_name_that_changes_its_image(images, tree):
    one = tree({"a": "1"})
    a, b = images.add("--name", "a", one), images.add("--name", "b", tree({"a": "2"}))
    done = images("tag", "b", "a")
    assert done.code == 0 and f"the name a was taken from {a}" in done.err
    assert images("tag", "b", "a").err == ""
    done = images("import", "--name", "a", one)
    assert done.code == 0 and f"the name a was taken from {b}" in done.err
    assert images.json("inspect", "a")["digest"] == a
    images.ok("rm", "a", "b")


def test_rm_by_digest(images, tree):
    a, b = images.add(tree({"a": "1"})), images.add("--name", "b", tree({"a": "2"}))
    assert images.ok("rm", a) == f"deleted: {a}\n"
    assert images.ok("rm", b[7:20]) == f"untagged: b\ndeleted: {b}\n"


# --- unpack --------------------------------------------------------------------------------------


def test_unpack(anyones, small_tar):
    anyones.ok("import", "--name", "x", small_tar)
    assert anyones.ok("unpack", "x") == ""
    one = anyones.json("inspect", "x")
    root = os.path.join(one["directory"], "root")
    assert one["unpacked"] is True and one["owners_kept"] is (not anyones.who.prefix)
    assert os.readlink(os.path.join(root, "bin/sh")) == "busybox"
    assert os.stat(os.path.join(root, "home/app")).st_uid == (os.stat(anyones.dir).st_uid or 1234)
    assert stat.S_IMODE(os.stat(os.path.join(root, "tmp")).st_mode) == 0o1777
    before = os.stat(root)
    assert anyones.ok("unpack", "x") == ""    # it is there already
    assert os.stat(root).st_ino == before.st_ino
    assert ".root" not in os.listdir(one["directory"])
    assert "yes, owners" in anyones.ok("inspect", "x")
    anyones.ok("rm", "x")


def test_unpack_many_at_once(images, small_tar):
    images.ok("import", "--name", "x", small_tar)
    running = [images.popen("unpack", "x") for _ in range(4)]
    assert [p.communicate(timeout=60) and p.returncode for p in running] == [0] * 4
    one = images.json("inspect", "x")
    assert one["unpacked"] and ".root" not in os.listdir(one["directory"])


def test_unpack_goes_on_after_one_that_was_killed(images, small_tar):
    images.ok("import", "--name", "x", small_tar)
    directory = images.json("inspect", "x")["directory"]
    os.makedirs(os.path.join(directory, ".root/half/made"))
    images.ok("unpack", "x")
    assert os.path.exists(os.path.join(directory, "root/bin/busybox")) and ".root" not in os.listdir(directory)


# --- build: what it asks of mmdebstrap -------------------------------------------------------------


FAKE_MMDEBSTRAP = """#!/bin/sh
if [ "$1" = --version ]; then exit; fi
: > "$FAKE_LOG"; for a in "$@"; do printf '%s\\n' "$a" >> "$FAKE_LOG"; done; env > "$FAKE_LOG.env"; umask >> "$FAKE_LOG.env"
echo "I: installing packages..." >&2
[ -z "$FAKE_FAIL" ] || { printf "I: a\\nE: Unable to locate package nosuch\\nE: setup failed\\nE: mmdebstrap failed to run\\n" >&2; exit 25; }
cat "$FAKE_TAR"
"""
FAKE_APT = """#!/bin/sh
case "$*" in
*--no-release-info*) cat "$FAKE_TARGETS.unknown" ;;
*) cat "$FAKE_TARGETS" ;;
esac
"""


class Fake:
    """mmdebstrap and apt-get that say what they were asked."""

    def __init__(self, place, tar, targets="", unknown=""):
        self.bin, self.log = os.path.join(place, "bin"), os.path.join(place, "log")
        self.env = {"PATH": self.bin + ":/usr/bin:/bin", "FAKE_LOG": self.log, "FAKE_TAR": tar, "FAKE_FAIL": "",
                    "FAKE_TARGETS": os.path.join(place, "targets"), "SECRET": "s3cret", "http_proxy": "http://proxy:3128"}
        os.mkdir(self.bin)
        # mmdebstrap is started with an environment of its own, which has nothing of this
        prelude = "".join(f"{k}='{v}'\n" for k, v in self.env.items() if k.startswith("FAKE_") and k != "FAKE_FAIL")
        prelude += f"FAKE_FAIL=$(cat {place}/fail 2>/dev/null)\n"
        for name, text in (("mmdebstrap", FAKE_MMDEBSTRAP), ("apt-get", FAKE_APT)):
            with open(os.path.join(self.bin, name), "w", encoding="ascii") as file:
                file.write(text.replace("#!/bin/sh\n", "#!/bin/sh\n" + prelude))
            os.chmod(os.path.join(self.bin, name), 0o755)
        for name, text in (("targets", targets), ("targets.unknown", unknown)):
            with open(os.path.join(place, name), "w", encoding="ascii") as file:
                file.write(text)
        self.place = place

    def fail(self):
        with open(os.path.join(self.place, "fail"), "w", encoding="ascii") as file:
            file.write("1")

    def args(self):
        with open(self.log, encoding="ascii") as file:
            return file.read().splitlines()

    def mirrors(self):
        args = self.args()
        return args[args.index("-") + 1:]

    def suite(self):
        args = self.args()
        return args[args.index("-") - 1]

    def environment(self):
        with open(self.log + ".env", encoding="ascii") as file:
            return file.read().splitlines()


TARGETS = """http://mirror.lan/debian|bookworm|main|Debian|bookworm|deb
http://mirror.lan/debian|bookworm|main|Debian|bookworm|deb
http://mirror.lan/debian|bookworm|contrib|Debian|bookworm|deb
http://mirror.lan/debian|bookworm-updates|main|Debian|bookworm-updates|deb
http://mirror.lan/debian-security|bookworm-security|main|Debian|bookworm-security|deb
http://mirror.lan/debian|bookworm-backports|main|Debian Backports|bookworm-backports|deb
https://download.docker.com/linux/debian|bookworm|stable|Docker|bookworm|deb
https://packages.example/main|bookworm|main|Example|bookworm|deb
http://mirror.lan/debian|bookworm|main|Debian|bookworm|deb-src
http://mirror.lan/debian|trixie|main|Debian|trixie|deb
"""


@pytest.fixture
def fake(place, small_tar):
    return Fake(place, small_tar, TARGETS)


def test_build_takes_the_hosts_own_mirror(images, fake):
    out = images.json("build", "debian", "--name", "d", "--packages", "git,make", env=fake.env)
    assert fake.suite() == "bookworm"
    assert fake.mirrors() == ["deb http://mirror.lan/debian bookworm main", "deb http://mirror.lan/debian bookworm-updates main",
                              "deb http://mirror.lan/debian-security bookworm-security main"]
    args = fake.args()
    assert "--mode=unshare" in args and "--format=tar" in args and "--variant=minbase" in args and "--include=git,make" in args
    hook = [a for a in args if "sources.list" in a]
    assert len(hook) == 1 and "http://deb.debian.org/debian-security bookworm-security main" in hook[0] and "mirror.lan" not in hook[0]
    one = images.json("inspect", "d")
    assert one["digest"] == out["digest"] and one["source"] == "debian bookworm minbase: git,make"
    assert one["config"]["cmd"] == ["/bin/bash"]
    assert images.remains() == []


def test_build_gives_mmdebstrap_an_environment_of_its_own(images, fake):
    images.ok("build", "debian", "--name", "d", env=fake.env, preexec_fn=lambda: os.umask(0o077))
    env = fake.environment()
    assert "SOURCE_DATE_EPOCH=1672531200" in env and "http_proxy=http://proxy:3128" in env and "0022" in env
    assert not [line for line in env if "s3cret" in line]


@pytest.mark.parametrize("targets, unknown, suite, mirrors", [
    ("", "", "bookworm", []),
    (TARGETS.splitlines()[-1] + "\n", "", "trixie", ["deb http://mirror.lan/debian trixie main"]),
    ("", "http://a/|bookworm|main|$(ORIGIN)|$(CODENAME)|deb\n", "bookworm", ["deb http://a/ bookworm main"]),
    ("http://a/|stable|main|Debian|trixie|deb\n", "", "trixie", ["deb http://a/ stable main"]),
    ("http://a b/|bookworm|main|Debian|bookworm|deb\ngarbage\n|||\n", "", "bookworm", []),
    ("http://a/|bookworm|main|Ubuntu|bookworm|deb\n", "", "bookworm", []),
])
def test_what_apt_knows(images, place, small_tar, targets, unknown, suite, mirrors):
    fake = Fake(place, small_tar, targets, unknown)
    images.ok("build", "debian", env=fake.env)
    assert (fake.suite(), fake.mirrors()) == (suite, mirrors)


def test_build_of_a_suite_and_mirrors_that_are_written(images, fake):
    images.ok("build", "debian", "--suite", "trixie", "--variant", "apt", "--mirror", "http://m/debian", "--mirror",
              "deb [trusted=yes] file:/srv/debian trixie main", env=fake.env)
    assert fake.suite() == "trixie" and "--variant=apt" in fake.args()
    assert fake.mirrors() == ["http://m/debian", "deb [trusted=yes] file:/srv/debian trixie main"]
    assert [a for a in fake.args() if "file-mirror-automount" in a] and not [a for a in fake.args() if "sources.list" in a]


def test_build_base(images, fake):
    listed = images.ok("build", "base", "--list")
    packages = [line.split()[0] for line in listed.splitlines()]
    assert {"git", "python3", "python3-pytest", "make", "curl", "jq", "ca-certificates", "less", "patch", "gawk", "xz-utils",
            "zstd", "procps", "file"} <= set(packages) and packages == sorted(packages)
    assert re.fullmatch(DIGEST.pattern + " base\n", images.ok("build", "base", env=fake.env))
    assert "--include=" + ",".join(packages) in fake.args()


def test_ensure_base(images, fake):
    done = images("ensure", "base", env=fake.env)
    assert (done.code, done.out) == (0, "") and "making the image base" in done.err
    os.unlink(fake.log)
    done = images("ensure", "base", env=fake.env)
    assert (done.code, done.out, done.err) == (0, "", "") and not os.path.exists(fake.log)
    fake.fail()
    images.ok("rm", "base")
    said = images.fails("ensure", "base", env=fake.env)
    assert "nosuch" in said.splitlines()[-1]


def test_base_is_made_once_for_all_who_need_it(images, fake):
    running = [images.popen("ensure", "base", env=fake.env) for _ in range(4)]
    done = [(p.communicate(timeout=60)[1].decode(), p.returncode) for p in running]
    assert [code for _, code in done] == [0] * 4, done
    assert [("making the image base" in said) for said, _ in done].count(True) == 1, done
    assert len(images.digests()) == 1


@pytest.mark.parametrize("option, value", [
    ("--packages", ""), ("--packages", "a b"), ("--packages", "-y"), ("--packages", "a,/etc/x.deb"), ("--packages", "./x"),
    ("--packages", "?essential"), ("--packages", "a,~x"), ("--packages", "a;b"), ("--packages", "a\nb"), ("--suite", "-x"),
    ("--suite", "a b"), ("--suite", ""), ("--variant", "-"), ("--variant", ""), ("--variant", "a=b"), ("--mirror", "nothing"),
    ("--mirror", "-o=x:/y"), ("--mirror", "a:/b\nc"),
])
def test_build_passes_nothing_else_on(images, fake, option, value):
    if value == "-":    # mmdebstrap's other name of a variant
        images.ok("build", "debian", option, value, env=fake.env)
        return
    images.fails("build", "debian", option, value, env=fake.env)
    assert not os.path.exists(fake.log)


def test_build_tells_why_mmdebstrap_failed(images, fake):
    fake.fail()
    said = images.fails("build", "debian", env=fake.env)
    assert "mmdebstrap ended with 25: Unable to locate package nosuch" in said and images.remains() == []


@pytest.mark.parametrize("verb, program", [(("build", "debian"), "mmdebstrap"), (("pull", "x"), "skopeo")])
def test_a_program_that_is_missing(images, verb, program, place):
    said = images.fails(*verb, env={"PATH": place})
    assert f"which is not installed: apt-get install {program}" in said


# --- build: really ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_builds_give_one_image(images, need_program):
    need_program("mmdebstrap")
    one = images.json("build", "debian", "--name", "a", "--variant", "apt", timeout=900)
    two = images.json("build", "debian", "--name", "b", "--variant", "apt", timeout=900)
    assert one["digest"] == two["digest"] and two["existed"]
    images.ok("unpack", "a")
    root = os.path.join(images.json("inspect", "a")["directory"], "root")
    with open(os.path.join(root, "etc/apt/sources.list"), encoding="ascii") as file:
        assert {line.split()[1].split("/")[2] for line in file if line.strip()} == {"deb.debian.org"}
    for name in ("etc/hostname", "etc/resolv.conf", "etc/passwd-", "var/lib/dpkg/status-old", "var/log/dpkg.log"):
        assert not os.path.exists(os.path.join(root, name)), name
    for path, _, names in os.walk(os.path.join(root, "var/log")):
        assert not [n for n in names if os.path.getsize(os.path.join(path, n))]
    assert not os.path.getsize(os.path.join(root, "etc/machine-id")) if os.path.exists(os.path.join(root, "etc/machine-id")) else True


@pytest.mark.slow
def test_base_has_what_it_says(images, need_program):
    need_program("mmdebstrap")
    images.ok("build", "base", timeout=900)
    script = ("python3 -m pytest --version && git --version && make --version && curl --version && jq --version && gcc --version"
              " && rg --version && printf 'int main(void){return 42;}' > x.c && gcc x.c -o x; ./x")
    done = images.run("--image", "base", "--", "sh", "-c", f"cd /tmp && {script}")
    assert done.code == 42, repr(done)


# --- pull: a real registry ------------------------------------------------------------------------------


@pytest.fixture
def registry(need_program, place, wait_for):
    """docker-registry on loopback: its address. What is there was pushed by skopeo."""
    need_program("docker-registry")
    need_program("skopeo")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
    config = os.path.join(place, "registry.yml")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {place}/registry}}}}\n"
                f"http: {{addr: '{address}'}}\n")
    with subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          cwd=place) as process:

        def listens():
            assert process.poll() is None
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", int(address.split(":")[1]))) == 0

        wait_for(listens, "docker-registry")
        yield address
        process.kill()


def push(layout, address, name):
    done = subprocess.run(["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", f"oci:{layout}",
                           f"docker://{address}/{name}"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_pull(images, registry, place):
    path = layout([[f("etc/a", b"1"), f("etc/b", b"2")], [gone("etc/b"), f("etc/c", b"3")]],
                  config={"Cmd": ["/bin/x"], "Env": ["A=1"]}).write(os.path.join(place, "oci"))
    push(path, registry, "team/app:1")
    said = images.fails("pull", f"{registry}/team/app:1")
    assert "--tls-verify=false" in said and images.remains() == []
    name = f"{registry}/team/app:1"
    digest, printed = images.ok("pull", "--tls-verify=false", f"docker://{name}").split()
    assert printed == name
    one = images.json("inspect", name)
    assert one["digest"] == digest and one["config"]["cmd"] == ["/bin/x"]
    assert re.fullmatch(rf"registry {re.escape(name)}@{DIGEST.pattern}", one["source"])
    images.ok("unpack", name)
    root = os.path.join(one["directory"], "root")
    assert sorted(os.listdir(os.path.join(root, "etc"))) == ["a", "c"]
    # what came by the registry is what came by the layout
    assert images.add("--name", "direct", path) == digest
    again = images.json("pull", "--tls-verify=false", "--name", "mine", name)
    assert again["existed"] and images.json("inspect", "mine")["names"] == sorted([name, "direct", "mine"])
    assert images.remains() == []


def test_pull_of_what_is_not_there(images, registry):
    said = images.fails("pull", "--tls-verify=false", f"{registry}/nothing:1")
    assert "skopeo ended with" in said and "unknown" in said and '\\"' not in said
    assert "connection refused" in images.fails("pull", "127.0.0.1:9/x")
    assert images.remains() == [] and images.digests() == set()


def test_pull_of_a_registry_that_lies(images, registry, place):
    """A blob that changed on the registry's disk: skopeo or the import refuses it; none becomes an image."""
    path = layout([[f("etc/a", b"1")]]).write(os.path.join(place, "oci"))
    push(path, registry, "app:1")
    blobs = subprocess.run(["find", os.path.join(place, "registry"), "-name", "data", "-size", "-1"], capture_output=True,
                           text=True, check=True).stdout.split()
    for blob in blobs or [os.path.join(d, "data") for d, _, n in os.walk(os.path.join(place, "registry")) if "data" in n]:
        with open(blob, "r+b") as file:
            head = file.read()
            if head.startswith(b"\x1f\x8b"):    # a layer
                file.seek(0)
                file.write(head[:-1] + bytes([head[-1] ^ 1]))
    said = images.fails("pull", "--tls-verify=false", f"{registry}/app:1")
    assert "digest" in said.lower() or "checksum" in said.lower() or "invalid" in said.lower(), said
    assert images.digests() == set() and images.remains() == []


# --- use --------------------------------------------------------------------------------------------------


def test_progress_on_a_terminal(images, fake, place):
    """A line that tells where it is, and is gone in the end; what a program says reaches the terminal printable."""
    os.mkfifo(os.path.join(place, "go"))
    with open(os.path.join(fake.bin, "mmdebstrap"), "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\nprintf 'I: installing \\033[31mpackages...\\n' >&2\ncat {place}/go\ncat {fake.env['FAKE_TAR']}\n")
    master, slave = pty.openpty()
    running = images.popen("build", "debian", "--name", "d", env=fake.env, stderr=slave)
    os.close(slave)
    said, told = b"", False
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:    # EIO: nobody has it open any more
            break
        if not data:
            break
        said += data
        if b"installing" in said and not told:
            told = True
            with open(os.path.join(place, "go"), "wb"):
                pass
    os.close(master)
    assert running.communicate()[0].startswith(b"sha256:") and running.returncode == 0, said
    assert b"\rpinfold: debian: installing \\x1b[31mpackages" in said and said.endswith(b"\r\033[K"), said
    assert said.count(b"\n") == 0


def test_no_progress_elsewhere(images, fake):
    assert images("build", "debian", "--name", "d", env=fake.env).err == ""


def test_a_helper_ends_with_us(images, fake, place, wait_for):
    """mmdebstrap, all that it started, and the lock of the directory that they work in."""
    with open(os.path.join(fake.bin, "mmdebstrap"), "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\ntrap '' INT\nsleep 1000 &\necho $! $$ > {place}/pids.new; mv {place}/pids.new {place}/pids\n"
                f"trap 'kill -9 $(cut -d\" \" -f1 {place}/pids)' TERM\nwait\nwait\nexit 1\n")
    running = images.popen("build", "debian", "--name", "d", env=fake.env)
    pids = os.path.join(place, "pids")
    wait_for(lambda: os.path.exists(pids), "mmdebstrap to start")
    with open(pids, encoding="ascii") as file:
        ids = file.read().split()
    assert len(images.remains()) == 1
    images.ok("ls")    # sweeps, but not what is alive
    assert len(images.remains()) == 1
    running.kill()
    running.communicate()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in ids), "what mmdebstrap started to end")
    wait_for(lambda: images.ok("ls") and images.remains() == [], "the sweep")
    shutil.rmtree(images.dir)


# --- build, as a user without sub-uids -----------------------------------------------------------


def test_build_without_sub_uids(as_user, need_program):
    need_program("mmdebstrap")
    for words in (("build", "base"), ("build", "debian", "--name", "x")):
        done = as_user("image", *words)
        assert done.code == 125 and "usermod --add-subuids" in done.err, repr(done)
