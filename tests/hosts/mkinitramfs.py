# SPDX-License-Identifier: Apache-2.0
"""The initramfs of the host tests: the built pinfold, Debian's own tools with their libraries, the kernel's modules.

The archive is a function of its content alone (no times, no owners but root, sorted names) and is cached under a name
made of that content's hash, so that boots after the first only read it. What a boot is to do comes in a second, small
archive behind it: the kernel unpacks one after the other (Documentation/driver-api/early-userspace/buffer-format.rst).
"""
import hashlib
import lzma
import os
import re
import shutil
import stat
import subprocess
import tempfile

import images    # of tests/

HERE = os.path.dirname(os.path.abspath(__file__))

# Debian's, with the libraries that ldd names; looked for on PATH.
PROGRAMS = """
    bash sh cat ls cp mv rm ln mkdir rmdir touch chmod chown env true false echo sleep dd head tail sort wc seq stat id
    yes tee uname mktemp base64 sha256sum truncate readlink dirname basename find grep sed git setpriv unshare timeout
    rename.ul newuidmap newgidmap
""".split()
SETUID = ["newuidmap", "newgidmap"]

# "busybox mount" and the like come from here; it is also the interpreter of init.
BUSYBOX = "/usr/bin/busybox"

MODULES = ["overlay", "virtio_pci", "virtio_blk", "ext4", "erofs", "loop"]

PASSWD = """root:x:0:0:root:/root:/bin/bash
tester:x:1000:1000:tester:/home/tester:/bin/bash
"""
GROUP = "root:x:0:\ntty:x:5:\ntester:x:1000:\n"


class Missing(Exception):
    """Something that the initramfs needs is not on this machine."""


class Tree:
    """What the archive holds: name without leading slash -> (mode, content, device)."""

    def __init__(self):
        self.entries = {}

    def _parents(self, name):
        parent = os.path.dirname(name)
        if parent and parent not in self.entries:
            self.dir(parent)

    def dir(self, name, mode=0o755):
        self._parents(name)
        self.entries[name] = (stat.S_IFDIR | mode, b"", (0, 0))

    def file(self, name, data, mode=0o644):
        self._parents(name)
        self.entries[name] = (stat.S_IFREG | mode, data, (0, 0))

    def link(self, name, target):
        self._parents(name)
        self.entries[name] = (stat.S_IFLNK | 0o777, target.encode(), (0, 0))

    def device(self, name, major, minor, mode=0o600):
        self._parents(name)
        self.entries[name] = (stat.S_IFCHR | mode, b"", (major, minor))

    def copy(self, name, source, mode=None):
        with open(source, "rb") as f:
            data = f.read()
        self.file(name, data, stat.S_IMODE(os.stat(source).st_mode) | 0o444 if mode is None else mode)

    def digest(self):
        h = hashlib.sha256()
        for name in sorted(self.entries):
            mode, data, device = self.entries[name]
            h.update(f"{name}\0{mode:o}\0{device}\0{len(data)}\0".encode())
            h.update(data)
        return h.hexdigest()

    def cpio(self):
        """In the "newc" format: 13 fields of 8 hex digits behind the magic; names and contents padded to 4 bytes."""
        parts = []
        for number, name in enumerate(sorted(self.entries), 1):
            mode, data, (major, minor) = self.entries[name]
            parts.append(_member(name, number, mode, data, major, minor))
        parts.append(_member("TRAILER!!!", 0, 0, b"", 0, 0))
        return b"".join(parts)


def _member(name, number, mode, data, major, minor):
    raw = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(data), 0, 0, major, minor, len(raw), 0)
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


# --- programs ------------------------------------------------------------------------------


def _libraries(program):
    """[(path it is looked for at, file)] of a dynamic program; none of a static one."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    found = re.findall(r"(?:=>\s+)?(/\S+) \(0x", done.stdout)
    return [(path, os.path.realpath(path)) for path in found]


def _merged(path):
    """Where a path lies on a system whose /bin, /sbin and /lib are links into /usr."""
    path = path.lstrip("/")
    return path if path.startswith("usr/") else f"usr/{path}"


def _add_libraries(tree, program):
    for wanted, source in _libraries(program):
        tree.copy(_merged(wanted), source, 0o755)


def _add_programs(tree):
    for name in PROGRAMS:
        path = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
        if not path:
            raise Missing(f"{name} is not installed")
        tree.copy(f"usr/bin/{name}", os.path.realpath(path), 0o4755 if name in SETUID else 0o755)
        _add_libraries(tree, path)


def _add_pinfold(tree, build):
    program = os.path.join(build, "pinfold")
    if not os.path.exists(program):
        raise Missing(f"{program} is not built")
    tree.copy("usr/local/bin/pinfold", program, 0o755)
    libexec = os.path.join(build, "libexec/pinfold")
    for name in sorted(os.listdir(libexec)):
        tree.copy(f"usr/local/libexec/pinfold/{name}", os.path.join(libexec, name), 0o755)
        _add_libraries(tree, os.path.join(libexec, name))


def _add_image(tree):
    """An OCI layout of a small system with an account of its own, to be imported there."""
    image = images.busybox()
    image.file("etc/passwd", images.PASSWD + "app:x:1234:1234::/home/app:/bin/sh\n").file("etc/group", images.GROUP + "app:x:1234:\n")
    image.dir("home/app", 0o755, 1234, 1234).file("home/app/own", "own\n", 0o600, 1234, 1234)
    with tempfile.TemporaryDirectory() as folder:
        top = images.layout(os.path.join(folder, "layout"), image, {"User": "app", "Env": ["FROM=image"], "WorkingDir": "/srv"})
        tree.file("pf/cow.json", b'{"root": "cow", "user": "root"}\n')
        for at, _, names in os.walk(top):
            for name in names:
                path = os.path.join(at, name)
                tree.copy(f"pf/layout/{os.path.relpath(path, top)}", path, 0o644)


# --- modules -------------------------------------------------------------------------------


def _index(kernel):
    """Name -> path of every module of the package. "-" and "_" are the same in a module's name."""
    index = {}
    for folder, _, names in os.walk(os.path.join(kernel.modules, "kernel")):
        for name in names:
            match = re.match(r"(.+)\.ko(\.xz)?$", name)
            if match:
                index[match.group(1).replace("-", "_")] = os.path.join(folder, name)
    return index


def _read_module(path):
    with open(path, "rb") as f:
        data = f.read()
    return lzma.decompress(data) if path.endswith(".xz") else data


def _built_in(kernel):
    with open(os.path.join(kernel.modules, "modules.builtin"), encoding="utf-8") as f:
        return {os.path.basename(line.strip())[:-3].replace("-", "_") for line in f}


def _add_modules(tree, kernel):
    """Each wanted module, and a list of what insmod must load for it, in order."""
    index, built_in = _index(kernel), _built_in(kernel)

    def order(name, seen):
        if name in seen or name in built_in:
            return []
        seen.add(name)
        if name not in index:
            raise Missing(f"the kernel's package has no module {name}")
        data = _read_module(index[name])
        tree.file(f"lib/pf/modules/{name}.ko", data)
        # "depends=a,b" stands in .modinfo, ended by a NUL byte
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        before = [d.replace("-", "_") for d in depends.group(1).decode().split(",") if d] if depends else []
        return [m for d in before for m in order(d, seen)] + [name]

    for name in MODULES:
        text = "".join(f"/lib/pf/modules/{m}.ko\n" for m in order(name, set()))
        tree.file(f"lib/pf/modules/{name}.order", text.encode())


# --- the whole -----------------------------------------------------------------------------


def _skeleton(tree):
    for name in ("bin", "sbin", "lib", "lib64"):
        tree.dir(f"usr/{name}")
        tree.link(name, f"usr/{name}")
    for name in ("dev", "proc", "sys", "run", "root", "mnt", "opt", "var/lib", "var/tmp", "home/tester", "pf"):
        tree.dir(name)
    tree.dir("tmp", 0o1777)
    tree.device("dev/console", 5, 1)
    tree.device("dev/null", 1, 3, 0o666)
    tree.file("etc/passwd", PASSWD.encode())
    tree.file("etc/group", GROUP.encode())
    tree.file("etc/hostname", b"host\n")


def base_tree(kernel, build):
    tree = Tree()
    _skeleton(tree)
    _add_programs(tree)
    if not os.path.exists(BUSYBOX):
        raise Missing("busybox-static is not installed")
    tree.copy("usr/bin/busybox", BUSYBOX, 0o755)
    _add_pinfold(tree, build)
    _add_image(tree)
    # with /lib a link to usr/lib, the modules are named through usr
    modules = Tree()
    _add_modules(modules, kernel)
    for name, entry in modules.entries.items():
        if name.startswith("lib/pf"):
            tree.dir("usr/lib/pf/modules")
            tree.entries["usr/" + name] = entry
    tree.copy("init", os.path.join(HERE, "guest/init"), 0o755)
    tree.copy("usr/lib/pf/host.sh", os.path.join(HERE, "guest/host.sh"), 0o644)
    return tree


def base_archive(kernel, build, cache):
    """Path of the archive, made if it is not there. Older ones of the same cache go."""
    tree = base_tree(kernel, build)
    name = f"initramfs-{tree.digest()[:20]}.cpio"
    path = os.path.join(cache, name)
    if not os.path.exists(path):
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "wb") as f:
            f.write(tree.cpio())
        os.rename(temporary, path)
        for old in os.listdir(cache):
            if re.fullmatch(r"initramfs-[0-9a-f]+\.cpio", old) and old != name:
                os.unlink(os.path.join(cache, old))
    return path


def situation_archive(script):
    tree = Tree()
    tree.file("pf/situation.sh", script.encode())
    return tree.cpio()
