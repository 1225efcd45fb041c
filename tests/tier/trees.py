# SPDX-License-Identifier: Apache-2.0
"""Trees of files: made at random, changed at random, described so that two can be compared, and unpacked from the layer of an
OCI image. For the tests of change sets.

    make(top, rng)              a random tree
    EDITS                       a Python program (text) that changes trees: on stdin of python3, with arguments; it does the
                                same inside a sandbox and outside, and tells what, a line an edit
    describe(top)               {path: what it is}; with names of one file, attributes and the order of times
    unpack_layer(tar, top)      what image-spec's layer.md asks of who unpacks one
"""
import os
import stat
import tarfile

# Bytes as a user's directory may have them: no UTF-8, a newline, a dash in front, as long as a name can be.
NAMES = [b"a", b"b", b"dir", b"sub dir", b"\xff\xfe", "ünï".encode(), b"new\nline", b"-rf", b"...", b"n" * 255, b"tab\t", b"'\"$(x)"]

# Names of one file in the workspace. Overlay parts them as soon as one is touched, which no native run does: they are only
# ever removed, or moved with their directory. And where a file of the workspace got a further name, overlay (index=off) may
# show old modes under the one after a change of the other: then nothing but new names and removals.
TWINS = b"twin"

# The last digit of a file's time, for EDITS: made there, and never one of the workspace's; or one of its, with names given there.
FRESH, LINKED = 7, 3

EDITS = r'''
import errno, os, random, shutil, stat, sys

NAMES = %r
TWINS = %r
CLOCK = [1700000000]


# (Not st_nlink: overlay does not always know.)
FRESH, LINKED = %d, %d


def now(digit):
    CLOCK[0] += 1
    return (CLOCK[0] * 10**9 + digit, CLOCK[0] * 10**9 + digit)


class Editor:
    def __init__(self, top, seed, rename_dirs):
        self.top, self.rng, self.rename_dirs = top, random.Random(seed), rename_dirs

    def paths(self):
        """Everything that is there, sorted: the same on both sides."""
        dirs, files = [b""], []
        for at, names, more in os.walk(self.top):
            for name in names + more:
                path = os.path.relpath(os.path.join(at, name), self.top)
                (dirs if name in names and not os.path.islink(os.path.join(at, name)) else files).append(path)
        return sorted(dirs), sorted(files)

    def full(self, path):
        return os.path.join(self.top, path) if path else self.top

    def new_path(self, dirs):
        return os.path.join(self.rng.choice(dirs), self.rng.choice(NAMES))

    def pick(self, files, kind=None, change=True):
        good = []
        for f in files:
            info = os.lstat(self.full(f))
            if os.path.basename(f).startswith(TWINS) or (kind is not None and not kind(info.st_mode)):
                continue
            if not (change and stat.S_ISREG(info.st_mode) and info.st_mtime_ns %% 10 == LINKED):
                good.append(f)
        return self.rng.choice(good) if good else None

    def write(self, path, data, flags):
        old = flags & os.O_EXCL == 0 and os.lstat(self.full(path)).st_mtime_ns %% 10 != FRESH
        fd = os.open(self.full(path), os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o666)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        os.utime(self.full(path), ns=now(5 if old else FRESH))

    def data(self):
        kind = self.rng.random()
        if kind < 0.2:
            return b""
        if kind < 0.7:
            return b"line %%d\n" %% self.rng.randrange(1000) * self.rng.randrange(1, 5)
        return self.rng.randbytes(self.rng.randrange(1, 9000))

    def do_new(self, dirs, files):
        self.write(self.new_path(dirs), self.data(), os.O_CREAT | os.O_EXCL)

    def do_overwrite(self, dirs, files):
        path = self.pick(files, stat.S_ISREG)
        if path:
            self.write(path, self.data(), os.O_TRUNC)

    def do_append(self, dirs, files):
        path = self.pick(files, stat.S_ISREG)
        if path:
            self.write(path, b"more\n", os.O_APPEND)

    def do_replace(self, dirs, files):
        """As editors save."""
        path = self.pick(files, stat.S_ISREG)
        if path:
            temp = os.path.join(os.path.dirname(path), b".swp")
            self.write(temp, self.data(), os.O_CREAT | os.O_EXCL)
            os.rename(self.full(temp), self.full(path))

    def do_sparse(self, dirs, files):
        path = self.new_path(dirs)
        fd = os.open(self.full(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        for _ in range(self.rng.randrange(3)):
            os.pwrite(fd, b"data", self.rng.randrange(1 << 32))
        os.ftruncate(fd, self.rng.choice([1 << 33, 3 << 20, (1 << 33) + 5]))
        os.close(fd)
        os.utime(self.full(path), ns=now(FRESH))

    def do_unlink(self, dirs, files):
        if files:
            os.unlink(self.full(self.rng.choice(files)))

    def do_mkdir(self, dirs, files):
        os.mkdir(self.full(self.new_path(dirs)), self.rng.choice([0o755, 0o700, 0o775]))

    def do_rmtree(self, dirs, files):
        path = self.rng.choice(dirs)
        if path:
            shutil.rmtree(self.full(path))

    def do_again(self, dirs, files):
        """A directory removed and made anew, with a name that was in it."""
        path = self.rng.choice(dirs)
        if path:
            names = sorted(os.listdir(self.full(path)))
            shutil.rmtree(self.full(path))
            os.mkdir(self.full(path))
            if names and not names[0].startswith(TWINS):
                self.write(os.path.join(path, names[0]), self.data(), os.O_CREAT | os.O_EXCL)

    def do_symlink(self, dirs, files):
        os.symlink(self.rng.choice([b"nowhere", b"a", b"../b", b"/etc/passwd", b"\xff"]), self.full(self.new_path(dirs)))

    def do_fifo(self, dirs, files):
        os.mkfifo(self.full(self.new_path(dirs)), 0o640)

    def do_link(self, dirs, files):
        path, to = self.pick(files, change=False), self.new_path(dirs)
        if path and not os.path.lexists(self.full(to)):
            info = os.lstat(self.full(path))
            if stat.S_ISREG(info.st_mode) and info.st_mtime_ns %% 10 != FRESH:
                os.utime(self.full(path), ns=now(LINKED))
            os.link(self.full(path), self.full(to), follow_symlinks=False)

    def do_chmod(self, dirs, files):
        path = self.pick(files, lambda mode: stat.S_ISREG(mode) or stat.S_ISFIFO(mode))
        if path:
            os.chmod(self.full(path), self.rng.choice([0o644, 0o600, 0o755, 0o444, 0o000]))

    def do_chmod_dir(self, dirs, files):
        path = self.rng.choice(dirs)
        if path:
            os.chmod(self.full(path), self.rng.choice([0o755, 0o700, 0o1777, 0o775]))

    def do_attribute(self, dirs, files):
        path = self.pick(files, stat.S_ISREG) if self.rng.random() < 0.7 else self.rng.choice(dirs)
        if path:
            name = self.rng.choice(["user.one", "user.two"])
            if self.rng.random() < 0.3:
                os.removexattr(self.full(path), name, follow_symlinks=False)
            else:
                os.setxattr(self.full(path), name, self.rng.randbytes(self.rng.randrange(40)), follow_symlinks=False)

    def do_rename(self, dirs, files):
        path, to = self.pick(files), self.new_path(dirs)
        if path and not os.path.isdir(self.full(to)) \
                and not os.path.basename(to).startswith(TWINS):
            os.rename(self.full(path), self.full(to))

    def do_rename_dir(self, dirs, files):
        path, to = self.rng.choice(dirs), self.new_path(dirs)
        if self.rename_dirs and path and len(path) < 100 and not os.path.lexists(self.full(to)) and not (to + b"/").startswith(path + b"/"):
            os.rename(self.full(path), self.full(to))

    def do_file_to_dir(self, dirs, files):
        if files:
            path = self.rng.choice(files)
            os.unlink(self.full(path))
            os.mkdir(self.full(path))
            self.write(os.path.join(path, b"in"), self.data(), os.O_CREAT | os.O_EXCL)

    def do_dir_to_other(self, dirs, files):
        path = self.rng.choice(dirs)
        if path:
            shutil.rmtree(self.full(path))
            if self.rng.random() < 0.5:
                self.write(path, self.data(), os.O_CREAT | os.O_EXCL)
            else:
                os.symlink(b"elsewhere", self.full(path))

    def edit(self, count):
        ops = sorted(name for name in dir(self) if name.startswith("do_"))
        rare = ("do_rmtree", "do_again", "do_dir_to_other", "do_file_to_dir", "do_unlink")
        for _ in range(count):
            op, dirs_files = self.rng.choice(ops), self.paths()
            if op in rare and self.rng.random() < 0.7:
                op = self.rng.choice(("do_new", "do_mkdir", "do_link"))
            try:
                getattr(self, op)(*dirs_files)
                came = "done"
            except OSError as error:
                # what a user may not do is the same everywhere; what only overlay cannot is an error of the test
                if error.errno in (errno.EXDEV, errno.EOVERFLOW, errno.EIO, errno.EINVAL, errno.ENOSPC):
                    raise
                came = errno.errorcode[error.errno]
            # both sides must tell the same story
            print(os.fsdecode(self.top), op, came, *map(len, dirs_files))


os.umask(0o022)
seed, count, rename_dirs, tops = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4:]
for i, top in enumerate(tops):
    Editor(os.fsencode(top), seed + i, rename_dirs).edit(count)
''' % (NAMES, TWINS, FRESH, LINKED)


def make(top, rng):
    """A random tree, as there are many: some directories, files of all sizes, links, attributes. No two have the same content: to
    put one in the place of the other would be no change, and not even a link to it."""
    os.mkdir(top)
    top = os.fsencode(top)
    dirs = [b""]
    for _ in range(rng.randrange(2, 8)):
        path = os.path.join(rng.choice(dirs), rng.choice(NAMES[:10]))
        if len(path) < 900 and not os.path.lexists(os.path.join(top, path)):
            os.mkdir(os.path.join(top, path), rng.choice([0o755, 0o755, 0o700]))
            dirs.append(path)
    for number in range(rng.randrange(8, 24)):
        path = os.path.join(top, rng.choice(dirs), rng.choice(NAMES))
        if os.path.lexists(path):
            continue
        kind = rng.random()
        if kind < 0.1:
            os.symlink(b"nowhere-%d" % number, path)
            continue
        with open(path, "wb") as f:
            f.write(rng.randbytes(rng.randrange(20, 9000)) if kind < 0.4 else b"text %d\n" % number)
        os.chmod(path, rng.choice([0o644, 0o644, 0o755, 0o600]))
        if rng.random() < 0.2:
            os.setxattr(path, "user.one", b"old")
        os.utime(path, ns=(1600000000 * 10**9, (1600000000 + rng.randrange(100000)) * 10**9))
    if rng.random() < 0.4:
        first = os.path.join(top, rng.choice(dirs), TWINS)
        with open(first, "wb") as f:
            f.write(b"twins\n")
        os.link(first, first + b"2")


def _attributes(path, info):
    if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
        return {}
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
            if name.startswith("user.")}


def _content(path, info):
    """Bytes of a file without its holes, and where they are."""
    if stat.S_ISLNK(info.st_mode):
        return os.readlink(path)
    if not stat.S_ISREG(info.st_mode):
        return None
    parts, at = [], 0
    with open(path, "rb") as f:
        while at < info.st_size:
            try:
                begin = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(f.fileno(), begin, os.SEEK_HOLE)
            data = os.pread(f.fileno(), end - begin, begin)
            body = data.strip(b"\0")
            if body:
                parts.append((begin + len(data) - len(data.lstrip(b"\0")), body))
            at = end
    return info.st_size, parts


def describe(top, sockets=False):
    """({path: (type and mode, content, attributes)}, [names of one file], {path: (mtime, bytes on disk)}), as root may see it."""
    found, inodes, more = {}, {}, {}
    top = os.fsencode(top)
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            full = os.path.join(at, name)
            path = os.path.relpath(full, top)
            info = os.lstat(full)
            if stat.S_ISSOCK(info.st_mode) and not sockets:
                continue
            mode = stat.S_IFMT(info.st_mode) if stat.S_ISLNK(info.st_mode) else info.st_mode
            found[path] = (oct(mode), _content(full, info), _attributes(full, info))
            more[path] = (info.st_mtime_ns, info.st_blocks * 512)
            if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1:
                inodes.setdefault(info.st_ino, set()).add(path)
    return found, sorted(sorted(names) for names in inodes.values()), more


def in_order(wanted, have, paths):
    """Are files in `have` in the order of the times of `wanted`? Returns the first pair that is not."""
    ordered = sorted(paths, key=lambda path: wanted[path][0])
    for a, b in zip(ordered, ordered[1:]):
        if wanted[a][0] < wanted[b][0] and not have[a][0] < have[b][0]:
            return a, b
    return None


# --- an unpacker of layers -----------------------------------------------------------------------------


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            _remove(os.path.join(path, name))
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _place(archive, member, path):
    if member.isdir():
        if not os.path.isdir(path) or os.path.islink(path):
            _remove(path)
            os.mkdir(path)
    elif member.islnk():
        _remove(path)
        os.link(os.path.join(archive.target, os.fsencode(member.linkname)), path, follow_symlinks=False)
        return
    else:
        _remove(path)
        if member.issym():
            os.symlink(os.fsencode(member.linkname), path)
        elif member.isfifo():
            os.mkfifo(path)
        else:
            assert member.isreg(), member.type
            archive.makefile(member, path)
    if not member.issym():
        os.chmod(path, member.mode)
    for key, value in member.pax_headers.items():
        if key.startswith("SCHILY.xattr."):
            os.setxattr(path, os.fsencode(key[len("SCHILY.xattr."):]), os.fsencode(value), follow_symlinks=False)
    mtime = float(member.mtime)
    os.utime(path, (mtime, mtime), follow_symlinks=False)


def unpack_layer(tar, top):
    """Put a layer over a tree. Whiteouts are of what was there before the layer, so they come first."""
    top = os.fsencode(top)
    with tarfile.open(tar, "r:", encoding="utf-8", errors="surrogateescape") as archive:
        archive.target = top
        members = archive.getmembers()
        for member in members:
            name = os.fsencode(member.name)
            at, last = os.path.split(os.path.join(top, name))
            if last == b".wh..wh..opq":
                for entry in os.listdir(at):
                    _remove(os.path.join(at, entry))
            elif last.startswith(b".wh."):
                _remove(os.path.join(at, last[4:]))
        for member in members:
            path = os.path.join(top, os.fsencode(member.name))
            if not os.path.basename(path).startswith(b".wh."):
                _place(archive, member, path)
    return [member.name for member in members]
