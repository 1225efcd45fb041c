# SPDX-License-Identifier: Apache-2.0
"""Archives for the tests of `pinfold image import`, written by Python's own tarfile, and an oracle of what they mean.

    layer = [d("usr"), f("usr/a", b"text", mode=0o755), hard("usr/b", "usr/a"), sym("bin", "usr"), gone("etc/x"), opaque("var")]
    tar(layer)                       bytes of a tar
    oci(place, [layer, ...])         a directory with an OCI layout; oci_tar(), docker() make archives
    flat(layers)                     the entries of one tar that holds what the layers hold, by the oracle
"""
import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import subprocess
import tarfile

import pytest

MTIME = 1_000_000_000


class Entry:
    """One entry of a tar. kind: f d l (symbolic) h (hard link) p (FIFO) c b (devices) w (whiteout) o (opaque mark)."""

    def __init__(self, kind, path, data=b"", target="", mode=0o644, uid=0, gid=0, mtime=MTIME, xattrs=None, dev=(1, 3)):
        self.kind, self.path, self.data, self.target, self.mode = kind, path, data, target, mode
        self.uid, self.gid, self.mtime, self.xattrs, self.dev = uid, gid, mtime, dict(xattrs or {}), dev

    def name(self):
        parent, _, leaf = self.path.rpartition("/")
        if self.kind == "w":
            leaf = ".wh." + leaf
        elif self.kind == "o":
            parent, leaf = self.path, ".wh..wh..opq"
        return f"{parent}/{leaf}" if parent else leaf

    def info(self):
        types = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "p": tarfile.FIFOTYPE,
                 "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE, "w": tarfile.REGTYPE, "o": tarfile.REGTYPE}
        info = tarfile.TarInfo(self.name())
        info.type, info.mode, info.uid, info.gid, info.mtime = types[self.kind], self.mode, self.uid, self.gid, self.mtime
        info.linkname, info.size = self.target, len(self.data) if self.kind == "f" else 0
        info.devmajor, info.devminor = self.dev if self.kind in "cb" else (0, 0)
        info.pax_headers = {f"SCHILY.xattr.{k}": v for k, v in self.xattrs.items()}
        return info


def f(path, data=b"", **more):
    return Entry("f", path, data if isinstance(data, bytes) else data.encode(), **more)


def d(path, mode=0o755, **more):
    return Entry("d", path, mode=mode, **more)


def sym(path, target, **more):
    return Entry("l", path, target=target, mode=0o777, **more)


def hard(path, target, **more):
    return Entry("h", path, target=target, **more)


def gone(path):
    return Entry("w", path)


def opaque(path):
    return Entry("o", path)


def node(kind, path, **more):
    return Entry(kind, path, **more)


def tar(entries, fmt=tarfile.PAX_FORMAT, end=True):
    """end: with the mark of its end."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as t:
        for e in entries:
            t.addfile(e.info(), io.BytesIO(e.data) if e.kind == "f" else None)
        at = t.offset
    return out.getvalue() if end else out.getvalue()[:at]


# --- packing ---------------------------------------------------------------------------------


def _program(*argv):
    def pack(data):
        if not shutil.which(argv[0]):
            pytest.skip(f"{argv[0]} is not installed")
        return subprocess.run(argv, input=data, stdout=subprocess.PIPE, check=True).stdout

    return pack


PACK = {
    "plain": lambda data: data,
    "gzip": lambda data: gzip.compress(data, 6, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": _program("zstd", "-q", "-c"),
    "lz4": _program("lz4", "-q", "-c"),
    "lzip": _program("lzip", "-c"),
}
MEDIA = {"plain": "", "gzip": "+gzip", "zstd": "+zstd"}
OCI = "application/vnd.oci.image."


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# --- images ----------------------------------------------------------------------------------


class Layout:
    """An OCI layout in the making: blobs by digest, and the documents of its top. Anything may be made wrong."""

    def __init__(self):
        self.blobs, self.manifests = {}, []
        self.files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(self, data, media, **more):
        """Keep it; its descriptor."""
        self.blobs[sha(data)] = data
        return {"mediaType": media, "digest": sha(data), "size": len(data), **more}

    def document(self, value, media, **more):
        return self.blob(json.dumps(value).encode(), media, **more)

    def layer(self, data, packing="gzip"):
        return self.blob(PACK[packing](data), f"{OCI}layer.v1.tar{MEDIA[packing]}")

    def config(self, layers, config=None, arch="amd64", system="linux"):
        """layers: their tars."""
        return self.document({"architecture": arch, "os": system, "config": config or {},
                              "rootfs": {"type": "layers", "diff_ids": [sha(t) for t in layers]}}, f"{OCI}config.v1+json")

    def image(self, layers, packings=None, config=None, arch="amd64", **more):
        """layers: their tars. The manifest's descriptor."""
        packings = packings or ["gzip"] * len(layers)
        manifest = {"schemaVersion": 2, "mediaType": f"{OCI}manifest.v1+json", "config": self.config(layers, config, arch),
                    "layers": [self.layer(t, p) for t, p in zip(layers, packings)]}
        return self.document(manifest, f"{OCI}manifest.v1+json", **more)

    def index(self, manifests, **more):
        return self.document({"schemaVersion": 2, "manifests": manifests}, f"{OCI}index.v1+json", **more)

    def add(self, descriptor, ref=None):
        descriptor = dict(descriptor)
        if ref:
            descriptor["annotations"] = {**descriptor.get("annotations", {}), "org.opencontainers.image.ref.name": ref}
        self.manifests.append(descriptor)
        return self

    def all(self):
        index = json.dumps({"schemaVersion": 2, "manifests": self.manifests}).encode()
        return {**{"index.json": index}, **self.files, **{f"blobs/sha256/{k.split(':')[1]}": v for k, v in self.blobs.items()}}

    def write(self, place):
        os.makedirs(os.path.join(place, "blobs/sha256"), exist_ok=True)
        for name, data in self.all().items():
            with open(os.path.join(place, name), "wb") as file:
                file.write(data)
        return place

    def tar(self):
        return tar([f(name, data) for name, data in self.all().items()])


def layout(layers, packings=None, config=None):
    """A layout with one image of these layers (lists of entries)."""
    made = Layout()
    return made.add(made.image([tar(layer) for layer in layers], packings, config))


def docker(layers, tag="it:latest", config=None, packing="plain", style="old"):
    """The entries of a `docker save` archive. style: old (HEX/layer.tar), flat (HEX.tar), blobs (as OCI's)."""
    tars = [tar(layer) for layer in layers]
    document = json.dumps({"architecture": "amd64", "os": "linux", "config": config or {},
                           "rootfs": {"type": "layers", "diff_ids": [sha(t) for t in tars]}}).encode()
    packed = [PACK[packing](t) for t in tars]
    hexes = [sha(p).split(":")[1] for p in packed]
    form = {"old": "{}/layer.tar", "flat": "{}.tar", "blobs": "blobs/sha256/{}"}[style]
    name = {"blobs": "blobs/sha256/{}"}.get(style, "{}.json").format(sha(document).split(":")[1])
    names = [form.format(h) for h in hexes]
    manifest = json.dumps([{"Config": name, "RepoTags": [tag] if tag else None, "Layers": names}]).encode()
    return [f(name, document), *dict((n, f(n, p)) for n, p in zip(names, packed)).values(), f("manifest.json", manifest)]


# --- the oracle ------------------------------------------------------------------------------


class Node:
    """What stands in a tree: an entry's attributes, and of a directory its children."""

    def __init__(self, entry=None):
        self.entry, self.children = entry or d(""), {}
        if entry is None:
            self.entry.mtime = 0    # a directory that nothing described


class Oracle:
    """What layers make, the plain way."""

    def __init__(self):
        self.root = Node()

    def _walk(self, path, make=False):
        at = self.root
        for part in [p for p in path.split("/") if p]:
            if part not in at.children:
                if not make:
                    return None
                at.children[part] = Node()
            at = at.children[part]
        return at

    def _parent(self, path, make=False):
        parent, _, leaf = path.rpartition("/")
        return self._walk(parent, make), leaf

    def _follow(self, path):
        """The directory at path, as a kernel with this root would find it; None if there is none."""
        at, stack, hops, left = self.root, [], 0, path.split("/")
        while left:
            part = left.pop(0)
            if part == "..":
                at = stack.pop() if stack else at
                continue
            if part in ("", "."):
                continue
            there = at.children.get(part)
            if there and there.entry.kind == "l":
                hops += 1
                if hops > 40:
                    return None
                left = there.entry.target.split("/") + left
                if there.entry.target.startswith("/"):
                    at, stack = self.root, []
                continue
            if not there or there.entry.kind != "d":
                return None
            stack.append(at)
            at = there
        return at

    def find(self, path):
        return self._walk(path)

    def hidden(self, path):
        """What a whiteout or an opaque mark concerns: its directory by the links of lower layers, itself by none."""
        parent, _, leaf = path.rpartition("/")
        at = self._follow(parent)
        return (at.children, leaf) if at and leaf in at.children else ({}, None)

    def put(self, e):
        if e.path == "":
            self.root.entry = e
            return
        parent, leaf = self._parent(e.path, True)
        old = parent.children.get(leaf)
        if e.kind == "h":
            parent.children[leaf] = self._walk(e.target)
        elif e.kind == "d" and old and old.entry.kind == "d":
            old.entry = e
        else:
            parent.children[leaf] = Node(e)

    def layer(self, entries):
        for e in entries:
            if e.kind == "w":
                names, leaf = self.hidden(e.path)
                names.pop(leaf, None)
        for e in entries:
            if e.kind == "o":
                names, leaf = self.hidden(e.path) if e.path else ({"": self.root}, "")
                if leaf is not None and names[leaf].entry.kind == "d":
                    names[leaf].children.clear()
        # Directories first, then what lies in them, then second names: as an order that every unpacker takes.
        for kinds in ("d", "flpcb", "h"):
            for e in sorted(entries, key=lambda e: e.path.count("/")):
                if e.kind in kinds:
                    self.put(e)

    def entries(self):
        """As one layer: parents first, the first name of an inode before the others."""
        first, out = {}, []

        def visit(path, at):
            e = at.entry
            if at in first:
                out.append(hard(path, first[at]))
                return
            if e.kind != "d":
                first[at] = path
            out.append(Entry(e.kind, path, e.data, e.target, e.mode, e.uid, e.gid, e.mtime, e.xattrs, e.dev))
            for name in sorted(at.children):
                visit(f"{path}/{name}" if path else name, at.children[name])

        visit("", self.root)
        out[0].path = "."
        return out


def flat(layers):
    oracle = Oracle()
    for layer in layers:
        oracle.layer(layer)
    return oracle.entries()
