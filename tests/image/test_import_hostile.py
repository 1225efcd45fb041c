# SPDX-License-Identifier: Apache-2.0
"""Archives and layouts made by an enemy, or cut off: each is refused, says which entry and why, and leaves nothing."""
import bz2
import gzip
import itertools
import json
import lzma
import os
import subprocess

import pytest

from archives import OCI, PACK, Layout, d, docker, f, gone, hard, layout, node, sha, sym, tar

GOOD = [d("a"), f("a/x", b"1")]


@pytest.fixture
def refused(images, place):
    """refused(what, "part of what it says", ...): import fails, says that in printable text, and leaves nothing."""

    count = itertools.count()

    def run(what, *parts, options=(), stdin=False):
        path = os.path.join(place, f"bad-{next(count)}")
        if isinstance(what, Layout):
            what.write(path)
        elif isinstance(what, bytes):
            with open(path, "wb") as file:
                file.write(what)
        else:
            path = what
        said = images.fails("import", *options, "-", stdin=what) if stdin else images.fails("import", *options, path)
        for part in parts:
            assert part in said, said
        assert said.rstrip("\n").isprintable(), repr(said)
        assert images.remains() == [] and images.digests() == set()
        return said

    return run


# --- a tar's raw headers -----------------------------------------------------------------------


def header(name=b"x", typeflag=b"0", size=0, linkname=b"", mode=b"0000644\0", uid=b"0000000\0", gid=b"0000000\0",
           mtime=b"00000000000\0", magic=b"ustar\x0000", prefix=b"", size_field=None, checksum=None, tail=b""):
    block = bytearray(512)
    block[0:len(name)] = name
    block[100:108], block[108:116], block[116:124] = mode, uid, gid
    block[124:136] = size_field or b"%011o\0" % size
    block[136:148] = mtime
    block[156:157] = typeflag
    block[157:157 + len(linkname)] = linkname
    block[257:265] = magic
    block[345:345 + len(prefix)] = prefix
    if tail:
        block[386:386 + len(tail)] = tail
    block[148:156] = b" " * 8
    block[148:156] = checksum or b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % 512)


def pax(*records, typeflag=b"x"):
    """A pax header of (key, value) in bytes."""
    text = b""
    for key, value in records:
        body = b" " + key + b"=" + value + b"\n"
        n = len(body)
        while len(str(n)) + len(body) != n:
            n = len(str(n)) + len(body)
        text += str(n).encode() + body
    return raw_pax(text, typeflag)


def raw_pax(text, typeflag=b"x"):
    return header(b"pax", typeflag, len(text)) + padded(text)


def long_name(text, typeflag=b"L"):
    return header(b"././@LongLink", typeflag, len(text), magic=b"ustar  \0") + padded(text)


END = bytes(1024)
GNU = b"ustar  \0"


def sparse_map(*parts, more=0, size=0):
    """Of the old GNU format, as it stands in the header from byte 386."""
    return b"".join(b"%011o\0%011o\0" % p for p in parts).ljust(96, b"\0") + bytes([more]) + b"%011o\0" % size


# --- entries that may not be -------------------------------------------------------------------

NAMES = {
    "dot dot": (tar([f("../evil")]), "entry '../evil' has '..' in its name"),
    "dot dot inside": (tar([f("a/../../evil")]), "entry 'a/../../evil' has '..' in its name"),
    "dot dot at the end": (tar([d("a/..")]), "'a/../' has '..'"),
    "dot dot directory": (tar([d("..")]), "'../' has '..'"),
    "absolute": (header(b"/etc/passwd") + END, "entry '/etc/passwd' has an absolute name"),
    "absolute by pax": (pax((b"path", b"/etc/passwd")) + header() + END, "'/etc/passwd' has an absolute name"),
    "absolute by prefix": (header(b"passwd", prefix=b"/etc") + END, "'/etc/passwd' has an absolute name"),
    "empty": (header(b"") + END, "entry '' has an empty name"),
    "NUL by pax": (pax((b"path", b"good\0/../../evil")) + header() + END, "entry 'good\\x00/../../evil' has a NUL in its name"),
    "NUL in a long name": (long_name(b"good\0evil\0") + header() + END, "'good\\x00evil\\x00' has a NUL in it"),
    "NUL in a link": (pax((b"linkpath", b"a\0b")) + header(b"l", b"2") + END, "entry 'l' is a link with a NUL"),
    "long component": (tar([f("n" * 256)]), "has a name of more than 255 bytes"),
    "long path": (tar([f("/".join(["p" * 200] * 21))]), "has a path of more than 4,096 bytes"),
    "deep": (tar([f("/".join(["d"] * 257))]), "lies too deep"),
    "file named as a directory": (header(b"x/", b"0") + END, "entry 'x/': a file has the name of a directory"),
    "root as a file": (header(b"./.", b"0") + END, "entry './.' makes the root something other than a directory"),
    "root as a link": (header(b".", b"2", linkname=b"/etc") + END, "makes the root something other"),
    "terminal escapes": (tar([f("../\x1b[2J\u202e")]), "'../\\x1b[2J\\xe2\\x80\\xae'"),
    "whiteout of dot dot": (layout([[f("x/.wh...")]]), "entry 'x/.wh...' is a whiteout of no name"),
    "whiteout of dot": (layout([[f(".wh..")]]), "entry '.wh..' is a whiteout of no name"),
    "whiteout of nothing": (layout([[f(".wh.")]]), "entry '.wh.' is a whiteout of no name"),
}

LINKS = {
    "symlink above the root": (tar([sym("evil", "../x")]), "entry 'evil' is a link that leads out of the image"),
    "symlink above from below": (tar([d("a"), sym("a/evil", "../../x")]), "entry 'a/evil' is a link that leads out"),
    "symlink up and down": (tar([d("a"), sym("a/evil", "b/../../../x")]), "entry 'a/evil' is a link that leads out"),
    "symlink with dots": (tar([sym("evil", "./../x")]), "leads out"),
    "symlink to nothing": (header(b"l", b"2") + END, "entry 'l' is a link whose target is empty"),
    "symlink too long": (tar([sym("l", "x" * 4096)]), "whose target is empty or too long"),
    "hard link out": (tar([hard("x", "../etc/passwd")]), "hard link 'x': entry '../etc/passwd' has '..'"),
    "hard link absolute": (tar([hard("x", "/etc/passwd")]), "hard link 'x': entry '/etc/passwd' has an absolute name"),
    "hard link to nothing": (tar([hard("x", "none")]), "entry 'x' is a hard link to 'none', which is not there"),
    "hard link forwards": (tar([hard("x", "y"), f("y", b"1")]), "entry 'x' is a hard link to 'y', which is not there"),
    "hard link to a directory": (tar([d("a"), hard("x", "a")]), "a: a directory has no hard links"),
    "hard link to nothing in a layer": (
        layout([GOOD, [hard("x", "none")]]),
        "entry 'x' is a hard link to 'none', which is not there"),
    "hard link to what the layer removes": (layout([GOOD, [gone("a/x"), hard("y", "a/x")]]), "'y' is a hard link to 'a/x'"),
    "hard link in the lowest layer": (layout([[hard("x", "none")]]), "is a hard link to 'none', which is not there"),
    "symlink loop in the way": (tar([sym("a", "b"), sym("b", "a"), f("a/x", b"1")]), "symbolic links on the way"),
    "file in the way": (tar([f("a", b"1"), f("a/x", b"2")]), "a file stands where a directory is needed"),
    "hard link to a link from another depth": (
        tar([d("a"), sym("a/l", "../x"), hard("l", "a/l")]),
        "entry 'l' is a link that leads out"),
    "link whose place is another": (
        layout([[d("a"), sym("a/up", "/")], [sym("a/up/l", "../../x")]]),
        "entry 'l' is a link that leads out"),
    "through a link out": (tar([sym("up", "/../../.."), d("up/../../x")]), "has '..'"),
}

TYPES = {
    "character device": (tar([node("c", "null")]), "entry 'null' is a device node"),
    "block device": (tar([d("x"), node("b", "x/sda", dev=(8, 0))]), "entry 'x/sda' is a device node"),
    "overlay's whiteout": (layout([[node("c", "a/x", dev=(0, 0))]]), "entry 'a/x' is a device node"),
    "device in another dev": (tar([node("c", "usr/dev/null")]), "entry 'usr/dev/null' is a device node"),
    "unknown type": (header(b"x", b"Q") + END, "entry 'x': an entry is of the unknown type 'Q'"),
    "multi-volume": (header(b"x", b"M", 0) + END, "unknown type 'M'"),
    "dump directory": (header(b"x", b"D", 0) + END, "unknown type 'D'"),
    "hard link with contents": (
        header(b"x", b"1", 5, b"y") + padded(b"12345") + END,
        "entry 'x': it is no file and has contents"),
    "directory with contents": (header(b"x/", b"5", 5) + padded(b"12345") + END, "it is no file and has contents"),
    "symlink with contents": (header(b"x", b"2", 5, b"y") + padded(b"12345") + END, "it is no file and has contents"),
    "label with contents": (header(b"x", b"V", 5) + padded(b"12345") + END, "a volume label has contents"),
}

HEADERS = {
    "damaged first header": (header(checksum=b"000000\0 ") + END, "it is not a tar archive"),
    "damaged later header": (header() + header(checksum=b"000001\0 ") + END, "a damaged header at byte 512"),
    "block of zeros inside": (header() + bytes(512) + header(), "a block of zeros inside"),
    "mode of letters": (header(mode=b"xyz\0\0\0\0\0") + END, "entry 'x': its mode is no number"),
    "negative size": (header(size_field=b"\xff" * 12) + END, "its size is no number"),
    "huge size": (header(size_field=b"\x80\0\0\0" + b"\xff" * 8) + END, "its size is no number"),
    "size of 8 EiB": (header(size_field=b"\x80\0\0\0\x7f" + b"\xff" * 7) + END, "more than 256 GiB"),
    "owner too large": (header(uid=b"\x80\0\0\1\0\0\0\0") + END, "its owner is no number"),
    "owner -1": (pax((b"uid", b"4294967295")) + header() + END, "entry 'x' has the owner -1"),
    "group -1": (header(gid=b"\x80\0\0\0\xff\xff\xff\xff") + END, "entry 'x' has the owner -1"),
    "garbage behind a number": (header(mtime=b"0000x000000\0") + END, "its time is no number"),
}

PAX = {
    "length that lies": (raw_pax(b"99 path=x\n") + header() + END, "a record of a wrong length"),
    "length that is short": (raw_pax(b"5 path=x\n") + header() + END, "a pax header has a record"),
    "length zero": (raw_pax(b"0 path=x\n") + header() + END, "a record of a wrong length"),
    "length of letters": (raw_pax(b"xx path=x\n") + header() + END, "a record of a wrong length"),
    "length beyond 64 bits": (raw_pax(b"99999999999999999999999 path=x\n") + header() + END, "a record of a wrong length"),
    "no newline": (raw_pax(b"10 path=xyz") + header() + END, "without a key or an end"),
    "no key": (raw_pax(b"6 =xy\n") + header() + END, "without a key or an end"),
    "no equals sign": (raw_pax(b"9 pathxx\n") + header() + END, "without a key or an end"),
    "size of letters": (pax((b"size", b"abc")) + header() + END, "a pax header has 'size' of 'abc'"),
    "negative size": (pax((b"size", b"-5")) + header() + END, "'size' of '-5'"),
    "time of letters": (pax((b"mtime", b"now")) + header() + END, "'mtime' of 'now'"),
    "time too far": (pax((b"mtime", b"9" * 30)) + header() + END, "'mtime' of '999"),
    "owner too large": (pax((b"uid", b"4294967296")) + header() + END, "'uid' of '4294967296'"),
    "attribute twice": (pax((b"SCHILY.xattr.user.a", b"1"), (b"SCHILY.xattr.user.a", b"2")) + header() + END,
                        "attribute 'user.a' stands twice"),
    "attribute too large": (pax((b"SCHILY.xattr.user.a", b"x" * 65537)) + header() + END, "attribute 'user.a' has 65537 bytes"),
    "attributes too large": (
        pax(*((b"SCHILY.xattr.user.%d" % i, b"x" * 60000) for i in range(10))) + header() + END,
        "attributes"),
    "attribute without a name": (pax((b"SCHILY.xattr.", b"1")) + header() + END, "or no name that can be"),
    "too many attributes": (pax(*((b"SCHILY.xattr.user.%d" % i, b"") for i in range(300))) + header() + END,
                            "more than 256 extended attributes"),
    "global that renames": (pax((b"path", b"x"), typeflag=b"g") + header() + END, "a global pax header sets 'path'"),
    "global owner": (pax((b"uid", b"0"), typeflag=b"g") + header() + END, "a global pax header sets 'uid'"),
    "two headers": (pax((b"path", b"a")) + pax((b"path", b"b")) + header() + END, "two headers of type 'x'"),
    "two long names": (long_name(b"a\0") + long_name(b"b\0") + header() + END, "two headers of type 'L'"),
    "long name and path": (long_name(b"a\0") + pax((b"path", b"b")) + header() + END, "an entry has two long names"),
    "empty header": (header(b"pax", b"x", 0) + header() + END, "a header of type 'x' has 0 bytes"),
    "huge header": (header(b"pax", b"x", 2 << 20) + bytes(2 << 20) + header() + END, "a header of type 'x' has 2097152 bytes"),
    "header without an entry": (pax((b"path", b"a")) + END, "cut off"),
    "long name without an entry": (long_name(b"a\0") + END, "cut off"),
}

def old_sparse(parts, contents, size=4096, more=0, end=END):
    """A file in the old GNU format."""
    return header(b"s", b"S", contents, magic=GNU, tail=sparse_map(*parts, more=more, size=size)) + bytes(contents) + end


def pax_sparse(*records, contents=b"", typeflag=b"0", name=b"s"):
    """records: without the GNU.sparse. of their keys."""
    return pax(*((b"GNU.sparse." + k, v) for k, v in records)) + header(name, typeflag, len(contents)) + padded(contents) + END


LEADING = ((b"major", b"1"), (b"minor", b"0"), (b"realsize", b"9"))
HUGE = sparse_map()[:97] + b"\x80\0\0\0\0\1" + bytes(6)
SPARSE = {
    "parts overlap": (old_sparse([(0, 512), (256, 512)], 1024), "entry 's': its parts overlap"),
    "parts go back": (old_sparse([(1024, 512), (0, 512)], 1024), "its parts overlap"),
    "part outside": (old_sparse([(4000, 512)], 512), "lie outside of it"),
    "parts longer than contents": (old_sparse([(0, 1024)], 512), "not as long as its contents"),
    "parts shorter": (old_sparse([(0, 100)], 512), "not as long as its contents"),
    "map that never ends": (old_sparse([(0, 512)], 0, more=1, end=b""), "cut off"),
    "map without a size": (pax_sparse((b"map", b"0,1"), contents=b"x"), "it is sparse and has no size"),
    "map of letters": (pax_sparse((b"size", b"9"), (b"map", b"a,b"), contents=b"x"), "its map has a number that cannot be"),
    "map with an odd number": (pax_sparse((b"size", b"9"), (b"map", b"0,1,5,"), contents=b"x"), "its map has a number"),
    "offset without length": (pax_sparse((b"size", b"9"), (b"offset", b"0")), "a sparse part without a length"),
    "length without offset": (pax_sparse((b"size", b"9"), (b"numbytes", b"1")), "'GNU.sparse.numbytes' of '1'"),
    "unknown version": (pax_sparse((b"major", b"7"), (b"minor", b"0"), (b"size", b"9")), "version 7.0"),
    "leading map too short": (pax_sparse(*LEADING, contents=b"1\n0\n1\n".ljust(100, b"\0")), "its map does not end"),
    "leading map of letters": (pax_sparse(*LEADING, contents=b"x\n".ljust(512, b"\0")), "its map has a number"),
    "leading map of many parts": (pax_sparse(*LEADING, contents=(b"9" * 22 + b"\n").ljust(512, b"\0")), "its map has a number"),
    "sparse directory": (pax_sparse((b"size", b"9"), typeflag=b"5", name=b"s/"), "it is no file and has contents"),
    "sparse twice": (pax((b"GNU.sparse.size", b"9")) + old_sparse([], 0, size=9), "sparse in two ways"),
    "apparent size beyond the bound": (header(b"s", b"S", 0, magic=GNU, tail=HUGE) + END,
                                       "its files with their holes are more than 256 GiB"),
}
TABLES = {"names": NAMES, "links": LINKS, "types": TYPES, "headers": HEADERS, "pax": PAX, "sparse": SPARSE}


@pytest.mark.parametrize("table, name", [(table, name) for table in TABLES for name in sorted(TABLES[table])])
def test_entry(refused, table, name):
    refused(*TABLES[table][name])


def test_fields_that_are_odd_and_fine(images, place):
    """What old and other programs write is no attack."""
    archive = (pax((b"comment", b"x"), typeflag=b"g") + header(b"label", b"V") + header(b"a", mode=b" 644 \0\0\0") +
               header(b"b", b"7", 1) + padded(b"x") +
               pax((b"path", b""), (b"LIBARCHIVE.creationtime", b"1"), (b"atime", b"1.5")) + header(b"c") +
               header(b"neg", mtime=b"\xff" * 12) + END + END)
    path = os.path.join(place, "odd.tar")
    with open(path, "wb") as file:
        file.write(archive)
    assert images.json("inspect", images.add(path))["files"] == 5


# --- what is no whole archive -------------------------------------------------------------------


def test_every_cut_of_a_tar(refused):
    """At each block and at odd bytes: never an image of half the tree."""
    whole = tar([d("a"), f("a/x", b"1" * 1500), sym("l", "a"), f("pax" * 50, b"2")])
    used = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for cut in [*range(0, used, 512), *range(1, used, 701)]:
        refused(whole[:cut], options=("--kind", "tar"))


@pytest.mark.parametrize("packing", sorted(set(PACK) - {"plain"}))
def test_cut_and_damaged_compression(refused, images, place, packing):
    whole = PACK[packing](tar([d("a"), f("a/x", os.urandom(300000))]))
    for cut in (len(whole) - 1, len(whole) - 9, len(whole) // 2, 20):
        refused(whole[:cut], packing)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0x10
    refused(bytes(damaged))


def test_check_sum_of_gzip(refused):
    """libarchive would not look at it."""
    data = bytearray(gzip.compress(tar(GOOD)))
    data[-6] ^= 1
    refused(bytes(data), "incorrect data check")
    data[-6] ^= 1
    data[-1] ^= 1
    refused(bytes(data), "incorrect length check")


def test_behind_the_end(refused, images, place):
    packed = gzip.compress(tar(GOOD))
    refused(packed + b"garbage", "something follows the gzip data")
    for data in (packed + bytes(5000), packed + gzip.compress(b""), gzip.compress(tar(GOOD, end=False)) + gzip.compress(END)):
        path = os.path.join(place, "fine")
        with open(path, "wb") as file:
            file.write(data)
        images.add(path)
    with open(path, "wb") as file:
        file.write(tar([*GOOD, f("seen", b"x")]) + tar([f("hidden", b"x")]))
    found = images.json("inspect", images.add(path))
    assert found["files"] == 4 and any("what follows the end" in n for n in found["notes"])


NO_TAR = {
    "nothing": (b"", "it is empty"), "zip": (b"PK\3\4" + bytes(2000), "it is a zip file"),
    "cpio": (b"070701" + bytes(2000), "it is a cpio archive"), "ar": (b"!<arch>\n" + bytes(2000), "it is an ar archive"),
    "ELF": (b"\x7fELF" + bytes(2000), "it is an ELF program"), "squashfs": (b"hsqs" + bytes(2000), "it is a squashfs image"),
    "EROFS": (b"x" * 1024 + b"\xe2\xe1\xf5\xe0" + bytes(90), "it is an EROFS image"),
    "text": (b"hello\n" * 300, "it is not a tar archive"), "short": (bytes(100), "it is not a tar archive"),
    "gzip of nothing": (gzip.compress(b""), "it is empty"), "xz of nothing": (lzma.compress(b""), "it is empty"),
    "bzip2 of text": (bz2.compress(b"text"), "it is not a tar archive"),
    "gzip twice": (gzip.compress(gzip.compress(tar(GOOD))), "it is not a tar archive"),
}


@pytest.mark.parametrize("name", sorted(NO_TAR))
def test_what_is_no_tar(refused, name):
    refused(*NO_TAR[name])


@pytest.mark.parametrize("packing", ["xz", "bzip2", "zstd", "lz4", "lzip"])
def test_compressed_twice(refused, packing):
    refused(PACK[packing](PACK[packing](tar(GOOD))), "compressed more than once")


# --- bombs ---------------------------------------------------------------------------------------


def test_bomb_by_ratio(refused):
    """Zeros, with each packing that gets so far."""
    for packing in ("gzip", "xz", "zstd"):
        whole = tar([f("zeros", bytes(66 << 20))])
        refused(PACK[packing](whole), "unpacks to more than 200 times its size")
        del whole


def test_ratio_may_be_raised(images, place):
    path = os.path.join(place, "zeros")
    with open(path, "wb") as file:
        file.write(gzip.compress(tar([f("zeros", bytes(66 << 20))])))
    assert images.json("inspect", images.add("--max-ratio", "2000", path))["bytes"] == 66 << 20


def test_bomb_by_total(refused):
    refused(gzip.compress(tar([f(f"f{i}", os.urandom(1 << 20)) for i in range(3)])), "unpacks to more than 2 MiB",
            options=("--max-size", "2M"))
    layers = [[f(f"f{i}", os.urandom(1 << 20))] for i in range(3)]
    refused(layout(layers), "layer 2 of 3", "more than 2 MiB", options=("--max-size", "2M"))


def test_bomb_by_total_of_a_directory(refused, place):
    root = os.path.join(place, "root")
    os.mkdir(root)
    for i in range(3):
        with open(os.path.join(root, str(i)), "wb") as file:
            file.write(os.urandom(1 << 20))
    refused(root, "more than 2 MiB", options=("--max-size", "2M"))


def test_bomb_of_holes(refused, place):
    """A few bytes of tar, petabytes of file."""
    path = os.path.join(place, "root")
    os.mkdir(path)
    with open(os.path.join(path, "f"), "wb") as file:
        file.truncate(1 << 43)
    refused(path, "its files with their holes are more than 256 GiB")
    made = subprocess.run(["tar", "-c", "--sparse", "-C", path, "f"], stdout=subprocess.PIPE, check=True).stdout
    refused(made, "its files with their holes are more than 256 GiB")


def test_bomb_of_small_holes(refused):
    """A part of one byte each 60 KiB: what is written out for each is counted."""
    parts = [(i * 60000, 1) for i in range(2000)]
    text = ",".join(f"{a},{n}" for a, n in parts).encode()
    archive = pax((b"GNU.sparse.size", b"%d" % (2000 * 60000)), (b"GNU.sparse.map", text)) + header(b"s", size=2000) + padded(
        b"x" * 2000) + END
    refused(archive, "its files hold more than 10 MiB", options=("--max-size", "10M"))


def test_bomb_of_entries(refused, images, place):
    """Many entries of one name cost time and not memory; the bound on them is a unit test's."""
    path = os.path.join(place, "many")
    with open(path, "wb") as file:
        file.write(gzip.compress(header(b"x") * 300000 + END, 1))
    assert images.json("inspect", images.add(path))["files"] == 2


def test_bomb_of_documents(refused):
    made = Layout()
    made.files["index.json"] = b"[" * (4 << 20)
    refused(made, "index.json", "nested deeper than 64")
    made.files["index.json"] = b'{"manifests": []}' + b" " * (4 << 20)
    refused(made, "index.json has 4194321 bytes")
    made.files["index.json"] = b'{"manifests": [' + b"0," * 210000 + b"0]}"
    refused(made, "more than 200000 values")


# --- documents that lie ----------------------------------------------------------------------------


def with_manifest(change):
    """A layout whose manifest was changed by change(manifest, layout), with a right digest of its own."""
    made = Layout()
    plain = tar(GOOD)
    manifest = {"schemaVersion": 2, "mediaType": f"{OCI}manifest.v1+json", "config": made.config([plain]),
                "layers": [made.layer(plain)]}
    change(manifest, made)
    return made.add(made.document(manifest, f"{OCI}manifest.v1+json"))


def edit(path, value):
    def change(manifest, _):
        at = manifest
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


def swap_blob(which):
    """The blob's name stays, its bytes change."""
    def change(manifest, made):
        descriptor = manifest["config"] if which == "config" else manifest["layers"][0]
        data = bytearray(made.blobs[descriptor["digest"]])
        data[-1] ^= 1 if which == "config" else 0x20
        made.blobs[descriptor["digest"]] = bytes(data)

    return change


def other_layer(manifest, made):
    """A layer with a right digest that the configuration does not know."""
    manifest["layers"][0] = made.layer(tar([f("other", b"x")]))


def longer_layer(manifest, made):
    """Its blob goes on behind what its descriptor says."""
    digest = manifest["layers"][0]["digest"]
    made.blobs[digest] += b"more"


def two_layers(manifest, made):
    manifest["layers"].append(manifest["layers"][0])


def no_blob(manifest, made):
    del made.blobs[manifest["layers"][0]["digest"]]


def many_layers(manifest, made):
    manifest["layers"] *= 600


OTHER = "sha256:" + "0" * 64
MANIFESTS = {
    "config that lies": (swap_blob("config"), "it is not what its name says"),
    "layer that lies": (swap_blob("layer"), "layer 1 of 1"),
    "layer that the configuration does not know": (other_layer, "uncompressed its digest is"),
    "layer of another size": (edit(("layers", 0, "size"), 5), "and not 5 as its document says"),
    "layer longer than its descriptor": (longer_layer, "as its document says"),
    "config of another size": (edit(("config", "size"), 5), "and not 5 as its descriptor says"),
    "more layers than the configuration": (two_layers, "names 1 layers, and its manifest 2"),
    "blob that is not there": (no_blob, "cannot open blobs/sha256/"),
    "too many layers": (many_layers, "more than 512 layers"),
    "digest with a path": (edit(("layers", 0, "digest"), "sha256:../../../../etc/passwd"), "is not 'sha256:' and 64"),
    "digest in capitals": (edit(("layers", 0, "digest"), "sha256:" + "A" * 64), "is not 'sha256:' and 64"),
    "digest too long": (edit(("layers", 0, "digest"), OTHER + "0"), "is not 'sha256:' and 64"),
    "digest with a NUL": (edit(("layers", 0, "digest"), OTHER[:-1] + "\0"), "line 1"),
    "digest of another kind": (edit(("config", "digest"), "sha512:" + "0" * 128), "is not 'sha256:' and 64"),
    "digest that is none": (edit(("config", "digest"), 5), "a descriptor without a digest"),
    "negative size": (edit(("layers", 0, "size"), -1), "a descriptor without a size"),
    "size with a fraction": (edit(("layers", 0, "size"), 1.5), "a descriptor without a size"),
    "layer of unknown type": (
        edit(("layers", 0, "mediaType"), "application/x-evil\x1b[31m"),
        "layer of the type 'application/x-evil\\x1b[31m'"),
    "encrypted layer": (edit(("layers", 0, "mediaType"), f"{OCI}layer.v1.tar+gzip+encrypted"), "layer of the type"),
    "layer packed otherwise": (edit(("layers", 0, "mediaType"), f"{OCI}layer.v1.tar+zstd"), "it is gzip, and not zstd"),
    "plain layer that is packed": (edit(("layers", 0, "mediaType"), f"{OCI}layer.v1.tar"), "it is gzip, and not uncompressed"),
    "no image": (edit(("config", "mediaType"), "application/vnd.oci.empty.v1+json"), "it is no image"),
    "layers of no list": (edit(("layers",), {"a": 1}), "layers are no list"),
    "manifest and index at once": (edit(("manifests",), []), "either manifests or layers"),
    "manifest that says it is an index": (edit(("mediaType",), f"{OCI}index.v1+json"), "its media type is not"),
    "media type too long": (edit(("layers", 0, "mediaType"), "x" * 500), "a media type that is too long"),
}


@pytest.mark.parametrize("name", sorted(MANIFESTS))
@pytest.mark.parametrize("form", ["directory", "tar"])
def test_manifest(refused, name, form):
    change, says = MANIFESTS[name]
    made = with_manifest(change)
    if name == "blob that is not there" and form == "tar":
        says = "there is no blobs/sha256/"
    refused(made if form == "directory" else made.tar(), says)


def with_config(**change):
    made = Layout()
    plain = tar(GOOD)
    value = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [sha(plain)]}}
    value.update(change)
    manifest = {"schemaVersion": 2, "config": made.document(value, f"{OCI}config.v1+json"), "layers": [made.layer(plain)]}
    return made.add(made.document(manifest, f"{OCI}manifest.v1+json"))


CONFIGS = {
    "other variant": (dict(architecture="amd64", variant="v9"), "the image is for linux/amd64/v9, not for linux/amd64/v2"),
    "other platform": (dict(architecture="arm64"), "the image is for linux/arm64, not for linux/amd64"),
    "other system": (dict(os="windows"), "the image is for windows/amd64"),
    "diff_id that lies": (dict(rootfs={"type": "layers", "diff_ids": [OTHER]}), "uncompressed its digest is"),
    "diff_id that is none": (dict(rootfs={"type": "layers", "diff_ids": ["x"]}), "no sha256 digest"),
    "no rootfs": (dict(rootfs=None), "has no diff_ids"),
    "other rootfs": (dict(rootfs={"type": "other", "diff_ids": []}), "has no diff_ids of layers"),
    "config of no object": (dict(config=[]), "config is no object"),
    "environment of no list": (dict(config={"Env": "A=b"}), "Env is no list"),
    "environment of numbers": (dict(config={"Env": [1]}), "Env holds something that is no string"),
    "environment without a name": (dict(config={"Env": ["=x"]}), "what is not NAME=VALUE"),
    "environment without a value": (dict(config={"Env": ["x"]}), "what is not NAME=VALUE"),
    "argument too long": (dict(config={"Cmd": ["x" * 131072]}), "a string that no program can be given"),
    "too many arguments": (dict(config={"Cmd": ["x"] * 5000}), "too long a one"),
    "directory that climbs": (dict(config={"WorkingDir": "/a/../../b"}), "WorkingDir has '..'"),
    "user too long": (dict(config={"User": "u" * 300}), "User is too long"),
    "user of no string": (dict(config={"User": 0}), "User is no string"),
}


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_config(refused, name):
    change, says = CONFIGS[name]
    refused(with_config(**change), says, options=("--platform", "linux/amd64/v2") if "variant" in change else ())


def test_indexes_without_end(refused):
    made = layout([GOOD])
    descriptor = made.manifests.pop()
    for _ in range(5):
        descriptor = made.index([descriptor])
    refused(made.add(descriptor), "its indexes lie more than 4 deep")


def test_index_that_holds_itself(refused):
    """By a digest that lies, since with a true one it cannot."""
    made = Layout()
    made.blobs[OTHER] = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": f"{OCI}index.v1+json", "digest": OTHER,
                                                                      "size": 189}]}).encode()
    made.add({"mediaType": f"{OCI}index.v1+json", "digest": OTHER, "size": len(made.blobs[OTHER])})
    refused(made, "it is not what its name says")


def test_index_with_too_many_images(refused):
    made = layout([GOOD])
    made.manifests *= 1100
    refused(made, "or more than 1024")


def test_several_images(refused):
    made = Layout()
    for name in ("one", "two\x1b[31m"):
        made.add(made.image([tar([f(name.replace("\x1b", ""), b"x")])]), name)
    refused(made, "say which: one, two\\x1b[31m")
    refused(made, "it holds no image 'three'", "one", options=("--ref", "three"))


def test_platform_that_is_not_there(refused):
    made = Layout()
    made.add(made.image([tar(GOOD)], arch="arm64", platform={"os": "linux", "architecture": "arm64"}))
    refused(made, "it holds no image for linux/amd64; it has: linux/arm64")
    refused(made, "'amd64' is no platform", options=("--platform", "amd64"))


LAYOUTS = {
    "other version": ({"oci-layout": b'{"imageLayoutVersion": "2.0.0"}'}, "of no version that is known"),
    "version of no JSON": ({"oci-layout": b"x"}, "oci-layout: line 1"),
    "index of no JSON": ({"index.json": b"{"}, "index.json: line 1"),
    "index of no object": ({"index.json": b"[]"}, "index.json is no JSON object"),
    "index that is a manifest": ({"index.json": b'{"layers": []}'}, "index.json is no index"),
    "index with a key twice": ({"index.json": b'{"manifests": [], "manifests": []}'}, "index.json: line 1"),
    "index without images": ({"index.json": b'{"manifests": []}'}, "it holds no image"),
    "index of strings": ({"index.json": b'{"manifests": ["x"]}'}, "a descriptor without a digest"),
}


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_layout(refused, name):
    files, says = LAYOUTS[name]
    made = layout([GOOD])
    made.files.update(files)
    refused(made, says)


def test_layout_whose_blobs_are_links(refused, place):
    """Opened beneath the layout and through no link at all, by the process that has the rights to open more."""
    made = layout([GOOD]).write(os.path.join(place, "made"))
    os.rename(os.path.join(made, "blobs/sha256"), os.path.join(place, "elsewhere"))
    os.symlink("../../elsewhere", os.path.join(made, "blobs/sha256"))
    refused(made, "Too many levels of symbolic links")
    os.unlink(os.path.join(made, "blobs/sha256"))
    os.mkdir(os.path.join(made, "blobs/sha256"))
    for name in os.listdir(os.path.join(place, "elsewhere")):
        os.symlink(os.path.join(place, "elsewhere", name), os.path.join(made, "blobs/sha256", name))
    refused(made, "Too many levels of symbolic links")


def test_layout_whose_blob_is_a_pipe(refused, place):
    made = layout([GOOD])
    path = made.write(os.path.join(place, "made"))
    blob = os.path.join(path, "blobs/sha256", made.manifests[0]["digest"].split(":")[1])
    os.unlink(blob)
    os.mkfifo(blob)
    refused(path, "Invalid argument")


# --- docker archives ---------------------------------------------------------------------------------


def docker_with(change, files=None):
    *entries, manifest = docker([GOOD], style="flat")
    value = json.loads(manifest.data)
    change(value[0])
    return tar([*(files or entries), f("manifest.json", json.dumps(value).encode())])


DOCKERS = {
    "layer that is not there": (docker_with(lambda m: m.update(Layers=["none.tar"])), "there is no none.tar in it"),
    "config that is not there": (docker_with(lambda m: m.update(Config="none.json")), "there is no none.json in it"),
    "layer with a path": (docker_with(lambda m: m.update(Layers=["../../etc/passwd"])), "'../../etc/passwd' has '..'"),
    "absolute config": (docker_with(lambda m: m.update(Config="/etc/passwd")), "'/etc/passwd' has an absolute name"),
    "no layers": (docker_with(lambda m: m.update(Layers=[])), "names 1 layers, and its manifest 0"),
    "directory as config": (tar([d("x"), f("manifest.json", b'[{"Config": "x", "Layers": []}]')]), "x is no file"),
    "config that is its own layer": (tar([f("manifest.json", b'[{"Config": "manifest.json", "Layers": ["manifest.json"]}]')]),
                                     "configuration"),
    "link out of the archive": (
        tar([sym("c", "/etc/passwd"), f("manifest.json", b'[{"Config": "c", "Layers": []}]')]),
        "'/etc/passwd'"),
    "links in a circle": (
        tar([sym("c", "b"), sym("b", "c"), f("manifest.json", b'[{"Config": "c", "Layers": []}]')]),
        "c is no file"),
}


@pytest.mark.parametrize("name", sorted(DOCKERS))
def test_docker(refused, name):
    archive, says = DOCKERS[name]
    refused(archive, says)
    refused(gzip.compress(archive), says)


def test_docker_config_that_lies(refused):
    *entries, manifest = docker([GOOD], style="flat")
    entries[0].data += b" "
    refused(tar([*entries, manifest]), ".json has the digest", "it is not what its name says")


def test_docker_layer_that_lies(refused):
    *entries, manifest = docker([GOOD], style="flat")
    entries[1].data = tar([f("other", b"x")])
    refused(tar([*entries, manifest]), "layer 1 of 1", "uncompressed its digest is")
    *entries, manifest = docker([GOOD], style="blobs")
    entries[1].data = tar([f("other", b"x")])
    refused(tar([*entries, manifest]), "layer 1 of 1", "its digest is")


def test_docker_of_several(refused):
    value = json.dumps([{"Config": "c", "Layers": [], "RepoTags": [tag]} for tag in ("one:1", "two:2")])
    refused(tar([f("c", b"{}"), f("manifest.json", value.encode())]), "say which: one:1, two:2")
    refused(tar([f("c", b"{}"), f("manifest.json", value.encode())]), "it holds no image 'x'", options=("--ref", "x"))


@pytest.mark.parametrize("kind, says", [("docker", "it has no manifest.json"), ("oci", "it has no file oci-layout")])
def test_kind_that_it_is_not(refused, kind, says):
    refused(tar(GOOD), says, options=("--kind", kind))
    refused(tar(GOOD), says, options=("--kind", kind), stdin=True)


# --- places ------------------------------------------------------------------------------------------


def test_paths_that_are_nothing(refused, place):
    os.mkdir(os.path.join(place, "empty"))
    refused(os.path.join(place, "none"), "cannot open", "No such file or directory")
    refused(os.path.join(place, "empty"), "is a directory, and no archive", options=("--kind", "tar"))
    refused("/dev/null", "neither a file nor a directory nor a pipe")
    refused(os.path.join(place, "empty"), "has no image of the name 'x'", options=("--ref", "x"))
    refused(os.path.join(place, "empty"), "oci-layout", options=("--kind", "oci"))


def test_file_as_a_directory(refused):
    refused(tar(GOOD), "is no directory", options=("--kind", "dir"))


def test_ref_of_a_root_tar(refused):
    refused(tar(GOOD), "root tar", options=("--ref", "x"))


def test_directory_with_a_device(refused, place, need_root):
    root = os.path.join(place, "root")
    os.mkdir(root)
    os.mknod(os.path.join(root, "node"), 0o20666, os.makedev(1, 3))
    refused(root, "entry 'node' is a device node")


def test_directory_with_a_link_out(refused, place):
    root = os.path.join(place, "root")
    os.mkdir(root)
    os.symlink("../../etc", os.path.join(root, "out"))
    refused(root, "entry 'out' is a link that leads out of the image")


def test_directory_too_deep(refused, place):
    root = os.path.join(place, "root")
    os.makedirs(os.path.join(root, *["d"] * 258))
    refused(root, "deep")


def test_directory_that_changes(images, place):
    """A file that grows while it is read is refused by name, or was read before it grew."""
    root = os.path.join(place, "root")
    os.mkdir(root)
    path = os.path.join(root, "grows")
    writer = subprocess.Popen(["sh", "-c", f"while echo more >> {path}; do :; done"])
    try:
        while not os.path.exists(path):
            pass
        seen = 0
        for _ in range(50):
            done = images("import", root)
            assert done.code == 0 or "'grows' changed while it was read" in done.err, done
            seen += done.code != 0
            if seen:
                break
    finally:
        writer.kill()
        writer.wait()
    assert seen, "it never changed under the reader"


# --- its reader ----------------------------------------------------------------------------------------


def test_reader_that_is_killed(images, place):
    """By name: the import fails, says how, and leaves nothing."""
    process = images.popen("import", "-", stdin=subprocess.PIPE)
    process.stdin.write(tar(GOOD)[:512])
    process.stdin.flush()
    child = None
    while child is None:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            except OSError:
                continue
            if status.get("PPid") == str(process.pid) and status.get("Seccomp") == "2":
                child = int(pid)
    os.kill(child, 9)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 125 and b"the import's reader was ended by SIGKILL" in err, err
    assert images.remains() == []


def test_reader_has_nothing(images, place):
    """What /proc says of it while it waits for its input."""
    process = images.popen("import", "-", stdin=subprocess.PIPE)
    process.stdin.write(tar(GOOD)[:512])
    process.stdin.flush()
    status, links = {}, []
    while status.get("Seccomp") != "2":
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                    found = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
                if found.get("PPid") == str(process.pid):
                    status = found
                    links = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
            except OSError:
                continue
    process.communicate(timeout=30)
    assert all(int(status[c], 16) == 0 for c in ("CapInh", "CapPrm", "CapEff", "CapAmb"))
    assert status["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert status["Uid"].split() == status["Gid"].split() == ["65534"] * 4 and not status["Groups"].strip()
        assert int(status["CapBnd"], 16) == 0
    for link in links:
        known = link == "/dev/null" or link.startswith(("pipe:", "socket:"))
        assert known or link.endswith("image.erofs") or "(deleted)" in link, links


def test_whole_disk(images, place, need_root):
    """No room for the spool: said so, nothing left."""
    path = os.path.join(place, "big.tar")
    with open(path, "wb") as file:
        file.write(tar([f("big", os.urandom(8 << 20))]))
    small = os.path.join(place, "small")
    os.mkdir(small)
    who = images.who
    saved = who.prefix, who.state
    who.state = os.path.join(small, "state")
    script = (f"mount -t tmpfs -o size=4m none {small} && \"$@\"; r=$?; find {small} -type f -size +0 >&2; exit $r")
    who.prefix = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"]
    try:
        done = images("import", path)
    finally:
        who.prefix, who.state = saved
    assert done.code == 125 and "No space left on device" in done.err and "image.erofs" not in done.err, done
