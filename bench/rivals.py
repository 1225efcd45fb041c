# SPDX-License-Identifier: Apache-2.0
"""The peers: which of them this machine has, their bundles with settings like Docker's, and the sweeping up.

A bundle's root is busybox, static. Namespaces, capabilities and limits are what `docker run` gives; the filter is
Docker's own profile where Debian's golang-github-containers-common is installed, else a list of like size made here.
"""
import json
import os
import re
import shutil
import subprocess

UNIFIED = "/sys/fs/cgroup/unified"
PROFILE = "/usr/share/containers/seccomp.json"
HEADERS = "/usr/include/x86_64-linux-gnu/asm/unistd_{}.h"
SECONDS = 20              # one call of a runtime
MEMORY, PIDS = 1 << 30, 256   # as pinfold's defaults

# What Docker grants a container.
CAPABILITIES = ["CAP_" + c for c in (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
    "AUDIT_WRITE").split()]

# What Docker's profile keeps from such a container; clone and socket have conditions (_generated).
DENIED = set(
    "_sysctl acct add_key afs_syscall bpf clock_adjtime clock_adjtime64 clock_settime clock_settime64 clone clone3 "
    "create_module delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick get_kernel_syms "
    "get_mempolicy getpmsg init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp "
    "kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages mount mount_setattr move_mount move_pages "
    "nfsservctl open_by_handle_at open_tree perf_event_open personality pivot_root putpmsg query_module quotactl "
    "quotactl_fd reboot request_key security set_mempolicy set_mempolicy_home_node setdomainname sethostname setns "
    "settimeofday socket stime swapoff swapon sysfs syslog tuxcall umount umount2 unshare uselib userfaultfd ustat "
    "vhangup vm86 vm86old vserver".split())


# --- the filter ----------------------------------------------------------------------------


def _applies(entry):
    """Does an entry of Docker's profile hold for this architecture and these capabilities?"""
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    if "amd64" not in (includes.get("arches") or ["amd64"]) or "amd64" in (excludes.get("arches") or []):
        return False
    if set(includes.get("caps") or []) - set(CAPABILITIES):
        return False
    return not set(excludes.get("caps") or []) & set(CAPABILITIES)


def _of_profile():
    with open(PROFILE, encoding="utf-8") as f:
        profile = json.load(f)
    kept = [{k: e[k] for k in ("names", "action", "args", "errnoRet") if e.get(k) not in (None, [], "")}
            for e in profile["syscalls"] if _applies(e)]
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
            "syscalls": kept}


def _generated():
    names = set()
    for bits in (64, 32):
        with open(HEADERS.format(bits), encoding="utf-8") as f:
            names |= set(re.findall(r"^#define __NR_(\w+)", f.read(), re.M))
    allow = "SCMP_ACT_ALLOW"
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": [
        {"names": sorted(names - DENIED), "action": allow},
        {"names": ["clone"], "action": allow,
         "args": [{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
        {"names": ["socket"], "action": allow, "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}


def seccomp():
    """(the linux.seccomp of a bundle, where it is from)"""
    here = os.path.exists(PROFILE)
    value = _of_profile() if here else _generated()
    value["architectures"] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    count = len({n for e in value["syscalls"] for n in e["names"]})
    return value, f"Docker's profile, {count} names" if here else f"a generated list of {count} names"


# --- bundles ---------------------------------------------------------------------------------


def make_rootfs(path):
    """busybox and its names, and the directories that a runtime mounts on."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root"):
        os.makedirs(f"{path}/{name}")
    busybox = shutil.which("busybox")
    shutil.copy(busybox, f"{path}/bin/busybox")
    for name in subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split():
        if name != "busybox":
            os.symlink("busybox", f"{path}/bin/{name}")


def make_bundle(path, runtime, rootfs, argv, cgroup, filtered):
    """The runtime's own default document with Docker's settings in it."""
    os.makedirs(path)
    subprocess.run([runtime, "spec"], cwd=path, check=True, capture_output=True, timeout=SECONDS)
    with open(f"{path}/config.json", encoding="utf-8") as f:
        config = json.load(f)
    config["process"].update(terminal=False, args=argv, noNewPrivileges=True,
                             capabilities={k: CAPABILITIES for k in ("bounding", "effective", "permitted")})
    config["root"] = {"path": rootfs, "readonly": False}
    linux = config["linux"]
    linux["namespaces"] = [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount", "cgroup")]
    linux["cgroupsPath"] = cgroup
    linux.setdefault("resources", {}).update(memory={"limit": MEMORY}, pids={"limit": PIDS})
    linux.pop("seccomp", None)
    if filtered:
        linux["seccomp"] = seccomp()[0]
    with open(f"{path}/config.json", "w", encoding="utf-8") as f:
        json.dump(config, f)


def apart(argv):
    """The command in a mount namespace of its own without the unified hierarchy, which crun refuses beside version 1."""
    if not os.path.exists(f"{UNIFIED}/cgroup.procs"):
        return list(argv)
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", f'umount {UNIFIED}; exec "$@"', "sh", *argv]


class Runtime:
    """crun or runc, with state, bundles and control groups of its own."""

    def __init__(self, name, work):
        self.name, self.work = name, work
        self.program = shutil.which(name)
        self.cgroup = f"/pinfold-bench-{os.getpid()}-{name}"
        self.base = [self.program, "--root", f"{work}/{name}/state"]

    def prepare(self):
        """Bundles: plain and with the filter for `true`, and with the filter for a container that stays."""
        for name, argv, filtered in (("plain", ["/bin/true"], False), ("filter", ["/bin/true"], True),
                                     ("stay", ["/bin/sleep", "1000"], True)):
            make_bundle(f"{self.work}/{self.name}/{name}", self.program, f"{self.work}/rootfs", argv,
                        f"{self.cgroup}/{name}", filtered)

    def run(self, bundle, ident):
        return [*self.base, "run", "--bundle", f"{self.work}/{self.name}/{bundle}", ident]

    def start_live(self, ident):
        """A container that stays, for exec. None, or what went wrong."""
        argv = apart([*self.base, "run", "--detach", "--bundle", f"{self.work}/{self.name}/stay", ident])
        with open(f"{self.work}/{self.name}/live.err", "w+", encoding="utf-8") as err:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, timeout=SECONDS)
            err.seek(0)
            return None if done.returncode == 0 else err.read().strip()

    def exec(self, ident):
        return [*self.base, "exec", ident, "/bin/true"]

    def delete(self, ident):
        subprocess.run(apart([*self.base, "delete", "--force", ident]), capture_output=True, timeout=SECONDS)

    def sweep(self):
        """Delete every container of ours, then its control groups."""
        done = subprocess.run(apart([*self.base, "list", "--quiet"]), capture_output=True, text=True, timeout=SECONDS)
        for ident in done.stdout.split():
            self.delete(ident)
        for top in {line.split()[1] for line in open("/proc/self/mounts", encoding="utf-8")
                    if line.split()[2] in ("cgroup", "cgroup2")}:
            for where, _, _ in os.walk(top + self.cgroup, topdown=False):
                try:
                    os.rmdir(where)
                except OSError as e:
                    print(f"bench: {where} stays: {e.strerror}")


class Engine:
    """docker or podman, if its engine answers; the image is made of the same root."""

    def __init__(self, name):
        self.name, self.image, self.live = name, f"pinfold-bench:{os.getpid()}", f"pinfold-bench-{os.getpid()}"

    def why_not(self):
        if not shutil.which(self.name):
            return "not installed"
        try:
            done = subprocess.run([self.name, "info"], capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return f"`{self.name} info` did not answer in {SECONDS} s"
        return None if done.returncode == 0 else f"`{self.name} info` failed: its engine does not run"

    def prepare(self, rootfs):
        """None, or what went wrong."""
        tar = subprocess.Popen(["tar", "-C", rootfs, "-c", "."], stdout=subprocess.PIPE)
        done = subprocess.run([self.name, "import", "-", self.image], stdin=tar.stdout, capture_output=True, text=True)
        tar.stdout.close()
        tar.wait()
        if done.returncode == 0:
            done = subprocess.run([self.name, "run", "-d", "--name", self.live, "--network", "none", self.image,
                                   "/bin/sleep", "1000"], capture_output=True, text=True, timeout=3 * SECONDS)
        return None if done.returncode == 0 else done.stderr.strip()

    def run(self):
        return [shutil.which(self.name), "run", "--rm", "--network", "none", self.image, "/bin/true"]

    def exec(self):
        return [shutil.which(self.name), "exec", self.live, "/bin/true"]

    def sweep(self):
        subprocess.run([self.name, "rm", "-f", self.live], capture_output=True, timeout=3 * SECONDS)
        subprocess.run([self.name, "rmi", "-f", self.image], capture_output=True, timeout=3 * SECONDS)
