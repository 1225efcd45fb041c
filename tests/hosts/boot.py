# SPDX-License-Identifier: Apache-2.0
"""Boot Debian's stock cloud kernel under QEMU with a script to run, and hand back what each step of it said.

    kernel = find_kernel(cache)              raises Unavailable(why)
    report = boot(kernel, script, build, cache)
    report["doctor"].rc, .out, .err

The kernel's package is downloaded once (apt-get download, so that apt checks its signature), unpacked into the cache
and never installed.
"""
import base64
import fcntl
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

import mkinitramfs

PACKAGE = "linux-image-cloud-amd64"
QEMU = "qemu-system-x86_64"
BOOT_SECONDS = 240    # some 15 on an idle machine
DOWNLOAD_SECONDS = 300
DISK_BYTES = 256 << 20


class Unavailable(Exception):
    """This machine cannot boot a test host; the text says why."""


class Kernel:
    def __init__(self, image, modules):
        self.image, self.modules, self.release = image, modules, os.path.basename(modules)

    @property
    def series(self):
        return ".".join(self.release.split(".")[:2])


class Step:
    def __init__(self, value):
        self.name, self.rc = value["step"], value["rc"]
        self.out = base64.b64decode(value["out"]).decode(errors="replace")
        self.err = base64.b64decode(value["err"]).decode(errors="replace")

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f"{self!r} printed no JSON: {error}") from None

    def __repr__(self):
        return f"<{self.name}: {self.rc}\nout: {self.out}\nerr: {self.err}>"


# --- the kernel ----------------------------------------------------------------------------


def _unpacked(cache):
    images = sorted(glob.glob(os.path.join(cache, "kernel/boot/vmlinuz-*-cloud-amd64")))
    if not images:
        return None
    release = os.path.basename(images[-1])[len("vmlinuz-"):]
    for place in ("lib/modules", "usr/lib/modules"):
        modules = os.path.join(cache, "kernel", place, release)
        if os.path.isdir(modules):
            return Kernel(images[-1], modules)
    return None


def _call(argv, **options):
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=True, **options).stdout
    except FileNotFoundError:
        raise Unavailable(f"{argv[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{argv[0]} took more than {DOWNLOAD_SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or "").splitlines() if line.startswith("E:")] or [f"ended with {error.returncode}"]
        raise Unavailable(f"{' '.join(argv[:2])}: {lines[0]}") from None


def _download(cache):
    """PACKAGE itself is empty: it depends on the kernel of the day."""
    shown = _call(["apt-cache", "depends", "--no-recommends", "--no-suggests", PACKAGE])
    names = re.findall(r"Depends: (linux-image-\S+-cloud-amd64)\b", shown)
    if not names:
        raise Unavailable(f"apt knows no package {PACKAGE} (apt-get update?)")
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        _call(["apt-get", "-q", "download", names[0]], cwd=folder)
        package = glob.glob(os.path.join(folder, "*.deb"))
        if not package:
            raise Unavailable(f"apt-get download {names[0]} brought nothing")
        _call(["dpkg-deb", "-x", package[0], os.path.join(folder, "kernel")])
        shutil.rmtree(os.path.join(cache, "kernel"), ignore_errors=True)
        os.rename(os.path.join(folder, "kernel"), os.path.join(cache, "kernel"))


def find_kernel(cache):
    """The unpacked kernel, downloaded first if it is not in the cache."""
    if not shutil.which(QEMU):
        raise Unavailable(f"{QEMU} is not installed (apt-get install qemu-system-x86)")
    if not shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin"):
        raise Unavailable("mkfs.ext4 is not installed (apt-get install e2fsprogs)")
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _unpacked(cache):
            _download(cache)
    kernel = _unpacked(cache)
    if not kernel:
        raise Unavailable(f"no kernel in the package that {PACKAGE} depends on")
    return kernel


# --- a boot --------------------------------------------------------------------------------


def _make_disk(path):
    """An ext4 whose root belongs to everybody, so that the script decides what lies there."""
    with open(path, "wb") as f:
        f.truncate(DISK_BYTES)
    mkfs = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin")
    subprocess.run([mkfs, "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,root_owner=1000:1000", path], check=True)


def _qemu(kernel, initramfs, disk, folder, extra):
    append = f"console=ttyS0 quiet loglevel=4 panic=-1 no_timer_check random.trust_cpu=on {extra}".strip()
    return [QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "768", "-nodefaults", "-display", "none",
            "-no-user-config", "-no-reboot", "-kernel", kernel.image, "-initrd", initramfs, "-append", append,
            "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe",
            "-serial", f"file:{folder}/console", "-serial", f"file:{folder}/results"]


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def boot(kernel, script, build, cache, append=""):
    """Run script as the guest's; {step name: Step}. A host that does not come to its end is an AssertionError."""
    with open(os.path.join(cache, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = mkinitramfs.base_archive(kernel, build, cache)
    with tempfile.TemporaryDirectory(prefix="boot-", dir=cache) as folder:
        initramfs, disk = os.path.join(folder, "initramfs"), os.path.join(folder, "disk")
        shutil.copyfile(base, initramfs)
        with open(initramfs, "ab") as f:
            f.write(mkinitramfs.situation_archive(script))
        _make_disk(disk)
        argv = _qemu(kernel, initramfs, disk, folder, append)
        with open(os.path.join(folder, "qemu"), "wb") as words:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
            try:
                status = process.wait(BOOT_SECONDS)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                process.kill()
                process.wait()
        return _parse(folder, status)


def _parse(folder, status):
    steps = {}
    for line in _read(os.path.join(folder, "results")).splitlines():
        if line.startswith("{") and line.endswith("}"):
            step = Step(json.loads(line))
            assert step.name not in steps, f"two steps are named {step.name}"
            steps[step.name] = step
    if "end" not in steps:
        ended = f"did not end in {BOOT_SECONDS} s" if status is None else f"ended with {status}"
        raise AssertionError(f"the test host {ended} after the steps {list(steps)}\n"
                             f"qemu: {_read(os.path.join(folder, 'qemu'))[-2000:]}\n"
                             f"console: {_read(os.path.join(folder, 'console'))[-6000:]}")
    steps["console"] = Step({"step": "console", "rc": 0, "err": "", "out": base64.b64encode(
        _read(os.path.join(folder, "console")).encode()).decode()})
    return steps
