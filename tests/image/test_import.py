# SPDX-License-Identifier: Apache-2.0
"""What import makes of directories, root tars, `docker save` archives and OCI layouts: one tree is one digest, and layers mean
what the image specification says (the oracle in archives.py)."""
import gzip
import io
import itertools
import json
import os
import random
import shutil
import subprocess
import tarfile

import pytest

from archives import MTIME, PACK, Entry, Layout, d, docker, f, flat, gone, hard, layout, node, opaque, sha, sym, tar

# Everything that a tree can have. Names in bytes that are no UTF-8 come through tarfile's surrogates.
TREE = [
    d("."), d("bin"), f("bin/sh", b"#!", mode=0o4755), hard("bin/bash", "bin/sh"), sym("lib", "usr/lib"),
    sym("abs", "/usr/lib"),
    d("usr", mtime=5), d("usr/lib", mode=0o2775, uid=7, gid=8),
    f("usr/lib/data", bytes(range(256)) * 100, uid=70000, gid=4000000000),
    f("empty"), d("dir-empty", mode=0o1777), node("p", "fifo", mode=0o600), f("old", b"x", mtime=-5), f("caps", b"x", xattrs={
        "user.text": "value", "user.empty-ish": "\0\1\n=", "security.capability": "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}),
    f("sp ace\nline\x1b[31m", b"y"), f("\udcff\udcfe raw", b"z"), f("ü-UTF-8 ✓", b"u"), f("n" * 255, b"n"),
    *(d("/".join(["deep" * 20] * n)) for n in range(1, 21)), f("/".join(["deep" * 20] * 20) + "/leaf", b"l"),
    sym("long", "t/" * 600 + "x"), d("a" * 99), f("a" * 99 + "/b", b"1"), d("hundred"),
    f("hundred/" + "c" * 100, b"2"), f("zeros", bytes(300000)), f("part", bytes(100000) + b"!" + bytes(70000)),
]


@pytest.fixture
def digest(images, place):
    """digest(what, *options): the digest of the image's file. what: a path, bytes of an archive, or a Layout."""
    count = itertools.count()

    def run(what, *options, stdin=False):
        if isinstance(what, Layout):
            what = what.write(os.path.join(place, f"layout-{next(count)}"))
        if isinstance(what, bytes) and not stdin:
            path = os.path.join(place, f"archive-{next(count)}")
            with open(path, "wb") as file:
                file.write(what)
            what = path
        made = images.json("import", *options, "-", stdin=what) if stdin else images.json("import", *options, what)
        with open(images.path(made["digest"], "image.erofs"), "rb") as file:
            return sha(file.read())

    return run


@pytest.fixture
def inspected(images, place):
    """inspected(bytes or Layout, *options): what inspect says of it."""
    count = itertools.count()

    def run(what, *options):
        path = os.path.join(place, f"inspected-{next(count)}")
        if isinstance(what, Layout):
            what.write(path)
        else:
            with open(path, "wb") as file:
                file.write(what)
        return images.json("inspect", images.add(*options, path))

    return run


def unpack(tarball, root):
    os.mkdir(root)
    options = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-p"]
    subprocess.run(["tar", "-x", *options, "-C", root, "-f", tarball], check=True)
    return root


def unpacked_tree(place):
    path = os.path.join(place, "tree.tar")
    with open(path, "wb") as file:
        file.write(tar(TREE))
    return unpack(path, os.path.join(place, "tree"))


# --- one tree, one digest --------------------------------------------------------------------


def shuffled(entries, seed):
    """Another order that is still a tar: hard links behind what they name."""
    rng = random.Random(seed)
    links = [e for e in entries if e.kind == "h"]
    others = [e for e in entries if e.kind != "h"]
    rng.shuffle(others)
    rng.shuffle(links)
    return others + links


def test_order_of_a_tar_does_not_matter(digest):
    first = digest(tar(TREE))
    for seed in range(5):
        assert digest(tar(shuffled(TREE, seed))) == first


@pytest.mark.parametrize("packing", sorted(PACK))
def test_compression_does_not_matter(digest, packing):
    whole, packed = tar(TREE), PACK[packing](tar(TREE))
    assert digest(packed) == digest(whole)
    assert digest(packed, stdin=True) == digest(whole)


def plain(entries):
    """Only what every format can write."""
    return [e for e in entries if not e.xattrs and len(e.path) < 90 and len(e.target) < 90 and e.mtime >= 0 and e.uid < 2**21
            and e.gid < 2**21]


@pytest.mark.parametrize("fmt", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_format_of_a_tar_does_not_matter(digest, fmt):
    entries = plain(TREE) if fmt == tarfile.USTAR_FORMAT else [e for e in TREE if not e.xattrs]
    assert digest(tar(entries, fmt)) == digest(tar(entries))


def test_v7_tar(digest):
    """No magic, and a directory is a name with a slash."""
    raw = bytearray(tar(plain(TREE), tarfile.USTAR_FORMAT))
    at = 0
    while any(raw[at:at + 512]):
        header = raw[at:at + 512]
        size = int(header[124:135] or b"0", 8)
        if header[156:157] == b"5":
            name = header[:100].rstrip(b"\0")
            header[:100] = (name if name.endswith(b"/") else name + b"/").ljust(100, b"\0")
        if header[156:157] in b"05":
            header[156] = 0
        header[257:512] = bytes(255)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        raw[at:at + 512] = header
        at += 512 + (size + 511) // 512 * 512
    assert digest(bytes(raw)) == digest(tar(plain(TREE)))


def test_every_way_is_one_digest(digest, place, need_root):
    """The same tree as tar, directory, OCI layout and archive, docker archive in three styles; from file and pipe."""
    want = digest(tar(TREE))
    made = layout([TREE])
    assert digest(made) == want
    for archive in (made.tar(), tar(docker([TREE])), tar(docker([TREE], style="flat")), tar(docker([TREE], style="blobs")),
                    tar(docker([TREE], packing="gzip", style="flat"))):
        assert digest(archive) == want
        assert digest(gzip.compress(archive, 1)) == want
        assert digest(archive, stdin=True) == want
    assert digest(unpacked_tree(place)) == want


def test_packings_of_layers(digest):
    base, more = [d("a"), f("a/x", b"1")], [f("a/y", b"2")]
    want = digest(tar(flat([base, more])))
    for packings in itertools.product(["plain", "gzip", "zstd"], repeat=2):
        assert digest(layout([base, more], list(packings))) == want
    for packing in sorted(PACK):
        assert digest(tar(docker([base, more], packing=packing))) == want


def test_where_holes_are_does_not_matter(digest, place):
    """A file system and three formats of GNU tar write holes; zeros that are written out are the same."""
    path = os.path.join(place, "holes")
    os.mkdir(path)
    with open(os.path.join(path, "f"), "wb") as file:
        file.truncate(9_000_000)
        for at in (0, 70_000, 1_000_000, 1_004_096, 1_100_000, 8_999_999):
            file.seek(at)
            file.write(b"data")
    os.utime(os.path.join(path, "f"), (MTIME, MTIME))
    with open(os.path.join(path, "f"), "rb") as file:
        want = digest(tar([f("f", file.read())]))
    for options in (["--format=gnu"], ["--format=pax", "--sparse-version=0.0"], ["--format=pax", "--sparse-version=0.1"],
                    ["--format=pax", "--sparse-version=1.0"]):
        made = subprocess.run(["tar", "-c", "--sparse", "--owner=0", "--group=0", "--mode=644", *options, "-C", path, "f"],
                              stdout=subprocess.PIPE, check=True).stdout
        assert len(made) < 200_000, "it was to be sparse"
        assert digest(made) == want
        assert digest(made, "--kind", "tar", stdin=True) == want


def test_holes_stay_holes(images, place):
    path = os.path.join(place, "sparse")
    os.mkdir(path)
    with open(os.path.join(path, "f"), "wb") as file:
        file.truncate(6 << 30)
        file.seek(5 << 30)
        file.write(b"here")
    found = images.json("inspect", images.add(path))
    assert found["bytes"] == 6 << 30
    assert found["size"] < 32 << 20


def test_names_of_many_sizes(digest):
    """Long names come by prefix, by GNU's and by pax's headers: the borders of each."""
    entries = [f("n" * n, b"%d" % n) for n in (1, 99, 100, 101, 155, 156, 254, 255)]
    for n in (98, 99, 100, 101, 154, 155, 156, 157, 254, 255, 256, 257, 300, 1000, 2000):
        parts = ["p" * 100] * (n // 101) + ["q" * max(1, n % 101)]
        entries.append(f("/".join(parts) + f"/{n}", b"x"))
        entries.append(sym(f"to-{n}", "/" + "t" * n))
    assert digest(tar(entries, tarfile.GNU_FORMAT)) == digest(tar(entries))


def test_gnu_tar_star_and_bsdtar_agree(digest, place, need_program, need_root):
    """Other writers than Python's, with attributes."""
    root = unpacked_tree(place)
    want = digest(root)
    for argv in (["tar", "-c", "--xattrs", "--xattrs-include=*", "--format=pax", "-C", root, "."],
                 [need_program("bsdtar"), "-c", "--format=pax", "--xattrs", "-f", "-", "-C", root, "."]):
        made = subprocess.run(argv, stdout=subprocess.PIPE, check=True, env=dict(os.environ, LC_ALL="C.UTF-8")).stdout
        assert digest(made) == want


# --- layers ----------------------------------------------------------------------------------

BASE = [d("a"), f("a/x", b"1"), f("a/y", b"2"), d("a/sub"), f("a/sub/z", b"3"), f("b", b"4"), hard("b2", "b"), sym("ln", "a"),
        d("c"), f("c/only", b"5")]

LAYERS = {
    "delete a file": [gone("a/x")],
    "delete a directory": [gone("a")],
    "delete what is not there": [gone("a/nothing"), gone("no/such")],
    "delete and bring back": [gone("a/x"), f("a/x", b"new")],
    "delete a directory and bring it back": [gone("a"), d("a", mode=0o700), f("a/new", b"n")],
    "delete one name of two": [gone("b")],
    "opaque": [d("a"), opaque("a")],
    "opaque with entries": [d("a", mode=0o711), opaque("a"), f("a/new", b"n"), d("a/sub"), f("a/sub/w", b"w")],
    "opaque without its directory": [opaque("a"), f("a/new", b"n")],
    "opaque root": [opaque(""), f("new", b"n")],
    "opaque of a file": [opaque("b")],
    "opaque below": [opaque("a/sub"), f("a/sub/n", b"n")],
    "file over directory": [f("a", b"now a file")],
    "directory over file": [d("b"), f("b/in", b"i")],
    "link over directory": [sym("a", "c")],
    "directory over link": [d("ln"), f("ln/in", b"i")],
    "attributes of a directory": [d("a", mode=0o500, uid=3, gid=4, mtime=7)],
    "hard link inside": [f("new", b"n"), hard("new2", "new")],
    "hard link to below": [hard("a/link", "b")],
    "hard link to a replaced file": [f("b", b"other"), hard("b3", "b")],
    "through a directory that is not written": [f("a/sub/deeper/file", b"f")],
    "whiteouts of a whole tree": [gone("a/x"), gone("a/y"), gone("a/sub"), gone("b"), gone("b2"), gone("c")],
    "left out": [node("c", "dev/null")],
}


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_layer_in_every_order(digest, name):
    layer = LAYERS[name]
    want = digest(tar(flat([BASE, [e for e in layer if e.kind != "c"]])))
    orders = list(itertools.permutations(layer))
    if len(layer) > 4:
        orders = [random.Random(i).sample(layer, len(layer)) for i in range(6)]
    done = set()
    for order in orders:
        at = {(e.kind == "h", e.path): i for i, e in enumerate(order)}
        if any(e.kind == "h" and at.get((False, e.target), -1) > i for i, e in enumerate(order)):
            continue    # a link before the file it names is none
        if tuple(map(id, order)) not in done:
            done.add(tuple(map(id, order)))
            assert digest(layout([BASE, list(order)], ["plain", "plain"])) == want, [e.name() for e in order]


def test_whiteout_in_the_lowest_layer_hides_nothing(digest):
    assert digest(layout([[f("x", b"1"), gone("x"), d("o"), f("o/f", b"2"), opaque("o")]])) == digest(tar([f("x", b"1"), d("o"),
                                                                                                    f("o/f", b"2")]))


def test_whiteout_through_a_link_of_a_lower_layer(digest):
    """/bin is a link to usr/bin in most images, and layers were made where it was a directory."""
    base = [d("usr"), d("usr/bin"), f("usr/bin/a", b"1"), f("usr/bin/b", b"2"), sym("bin", "usr/bin")]
    assert digest(layout([base, [gone("bin/a"), f("bin/c", b"3")]])) == digest(
        tar([d("usr"), d("usr/bin"), f("usr/bin/b", b"2"), f("usr/bin/c", b"3"), sym("bin", "usr/bin")]))


def test_whiteout_below_links_in_a_circle(digest):
    base = [f("a", b"1"), sym("x", "y"), sym("y", "x")]
    assert digest(layout([base, [gone("x/a"), opaque("y/b"), gone("x")]])) == digest(tar([f("a", b"1"), sym("y", "x")]))


def test_links_of_a_lower_layer_lead_nowhere_else(digest):
    """A link that points to / or out of the tree is followed in the image, never on the host."""
    base = [d("etc"), f("etc/passwd", b"image's"), sym("up", "/"), sym("more", "/etc")]
    assert digest(layout([base, [f("up/etc/passwd", b"changed"), f("more/new", b"n")]])) == digest(
        tar([d("etc"), f("etc/passwd", b"changed"), sym("up", "/"), sym("more", "/etc"), f("etc/new", b"n")]))


def test_wh_is_an_ordinary_name_in_a_root_tar(digest, inspected):
    entries = [f("a", b"1"), gone("a")]
    assert inspected(tar(entries))["files"] == 3
    assert digest(tar(entries)) != digest(tar([f("a", b"1")]))


def test_aufs_bookkeeping_is_left_out(digest, inspected):
    entries = [f("a", b"1"), f(".wh..wh.aufs"), d(".wh..wh.plnk")]
    assert digest(layout([entries])) == digest(tar([f("a", b"1")]))
    assert "AUFS" in " ".join(inspected(layout([entries]))["notes"])


def test_many_layers(digest):
    layers = [[f(f"f{i}", b"%d" % i), *([gone(f"f{i - 1}")] if i % 3 == 0 and i else [])] for i in range(100)]
    assert digest(layout(layers)) == digest(tar(flat(layers)))


def test_one_blob_as_several_layers(digest):
    same = [f("x", b"1")]
    assert digest(layout([same, [gone("x")], same])) == digest(tar(same))
    assert digest(tar(docker([same, [gone("x")], same]))) == digest(tar(same))
    assert digest(gzip.compress(tar(docker([same, [gone("x")], same])))) == digest(tar(same))


def random_name(rng):
    return rng.choice(["a", "b", "c", "dir", "x.y", "\udcfe", "ä", "n" * 120])


def random_layer(rng, below):
    """Entries over a tree (an Oracle's): valid ones, in any order. Everything stands once."""
    taken, layer, files, dirs = set(), [], [], set()

    def free(path):
        return path not in taken and not any(path.startswith(t + "/") for t in taken if t not in dirs) and not (
            any(t.startswith(path + "/") for t in taken))

    for _ in range(rng.randrange(1, 14)):
        path = "/".join(random_name(rng) for _ in range(rng.randrange(1, 4)))
        attributes = {"uid": rng.choice([0, 5, 70000]), "gid": rng.choice([0, 6]), "mtime": rng.choice([0, MTIME, 2**33])}
        kind = rng.choice("fffddlhwwo")
        if kind in "wo":
            layer.append(Entry(kind, path))
            continue
        parents = ["/".join(path.split("/")[:i]) for i in range(1, path.count("/") + 1)]
        # What lies below in a parent's place must be a directory, or the layer replaces it by one.
        for parent in parents:
            lower = below.find(parent)
            if free(parent) and parent not in taken and ((lower and lower.entry.kind != "d") or rng.random() < 0.3):
                layer.append(d(parent, mode=rng.choice([0o755, 0o700]), **attributes))
                taken.add(parent)
                dirs.add(parent)
        if not free(path) or any((below.find(p) and below.find(p).entry.kind != "d" and p not in dirs) for p in parents):
            continue
        if kind == "d":
            layer.append(d(path, mode=rng.choice([0o755, 0o1777]), **attributes))
            dirs.add(path)
        elif kind == "l":
            layer.append(sym(path, rng.choice(["/x", "b", "./c/d"]), **attributes))
        elif kind == "h" and files:
            layer.append(hard(path, rng.choice(files)))
        else:
            layer.append(f(path, rng.choice([b"", b"text", bytes(rng.randrange(200000)), rng.randbytes(5000)]),
                           mode=rng.choice([0o644, 0o4755]), xattrs=rng.choice([{}, {"user.a": "1"}]), **attributes))
            files.append(path)
        taken.add(path)
    return shuffled(layer, rng.random())


def random_layers(seed):
    from archives import Oracle

    rng, oracle, layers = random.Random(seed), Oracle(), []
    for _ in range(rng.randrange(1, 6)):
        layers.append(random_layer(rng, oracle))
        oracle.layer(layers[-1])
    return layers


def check_random(digest, seed):
    layers = random_layers(seed)
    entries = flat(layers)
    want = digest(tar(shuffled(entries, seed)))
    made = docker(layers) if seed % 3 == 0 else None
    got = digest(tar(made)) if made else digest(layout(layers).tar() if seed % 3 == 1 else layout(layers))
    assert got == want, f"seed {seed}: {[[(e.kind, e.path, e.target) for e in layer] for layer in layers]}"


@pytest.mark.parametrize("part", range(4))
def test_random_layers(digest, part):
    for seed in range(part * 15, part * 15 + 15):
        check_random(digest, seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_more_random_layers(digest, part):
    for seed in range(1000 + part * 50, 1050 + part * 50):
        check_random(digest, seed)


# --- configuration, references, platforms ------------------------------------------------------

CONFIG = {"User": "app:app", "WorkingDir": "/srv//app/", "Env": ["A=b", "EMPTY=", "U=ü\n"], "Entrypoint": ["/bin/sh", "-c"],
          "Cmd": ["echo \"hi\""], "ExposedPorts": {"80/tcp": {}}, "Volumes": None}


def test_config(inspected):
    want = {"user": "app:app", "workdir": "/srv/app", "env": ["A=b", "EMPTY=", "U=ü\n"], "entrypoint": ["/bin/sh", "-c"],
            "cmd": ["echo \"hi\""]}
    assert inspected(layout([BASE], config=CONFIG))["config"] == want
    assert inspected(tar(docker([BASE], config=CONFIG)))["config"] == want


def test_no_config(inspected):
    want = {"user": "", "workdir": "", "env": [], "entrypoint": [], "cmd": []}
    for config in (None, {"Env": None, "Cmd": None, "User": ""}):
        assert inspected(layout([BASE], config=config))["config"] == want
    assert inspected(tar(BASE))["config"] == want


def test_config_is_part_of_the_identity(images, place):
    first = images.add(layout([BASE], config=CONFIG).write(os.path.join(place, "a")))
    other = images.add(layout([BASE], config={**CONFIG, "User": "b"}).write(os.path.join(place, "b")))
    assert first != other
    assert images.json("inspect", first)["erofs"] == images.json("inspect", other)["erofs"]


def test_ref_chooses(images, digest):
    made = Layout()
    for name in ("one", "two"):
        made.add(made.image([tar([f(name, b"x")])]), name)
    assert digest(made, "--ref", "two") == digest(tar([f("two", b"x")]))
    assert digest(made.tar(), "--ref", "one") == digest(tar([f("one", b"x")]))
    assert digest(made, "--ref", made.manifests[0]["digest"]) == digest(tar([f("one", b"x")]))


def two_docker_images():
    entries, manifest = [], []
    for name in ("one", "two"):
        *files, last = docker([[f(name, b"x")]], tag=f"{name}:latest", style="flat")
        entries += files
        manifest += json.loads(last.data)
    return tar([*entries, f("manifest.json", json.dumps(manifest).encode())])


def test_ref_chooses_in_a_docker_archive(digest):
    assert digest(two_docker_images(), "--ref", "two:latest") == digest(tar([f("two", b"x")]))


def test_platform_chooses(digest):
    made = Layout()
    manifests = []
    for arch, variant in (("arm64", "v8"), ("amd64", None), ("arm", "v7"), ("arm", "v6")):
        platform = {"os": "linux", "architecture": arch, **({"variant": variant} if variant else {})}
        manifests.append(made.image([tar([f(f"{arch}{variant or ''}", b"x")])], arch=arch, platform=platform))
    attestation = made.image([tar([f("attest", b"x")])], platform={"os": "unknown", "architecture": "unknown"})
    attestation["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    made.add(made.index([*manifests, attestation]), "latest")
    assert digest(made) == digest(tar([f("amd64", b"x")]))
    assert digest(made, "--platform", "linux/arm64") == digest(tar([f("arm64v8", b"x")]))
    assert digest(made, "--platform", "linux/arm/v6") == digest(tar([f("armv6", b"x")]))
    flat_layout = Layout()
    flat_layout.blobs = made.blobs
    for manifest in manifests:
        flat_layout.add(manifest)
    assert digest(flat_layout) == digest(tar([f("amd64", b"x")]))


def test_indexes_within_indexes(digest):
    made = Layout()
    descriptor = made.image([tar(BASE)])
    for _ in range(3):
        descriptor = made.index([descriptor])
    assert digest(made.add(descriptor)) == digest(tar(flat([BASE])))


def test_docker_media_types(digest):
    text = layout([BASE])
    old = Layout()
    swap = {"application/vnd.oci.image.manifest.v1+json": "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.oci.image.config.v1+json": "application/vnd.docker.container.image.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip"}
    manifest = text.blobs[text.manifests[0]["digest"]].decode()
    for a, b in swap.items():
        manifest = manifest.replace(a, b)
    old.blobs = dict(text.blobs)
    old.add(old.blob(manifest.encode(), swap["application/vnd.oci.image.manifest.v1+json"]))
    assert digest(old) == digest(text)


def test_layer_by_link_in_an_old_docker_archive(digest):
    """What skopeo and docker of old write: HEX/layer.tar -> ../HEX.tar."""
    *files, manifest = docker([BASE], style="flat")
    name = json.loads(manifest.data)[0]["Layers"][0]
    changed = json.loads(manifest.data)
    changed[0]["Layers"] = ["abc/layer.tar"]
    archive = tar([*files, sym("abc/layer.tar", f"../{name}"), f("manifest.json", json.dumps(changed).encode())])
    assert digest(archive) == digest(tar(flat([BASE])))


def test_kind_is_found_by_content(images, place):
    """A root that happens to have a manifest.json is a root."""
    count = itertools.count()

    def kind(archive, *options):
        path = os.path.join(place, f"archive-{next(count)}")
        with open(path, "wb") as file:
            file.write(archive)
        before = images.digests()
        images.add(*options, path)
        (new,) = images.digests() - before
        return images.json("inspect", new)["source"].split()[0]

    for entry in (f("manifest.json", b"[]"), f("manifest.json", b'{"a": 1}'), f("oci-layout", b"x"), d("manifest.json")):
        assert kind(tar([d("etc"), entry])) == "tar"
    assert kind(tar(docker([BASE]))) == "docker"
    assert kind(layout([[*BASE, f("other", b"")]]).tar()) == "oci"
    assert kind(layout([BASE]).tar(), "--kind", "tar") == "tar"
    assert kind(tar(docker([[*BASE, f("third", b"")]], style="blobs")), "--kind", "docker") == "docker"


def test_a_new_docker_archive_is_both(digest):
    """docker 25 and later write an OCI layout with a manifest.json beside."""
    made = layout([BASE], ["plain"])
    *_, manifest = docker([BASE], style="blobs")
    both = made.all()
    config = made.blobs[json.loads(made.blobs[made.manifests[0]["digest"]])["config"]["digest"]]
    value = json.loads(manifest.data)
    value[0]["Config"] = "blobs/sha256/" + sha(config).split(":")[1]
    archive = tar([*(f(n, v) for n, v in both.items()), f("manifest.json", json.dumps(value).encode())])
    want = digest(tar(flat([BASE])))
    for kind in ("auto", "oci", "docker"):
        assert digest(archive, "--kind", kind) == want
        assert digest(gzip.compress(archive), "--kind", kind) == want


# --- directories -------------------------------------------------------------------------------


def test_directory_with_everything(images, digest, place, need_root):
    """Hard links, attributes, owners, FIFOs; sockets and /dev's nodes are left out with a note."""
    import socket

    root = os.path.join(place, "root")
    os.makedirs(os.path.join(root, "dev"))
    os.mknod(os.path.join(root, "dev/null"), 0o20666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(os.path.join(root, "sock"))
    notes = images.json("inspect", images.add(root))["notes"]
    assert any("device nodes" in n and n.endswith("dev/null") for n in notes), notes
    assert any("sockets" in n and n.endswith("sock") for n in notes), notes


def test_directory_does_not_enter_mounts(images, place, need_root):
    root = os.path.join(place, "root")
    os.makedirs(os.path.join(root, "proc"))
    script = f"mount -t tmpfs -o mode=711 none {root}/proc && touch {root}/proc/inside && exec \"$@\""
    who = images.who
    prefix, who.prefix = who.prefix, ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"]
    try:
        found = images.json("inspect", images.add(root))
    finally:
        who.prefix = prefix
    assert found["files"] == 2
    assert any("mounted" in n and n.endswith("proc") for n in found["notes"])


def test_directory_is_not_left_by_links(images, place):
    """A link in it is a link in the image; the directory itself may be named through one."""
    root = os.path.join(place, "root")
    os.mkdir(root)
    os.symlink("/etc", os.path.join(root, "etc"))
    os.symlink(root, os.path.join(place, "link"))
    assert images.json("inspect", images.add(os.path.join(place, "link")))["files"] == 2


def test_as_an_ordinary_user(user_images, own):
    """Without root nothing but owners may differ, and nothing may be needed."""
    where = os.path.dirname(user_images.state)
    root = os.path.join(where, "root")
    os.makedirs(os.path.join(root, "sub"))
    with open(os.path.join(root, "sub/f"), "w", encoding="ascii") as file:
        file.write("text")
    own(user_images.who, root)
    found = user_images.json("inspect", user_images.add(root))
    assert found["files"] == 3 and not found["notes"]
    archive = os.path.join(where, "x.tar")
    with open(archive, "wb") as file:
        file.write(tar(TREE))
    os.chmod(archive, 0o644)
    made = user_images.json("inspect", user_images.add(archive))
    assert made["files"] == len(TREE) and not made["notes"]


def test_unreadable_file_is_named(user_images, own):
    root = os.path.join(os.path.dirname(user_images.state), "closed")
    os.mkdir(root)
    with open(os.path.join(root, "secret"), "w", encoding="ascii"):
        pass
    own(user_images.who, root)
    os.chmod(os.path.join(root, "secret"), 0)
    assert "cannot open 'secret': Permission denied" in user_images.fails("import", root)


def test_archive_that_its_reader_may_not_open(images, place, need_root):
    """The child is nobody; what it reads was opened before."""
    path = os.path.join(place, "private.tar")
    with open(path, "wb") as file:
        file.write(tar(BASE))
    os.chmod(path, 0o600)
    images.add(path)
    made = layout([BASE]).write(os.path.join(place, "private"))
    for where, dirs, files in os.walk(made):
        for name in files + dirs:
            os.chmod(os.path.join(where, name), 0o700)
    images.add(made)


# --- beside other programs ----------------------------------------------------------------------


def test_debian_by_tar_and_directory(digest, debian_tar, place, need_root):
    assert digest(unpack(debian_tar, os.path.join(place, "debian"))) == digest(debian_tar)


@pytest.mark.slow
def test_debian_by_umoci(digest, debian_tar, place, need_root, need_program):
    """A layout of several layers of a real root, made by umoci, is what umoci unpacks."""
    umoci = need_program("umoci")
    root = unpack(debian_tar, os.path.join(place, "debian"))

    def run(*argv):
        subprocess.run([umoci, *argv], cwd=place, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run("init", "--layout", "oci")
    run("new", "--image", "oci:it")
    run("unpack", "--image", "oci:it", "bundle")
    shutil.rmtree(os.path.join(root, "dev"))
    subprocess.run(["cp", "-a", f"{root}/.", os.path.join(place, "bundle/rootfs")], check=True)
    run("repack", "--image", "oci:it", "bundle")
    shutil.rmtree(os.path.join(place, "bundle/rootfs/usr/share/doc"))
    with open(os.path.join(place, "bundle/rootfs/etc/hello"), "w", encoding="ascii") as file:
        file.write("hello")
    os.unlink(os.path.join(place, "bundle/rootfs/etc/debian_version"))
    # umoci compares with what it unpacked, so each layer begins from an unpacked image
    run("repack", "--image", "oci:two", "bundle")
    run("unpack", "--image", "oci:two", "check")
    assert digest(os.path.join(place, "oci"), "--ref", "two") == digest(os.path.join(place, "check/rootfs"))


def test_skopeo_archives(digest, place, need_program):
    skopeo = need_program("skopeo")
    made = layout([BASE, LAYERS["opaque with entries"], [gone("b")]]).write(os.path.join(place, "in"))
    want = digest(made)
    for form in ("docker-archive", "oci-archive"):
        path = os.path.join(place, form + ".tar")
        subprocess.run([skopeo, "--insecure-policy", "copy", "-q", f"oci:{made}", f"{form}:{path}:name:tag"], check=True)
        assert digest(path) == want


def test_fsck_accepts(images, place, need_program):
    path = os.path.join(place, "tree.tar")
    with open(path, "wb") as file:
        file.write(tar(TREE))
    made = images.path(images.add(path), "image.erofs")
    done = subprocess.run([need_program("fsck.erofs"), made], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout


def test_unpacked_is_what_went_in(images, place, need_root):
    """Not by our own digest: what comes out is looked at."""
    path = os.path.join(place, "tree.tar")
    with open(path, "wb") as file:
        file.write(tar(TREE))
    digest = images.add(path)
    images.ok("unpack", digest)
    root = images.path(digest, "root").encode()
    for e in TREE:
        at = os.path.join(root, os.fsencode(e.path))
        st = os.lstat(at)
        if e.kind == "h":
            assert st.st_ino == os.lstat(os.path.join(root, os.fsencode(e.target))).st_ino
            continue
        assert (st.st_uid, st.st_gid, int(st.st_mtime)) == (e.uid, e.gid, e.mtime), e.path
        if e.kind == "f":
            with open(at, "rb") as file:
                assert file.read() == e.data
        if e.kind == "l":
            assert os.readlink(at) == os.fsencode(e.target)
        else:
            assert st.st_mode & 0o7777 == e.mode, e.path
        for key, value in e.xattrs.items():
            assert os.getxattr(at, key, follow_symlinks=False) == os.fsencode(value)


def test_progress_does_not_end_it(images, place, debian_tar):
    """Progress is only shown on a terminal; the messages that bring it are there all the same."""
    import pty

    master, slave = pty.openpty()
    process = images.popen("import", debian_tar, stderr=slave)
    os.close(slave)
    out, _ = process.communicate(timeout=60)
    os.close(master)
    assert process.returncode == 0 and out.startswith(b"sha256:")


def test_bytes_are_counted_once_for_hard_links(inspected):
    found = inspected(tar([f("a", b"12345"), hard("b", "a"), hard("c", "a")]))
    assert (found["files"], found["bytes"]) == (4, 5)


def test_empty_archive_of_layers(digest):
    """An image without any layer is an empty root."""
    assert digest(layout([])) == digest(layout([[]])) == digest(tar([d(".", mtime=0)]))


def test_notes_say_what_was_left_out(inspected):
    xattrs = {"user.overlay.opaque": "y", "trusted.overlay.redirect": "/x", "security.selinux": "l", "trusted.other": "t",
              "user.kept": "k"}
    text = "\n".join(inspected(tar([f("a", b"x", xattrs=xattrs), node("c", "dev/tty"), node("b", "dev/sda")]))["notes"])
    assert "overlayfs: a and 1 more" in text and "mean nothing in a sandbox: a and 1 more" in text
    assert "device nodes below dev, which a sandbox makes itself: dev/tty and 1 more" in text


def test_attributes_where_none_can_be(inspected, digest):
    """A tar may put them on links and FIFOs; no file system can."""
    plain = [sym("l", "x"), node("p", "fifo")]
    odd = [sym("l", "x", xattrs={"user.a": "1"}), node("p", "fifo", xattrs={"user.a": "1", "security.capability": "x"})]
    assert digest(tar(odd)) == digest(tar(plain))
    assert any("mean nothing in a sandbox: l and 2 more" in n for n in inspected(tar(odd))["notes"])


def test_mode_of_a_link_means_nothing(digest):
    links = [Entry("l", "l", target="x", mode=mode) for mode in (0o777, 0o755, 0)]
    assert len({digest(tar([link])) for link in links}) == 1


def test_as_root_of_a_small_user_namespace(images, place):
    """Where there is nobody to become: one uid, no groups."""
    path = os.path.join(place, "x.tar")
    with open(path, "wb") as file:
        file.write(tar(TREE))
    if subprocess.run(["unshare", "-r", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no user namespaces here")
    want = images.add(path)
    images.ok("rm", want)
    images.who.prefix = [*images.who.prefix, "unshare", "-r"]
    assert images.add(path) == want


def test_as_root_that_may_not_become_nobody(images, place, need_root, need_program):
    """As in a container with all capabilities dropped."""
    path = os.path.join(place, "x.tar")
    with open(path, "wb") as file:
        file.write(tar(TREE))
    want = images.add(path)
    images.ok("rm", want)
    images.who.prefix = [*images.who.prefix, need_program("setpriv"), "--bounding-set", "-all", "--inh-caps", "-all", "--"]
    assert images.add(path) == want


def test_acl_as_text_is_noted(inspected):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"SCHILY.acl.access": "user::rw-,user:bob:rwx,group::r--,mask::rwx,other::r--"}
        t.addfile(info)
    assert any("access control lists" in n for n in inspected(out.getvalue())["notes"])
