# SPDX-License-Identifier: Apache-2.0
"""Images for tests, made here from nothing but busybox or this host's python: no network, no root.

    tree = images.busybox()                  a small system
    tree.link("etc", "/somewhere")           replaces what was there
    images.layout(folder, tree, {"User": "app", "Env": ["A=b"]})    an OCI layout that `pinfold image import` takes
"""
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

BUSYBOX = "/usr/bin/busybox"
PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
GROUP = "root:x:0:\ndaemon:x:1:\n"


class Tree:
    """path without leading slash -> tarfile.TarInfo and content. A later entry replaces an earlier one, and what is in it."""

    def __init__(self):
        self.entries = {}

    def _put(self, path, kind, mode, uid, gid, data=b"", target=""):
        path = path.strip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self.dir(parent)
        self.remove(path)
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.uid, info.gid, info.linkname = kind, mode, uid, gid, target
        info.size, info.mtime = len(data), 1000000000
        self.entries[path] = (info, data)
        return self

    def remove(self, path):
        path = path.strip("/")
        for name in [n for n in self.entries if n == path or n.startswith(path + "/")]:
            del self.entries[name]
        return self

    def dir(self, path, mode=0o755, uid=0, gid=0):
        return self._put(path, tarfile.DIRTYPE, mode, uid, gid)

    def file(self, path, data=b"", mode=0o644, uid=0, gid=0):
        return self._put(path, tarfile.REGTYPE, mode, uid, gid, data if isinstance(data, bytes) else data.encode())

    def link(self, path, target, uid=0, gid=0):
        return self._put(path, tarfile.SYMTYPE, 0o777, uid, gid, target=target)

    def fifo(self, path):
        return self._put(path, tarfile.FIFOTYPE, 0o644, 0, 0)

    def copy(self, path, source, mode=None):
        with open(source, "rb") as f:
            return self.file(path, f.read(), os.stat(source).st_mode & 0o7777 if mode is None else mode)

    def write(self, folder):
        """Into an empty directory of the host, as far as the caller may."""
        for path, (info, data) in self.entries.items():
            full = os.path.join(folder, path)
            if info.type == tarfile.DIRTYPE:
                os.mkdir(full)
            elif info.type == tarfile.SYMTYPE:
                os.symlink(info.linkname, full)
            elif info.type == tarfile.FIFOTYPE:
                os.mkfifo(full)
            else:
                with open(full, "wb") as f:
                    f.write(data)
            if os.geteuid() == 0:
                os.chown(full, info.uid, info.gid, follow_symlinks=False)
            if info.type != tarfile.SYMTYPE:
                os.chmod(full, info.mode)
        return folder

    def tar(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
            for info, data in self.entries.values():
                t.addfile(info, io.BytesIO(data) if data else None)
        return out.getvalue()


def busybox():
    """A small system with every applet in /bin; the usual directories, nobody but root and daemon."""
    tree = Tree()
    for name in ("bin", "dev", "etc", "home", "proc", "sys", "usr/bin", "var/tmp", "opt", "srv"):
        tree.dir(name)
    tree.dir("tmp", 0o1777).dir("root", 0o700)
    tree.copy("bin/busybox", BUSYBOX, 0o755)
    for name in subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split():
        if name != "busybox":
            tree.link(f"bin/{name}", "busybox")
    tree.file("etc/passwd", PASSWD).file("etc/group", GROUP).file("etc/image", "of the image\n")
    return tree


def only_busybox():
    """A system of one file: no directory of the usual ones is there."""
    return Tree().copy("busybox", BUSYBOX, 0o755)


def _libraries(program):
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return re.findall(r"(?:=>\s+)?(/\S+) \(0x", done.stdout)


def with_python(tree):
    """This host's /usr/bin/python3 with its library, and the shared libraries of both, each at its own path."""
    python = "/usr/bin/python3"
    version = "%d.%d" % sys.version_info[:2] if sys.executable == python else subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], check=True, capture_output=True, text=True).stdout.strip()
    library = f"/usr/lib/python{version}"
    tree.copy("usr/bin/python3", os.path.realpath(python), 0o755)
    programs = [os.path.realpath(python)]
    for top, dirs, files in os.walk(library):
        dirs[:] = sorted(d for d in dirs if d not in ("__pycache__", "test", "idlelib", "tkinter", "lib2to3", "ensurepip", "dist-packages"))
        for name in sorted(files):
            path = os.path.join(top, name)
            if os.path.islink(path) or not name.endswith((".py", ".so")):
                continue
            tree.copy(path, path)
            if name.endswith(".so"):
                programs.append(path)
    for program in programs:
        for path in _libraries(program):
            tree.copy(path, os.path.realpath(path), 0o755)
    return tree


# --- an OCI layout ----------------------------------------------------------------------------


def _blob(folder, data, kind):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(folder, "blobs/sha256", digest), "wb") as f:
        f.write(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}


def layout(folder, tree, config=None):
    """One image of one layer. config: User, WorkingDir, Env, Entrypoint, Cmd. Returns folder."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "blobs/sha256"))
    tar = tree.tar()
    layer = _blob(folder, gzip.compress(tar, 1, mtime=0), "layer.v1.tar+gzip")
    document = {"architecture": "amd64", "os": "linux", "config": config or {},
                "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": _blob(folder, json.dumps(document).encode(), "config.v1+json"), "layers": [layer]}
    index = {"schemaVersion": 2, "manifests": [_blob(folder, json.dumps(manifest).encode(), "manifest.v1+json")]}
    for name, value in (("index.json", index), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(value, f)
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    return folder


class Store:
    """Imports an image once for each state directory. image(who, tree, config) is its name there."""

    def __init__(self, place):
        self.place, self.names = place, {}

    def __call__(self, who, tree, config=None, name=None):
        key = hashlib.sha256(tree.tar() + json.dumps(config or {}, sort_keys=True).encode()).hexdigest()
        if (who.state, key) not in self.names:
            name = name or f"test-{key[:12]}"
            folder = layout(os.path.join(self.place, f"layout-{key[:12]}"), tree, config)
            done = who("image", "import", "--name", name, folder)
            shutil.rmtree(folder)
            assert done.code == 0, repr(done)
            self.names[who.state, key] = name
        return self.names[who.state, key]

    def by_hand(self, who, tree, owner):
        """The same for a tree that import refuses, laid into the store as image/store.h has it. Needs mkfs.erofs."""
        folder = tree.write(tempfile.mkdtemp(dir=self.place))
        top = os.path.join(who.state, "images")
        for path in (who.state, top, top + "/names"):
            os.makedirs(path, mode=0o700, exist_ok=True)
        file = os.path.join(self.place, "by-hand.erofs")
        subprocess.run(["mkfs.erofs", "--quiet", "-T0", file, folder], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)
        with open(file, "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        config = {"user": "", "workdir": "", "env": [], "entrypoint": [], "cmd": []}
        manifest = json.dumps({"schema": 1, "erofs": f"sha256:{digest}", "config": config}, separators=(",", ":")) + "\n"
        digest = hashlib.sha256(manifest.encode()).hexdigest()
        at = os.path.join(top, f"sha256-{digest}")
        info = {"schema": 1, "source": "by hand", "created": 0, "size": os.path.getsize(file), "files": 1, "bytes": 1, "notes": []}
        shutil.rmtree(at, ignore_errors=True)
        os.mkdir(at, 0o700)
        shutil.move(file, at + "/image.erofs")
        for name, text in (("manifest.json", manifest), ("info.json", json.dumps(info, separators=(",", ":")) + "\n"), ("lock", "")):
            with open(os.path.join(at, name), "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(os.path.join(at, name), 0o600)
        if who.prefix:
            subprocess.run(["chown", "-R", f"{owner}:{owner}", who.state], check=True)
        return digest
