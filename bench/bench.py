#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: pinfold beside the peers that this machine has, in turn and in one run. docs/bench.md says what a row means.

It refuses a busy machine; BENCH_FORCE=1 measures all the same and the heading says so. Everything that it makes, it
removes: a directory under /var/tmp, containers, control groups, the peers' image.
"""
import argparse
import json
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True   # no __pycache__ in the sources

import host
import memory
import rivals

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLES = ["create", "image", "workspace", "modes", "tree", "exec", "exec-burst", "start", "memory", "rootless"]
TIMEOUT_MS = 10000
SLEEP = "1000"            # seconds that the command of the memory rows sleeps


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Bench:
    """What the tables share: programs, peers, the place."""

    def __init__(self, options, build, work):
        self.options, self.work, self.out, self.root = options, work, [], os.getuid() == 0
        self.runner = f"{build}/bench/runner"
        for name in ("pinfold", "libexec", "bench/empty"):       # where an unprivileged user can reach them
            copy = shutil.copytree if name == "libexec" else shutil.copy
            copy(f"{build}/{name}", f"{work}/{os.path.basename(name)}")
        self.pinfold, self.empty, self.libexec = f"{work}/pinfold", f"{work}/empty", f"{work}/libexec/pinfold"
        self.bwrap = shutil.which("bwrap")
        self.runtimes, self.engines, self.absent = [], [], {}
        os.environ["PINFOLD_STATE"] = f"{work}/state"

    # --- preparing ---------------------------------------------------------------------------

    def prepare(self):
        os.makedirs(f"{self.work}/tools/bin")
        shutil.copy(self.empty, f"{self.work}/tools/bin/static-true")
        self.make_repository()
        if shutil.which("busybox"):
            rivals.make_rootfs(f"{self.work}/rootfs")
        for name in ("crun", "runc"):
            self.prepare_runtime(name)
        for name in ("docker", "podman"):
            self.prepare_engine(name)

    def prepare_runtime(self, name):
        runtime = rivals.Runtime(name, self.work)
        if not runtime.program or not shutil.which("busybox"):
            self.absent[name] = "not installed" if not runtime.program else "busybox is not installed"
        elif not self.root:
            self.absent[name] = "its bundles here need root"
        else:
            self.runtimes.append(runtime)
            runtime.prepare()

    def prepare_engine(self, name):
        engine = rivals.Engine(name)
        why = engine.why_not()
        if why is None:
            self.engines.append(engine)
            why = engine.prepare(f"{self.work}/rootfs")
            if why:
                engine.sweep()
                self.engines.remove(engine)
        if why:
            self.absent[name] = why

    def make_repository(self):
        """The workspace: 200 files in 20 directories, one commit."""
        where = self.repository = f"{self.work}/workspace"
        for d in range(20):
            os.makedirs(f"{where}/d{d}")
            for f in range(10):
                with open(f"{where}/d{d}/f{f}", "w", encoding="utf-8") as out:
                    out.write(f"{d} {f}\n" * 50)
        git = ["git", "-C", where, "-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "bench"]):
            subprocess.run([*git, *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)

    # --- commands ------------------------------------------------------------------------------

    def run_pinfold(self, *words):
        return [self.pinfold, "run", "--quiet", *words]

    def run_bwrap(self, *words):
        return [self.bwrap, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", *words]

    def bwrap_workspace(self):
        """(what it can do, the options)"""
        text = subprocess.run([self.bwrap, "--help"], capture_output=True, text=True)
        if "--tmp-overlay" in text.stdout + text.stderr:
            return "--tmp-overlay", ["--overlay-src", self.repository, "--tmp-overlay", self.repository]
        return "--bind, writes go through", ["--bind", self.repository, self.repository]

    # --- one table -----------------------------------------------------------------------------

    def table(self, title, rows, runs, gap_ms=None, base=None, options=()):
        """Give the rows to the runner: [label, @attribute..., command...] each."""
        gap_ms = self.options.gap if gap_ms is None else gap_ms
        words = [self.runner, "-n", str(self.options.runs or runs), "-g", str(int(gap_ms * 1000)), "-t", str(TIMEOUT_MS),
                 "-j", f"{self.work}/tables.json", "-L", self.libexec, "-b", base or rows[0][0],
                 "-T", f"{title}; {gap_ms:g} ms pause before each run; CPUs were {host.idle_percent():.0f} % idle"]
        for option in options:
            words += ["-o", option]
        words.append("--")
        for i, row in enumerate(rows):
            words += (["---"] if i else []) + row
        runner = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            printed, _ = runner.communicate()
        finally:                                  # stopped: the runner ends its live sandbox, then itself
            if runner.poll() is None:
                runner.terminate()
                runner.wait()
        if runner.returncode != 0:
            raise SystemExit(f"bench: the runner failed ({runner.returncode}) in: {title}")
        self.say(printed.rstrip("\n"))

    def say(self, text):
        if not self.options.json:
            print(text, flush=True)

    def create(self):
        rows = [["pinfold run true", *(["@target=bwrap --unshare-all true"] if self.bwrap else []),
                 *self.run_pinfold("true")]]
        if self.bwrap:
            rows.append(["bwrap --unshare-all true", *self.run_bwrap("true")])
        for r in self.runtimes:
            rows.append([f"{r.name} run true, filter", "@rival", *r.run("filter", "f")])
            rows.append([f"{r.name} run true, no filter", "@rival", *r.run("plain", "p")])
        for e in self.engines:
            rows.append([f"{e.name} run --rm true", *e.run()])
        self.table("create, run true, destroy", rows, 100)
        for name, why in self.absent.items():
            self.say(f"  {name:<44}  not measured: {why}")

    def image(self):
        """The same program from the host's own tools and from an image of the peers' root."""
        if not os.path.exists(f"{self.work}/rootfs"):
            return self.say("\nimage: not measured: busybox is not installed")
        done = subprocess.run([f"{self.libexec}/pinfold-image", "import", "--name", "bench", f"{self.work}/rootfs"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            return self.say(f"\nimage: not measured: {done.stderr.strip()}")
        for root in ([], ["--image", "bench"]):       # the first view of each is made here
            subprocess.run([self.pinfold, "run", "--quiet", *root, "--commands", "busybox", "busybox", "true"], stdin=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=True)
        rows = [["pinfold run, host's tools, busybox true", *self.run_pinfold("busybox", "true")],
                ["pinfold run --image, busybox true", *self.run_pinfold("--image", "bench", "busybox", "true")],
                ["the same with a workspace", *self.run_pinfold("--image", "bench", "--workspace", self.repository, "--rm", "busybox", "true")],
                ["the same with --commands busybox", *self.run_pinfold("--image", "bench", "--commands", "busybox", "busybox", "true")],
                ["host's tools with --commands busybox", *self.run_pinfold("--commands", "busybox", "busybox", "true")]]
        if self.bwrap:
            root = f"{self.work}/rootfs"
            rows.append(["bwrap --unshare-all of that root, busybox true", self.bwrap, "--unshare-all", "--ro-bind", root, "/", "--proc", "/proc",
                         "--dev", "/dev", "--tmpfs", "/tmp", "/bin/busybox", "true"])
        for r in self.runtimes:
            rows.append([f"{r.name} run of that root, filter, true", "@rival", *r.run("filter", "i")])
        return self.table("create, run, destroy: an image beside the host's tools", rows, 100)

    def workspace(self):
        ours = ["--workspace", self.repository, "--rm"]
        rows = [["pinfold, cow, true", *self.run_pinfold(*ours, "true")],
                ["pinfold, cow, touch FILE", *self.run_pinfold(*ours, "touch", "made")]]
        if self.bwrap:
            how, theirs = self.bwrap_workspace()
            theirs += ["--chdir", self.repository]
            rows.append([f"bwrap {how}, true", *self.run_bwrap(*theirs, "true")])
            rows.append([f"bwrap {how}, touch FILE", *self.run_bwrap(*theirs, "touch", "made")])
        kind = host.file_system(self.repository)
        self.table(f"the same with a workspace on {kind}: a Git repository of 200 files", rows, 60)

    def modes(self):
        """What each mode costs with one changed file; the rw rows change the repository, as they are to."""
        rows = []
        for label, words in (("cow, kept apart", [":cow", "--rm"]), ("cow, on a file system on disk (--disk 2G)", [":cow", "--rm", "--disk", "2G"]),
                             ("rw, applied", [":rw"]), ("rw,live", [":rw,live"])):
            if "--disk" in words and not (self.root and shutil.which("mkfs.ext4")):
                self.absent[f"pinfold, {label}"] = "needs root and mkfs.ext4"
                continue
            rows.append([f"pinfold, {label}", *self.run_pinfold("--workspace", self.repository + words[0], *words[1:], "touch", "made")])
        self.table("the modes of a workspace: touch FILE in the same repository", rows, 60)

    def make_tree(self):
        """100,000 files in 5,000 directories, up to ten deep, 2 GiB, one commit. Every file has the same bytes: git keeps one."""
        where = f"{self.work}/tree"
        note("making a tree of 100,000 files")
        random.seed(1)
        dirs, text = [""], os.urandom(10752).hex()
        os.mkdir(where)
        while len(dirs) < 5000:
            above = random.choice(dirs[-400:] if random.random() < 0.7 else dirs)
            if above.count("/") < 10:
                dirs.append(f"{above}/d{len(dirs)}")
                os.mkdir(where + dirs[-1])
        for d in dirs:
            for f in range(20):
                with open(f"{where}{d}/f{f}", "w", encoding="utf-8") as out:
                    out.write(text)
        git = ["git", "-C", where, "-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "bench"], ["status"]):
            subprocess.run([*git, *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)
        return where

    def tree(self):
        """A large workspace beside an empty one: its start, and what a change in it costs."""
        tree, empty = self.make_tree(), f"{self.work}/empty-workspace"
        os.mkdir(empty)
        subprocess.run(self.run_pinfold("--workspace", tree, "sh", "-c", "echo x >> f0"), check=True, stdin=subprocess.DEVNULL)
        cold = ["sh", "-c", f'rm -rf {self.work}/state/index; exec "$@"', "sh"]
        rows = [["an empty workspace, true", *self.run_pinfold("--workspace", empty, "--rm", "true")],
                ["the tree, true, index warm", *self.run_pinfold("--workspace", tree, "--rm", "true")],
                ["the tree, touch FILE, index warm", *self.run_pinfold("--workspace", tree, "--rm", "touch", "made")],
                ["pinfold diff of one change in it", self.pinfold, "diff", "last", "--stat"],
                ["git status of the same", "git", "-C", tree, "status"]]
        self.table("a workspace of 100,000 files in 5,000 directories, 2 GiB", rows, 40)
        self.table("the same, no index yet (the cold walk)", [["the tree, true", *cold, *self.run_pinfold("--workspace", tree, "--rm", "true")]], 10)
        shutil.rmtree(tree)

    def live_rows(self):
        return [["pinfold exec, static true", "@live", "@target=0.3ms", "static-true"],
                ["pinfold exec, dynamic /bin/true", "@live", "/bin/true"]]

    def exec(self):
        rows = self.live_rows()
        for r in self.runtimes:
            why = r.start_live("live")
            if why:
                self.absent[f"{r.name} exec"] = why
            else:
                rows.append([f"{r.name} exec, busybox true", "@rival", *r.exec("live")])
        rows += [[f"{e.name} exec, busybox true", *e.exec()] for e in self.engines]
        rows += [["no sandbox: static true", self.empty], ["no sandbox: dynamic /bin/true", "/bin/true"]]
        self.table("exec in a live sandbox", rows, 100, options=[f"tools={self.work}/tools"])

    def exec_burst(self):
        self.table("exec in a live sandbox, one after another", self.live_rows(), 200, gap_ms=0,
                   options=[f"tools={self.work}/tools"])

    def start(self):
        self.table("the program alone", [["an empty static program", self.empty],
                                         ["pinfold --version", self.pinfold, "--version"]], 200)

    def memory(self):
        runs, rows = 5, []
        if not self.root:
            rows.append({"label": "pinfold run sleep", "not_measured": "needs root: its processes cannot be read by others"})
        else:
            rows.append(memory.measure("pinfold run sleep", self.run_pinfold("sleep", SLEEP), SLEEP, runs))
            if self.bwrap:
                rows.append(memory.measure("bwrap --unshare-all sleep",
                                           self.run_bwrap("--die-with-parent", "sleep", SLEEP), SLEEP, runs))
            for r in self.runtimes:
                rows.append(memory.measure(f"{r.name} run sleep", rivals.apart(r.run("stay", "m")), SLEEP, runs,
                                           stop=lambda r=r: r.delete("m")))
        self.memory_rows = rows
        self.say(memory.table(rows))

    def rootless(self):
        uid = unprivileged_uid()
        if not self.root:
            return self.say("\nrootless: all of the above was, this is not root")
        place = f"{self.work}/user"
        for path in (place, f"{place}/run", f"{place}/state"):
            os.mkdir(path, 0o700)
            os.chown(path, uid, uid)
        who = [f"@uid={uid}", f"@env=HOME={place}", f"@env=XDG_RUNTIME_DIR={place}/run", f"@env=PINFOLD_STATE={place}/state"]
        target = ["@target=bwrap --unshare-all true"] if self.bwrap else []
        rows = [["pinfold run true", *who, *target, *self.run_pinfold("true")]]
        if self.bwrap:
            rows.append(["bwrap --unshare-all true", *who, *self.run_bwrap("true")])
        return self.table(f"rootless: create, run true, destroy as uid {uid}, {sub_uids(uid)}", rows, 60)

    # --- the end ---------------------------------------------------------------------------------

    def sweep(self):
        for peer in [*self.runtimes, *self.engines]:
            try:
                peer.sweep()
            except (OSError, subprocess.SubprocessError) as e:
                note(f"{peer.name}: what it left stays: {e}")

    def document(self, about):
        tables = []
        if os.path.exists(f"{self.work}/tables.json"):
            with open(f"{self.work}/tables.json", encoding="utf-8") as f:
                tables = [json.loads(line) for line in f]
        return {"schema": 1, "host": about, "tables": tables, "memory": getattr(self, "memory_rows", []),
                "absent": self.absent}


def unprivileged_uid():
    """Who called sudo, else the first ordinary account, else nobody's number."""
    if os.environ.get("SUDO_UID", "0") != "0":
        return int(os.environ["SUDO_UID"])
    ordinary = sorted(p.pw_uid for p in pwd.getpwall() if 1000 <= p.pw_uid < 60000)
    return ordinary[0] if ordinary else 65534


def sub_uids(uid):
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    lines = (host.read("/etc/subuid") or "").splitlines()
    return "with sub-uids" if any(line.split(":")[0] in (name, str(uid)) for line in lines) else "without sub-uids"


def arguments():
    parser = argparse.ArgumentParser(description="pinfold beside its peers; see docs/bench.md")
    parser.add_argument("--json", action="store_true", help="print one JSON object, every sample in it, instead of tables")
    parser.add_argument("--only", metavar="TABLE[,TABLE]", default=",".join(TABLES), help="of: " + " ".join(TABLES))
    parser.add_argument("--runs", type=int, metavar="N", help="runs of every row instead of each table's own number")
    parser.add_argument("--gap", type=float, metavar="MS", default=5, help="pause before each run (5)")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if set(options.only) - set(TABLES):
        parser.error("no such table: " + " ".join(set(options.only) - set(TABLES)))
    return options


def check_quiet(about):
    about["idle_percent"] = host.idle_percent()
    quiet = about["idle_percent"] >= host.IDLE_NEEDED
    about["forced"] = not quiet and os.environ.get("BENCH_FORCE") == "1"
    if not quiet and not about["forced"]:
        raise SystemExit(f"bench: this machine is busy: its CPUs are {about['idle_percent']:.0f} % idle, "
                         f"{host.IDLE_NEEDED:.0f} % is the least. Figures would be wrong. Try again when it is quiet; "
                         "BENCH_FORCE=1 measures all the same and says so.")


def measure(bench, about):
    bench.prepare()
    bench.say(host.heading(about))
    bench.say(f"filter       of the runtimes: {rivals.seccomp()[1]}")
    for name in bench.options.only:
        getattr(bench, name.replace("-", "_"))()
    about["idle_percent_after"] = host.idle_percent()
    bench.say(f"\nCPUs idle {about['idle_percent_after']:.0f} % after"
              + ("   the machine became BUSY: do not use these figures"
                 if about["idle_percent_after"] < host.IDLE_NEEDED and not about["forced"] else ""))
    if bench.options.json:
        print(json.dumps(bench.document(about), indent=1))


def main():
    options = arguments()
    build = os.environ.get("PF_BUILD", f"{TOP}/build")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    about = host.describe(f"{build}/pinfold", TOP)
    check_quiet(about)
    work = tempfile.mkdtemp(prefix="pinfold-bench.", dir="/var/tmp")
    os.chmod(work, 0o755)
    bench = None
    try:
        bench = Bench(options, build, work)
        measure(bench, about)
    except KeyboardInterrupt:
        note("stopped")
        return 130
    finally:
        if bench:
            bench.sweep()
        # never into something that is still mounted there
        subprocess.run(["rm", "-rf", "--one-file-system", work], check=False)
        if os.path.exists(work):
            note(f"{work} could not be removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
