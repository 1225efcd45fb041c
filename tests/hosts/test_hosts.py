# SPDX-License-Identifier: Apache-2.0
"""Other hosts: Debian's stock kernel under QEMU, in the situations of DESIGN section 11. What is found is docs/hosts.md.

situations.py makes the hosts; here is what must hold on them. Every boot runs once for all tests that look at it.
PF_GOLDEN=write: write the golden files of `doctor --json` anew instead of comparing.
"""
import concurrent.futures
import json
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("O", "build"))
CACHE = os.path.join(BUILD, "cache/hosts")
BOOTS_AT_ONCE = 2

sys.path[:0] = [HERE, os.path.dirname(HERE)]

import boot  # noqa: E402
import mkinitramfs  # noqa: E402
import situations  # noqa: E402

GOLDEN_SERIES = "6.1"    # the kernel that golden/ was written on
ROOT_IDS = 0x70000000    # ids of sandboxes that root makes begin here


@pytest.fixture(autouse=True)
def leaves_nothing():
    """Instead of tests/conftest.py's: no sandbox runs on this host, and boot.py ends its QEMU. What is left on the booted
    ones is among their steps."""


# --- boots ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def host_kernel():
    try:
        return boot.find_kernel(CACHE)
    except boot.Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def boots(request, host_kernel):
    """Boot name -> future, for the boots that the chosen tests look at."""
    marks = (item.get_closest_marker("host") for item in request.session.items)
    names = list(dict.fromkeys(mark.args[0] for mark in marks if mark))
    pool = concurrent.futures.ThreadPoolExecutor(BOOTS_AT_ONCE)
    yield {name: pool.submit(boot.boot, host_kernel, situations.BOOTS[name].script, BUILD, CACHE,
                             situations.BOOTS[name].append) for name in names}
    pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def validate():
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    with open(os.path.join(TOP, "docs/result.schema.json"), encoding="utf-8") as f:
        return jsonschema.Draft202012Validator(json.load(f)).validate


class Situation:
    """The steps of one situation: host["doctor"], and host.result("exit") for the JSON of a run."""

    def __init__(self, name, steps, validate):
        self.name, self.steps, self.validate = name, steps, validate

    def __getitem__(self, what):
        return self.steps[f"{self.name}.{what}"]

    def result(self, what, cause=None, code=None):
        value = self[what].json()
        self.validate(value)
        if cause is not None:
            assert (value["cause"], self[what].rc) == (cause, code), self[what]
        return value

    def golden(self, kernel, what="doctor"):
        name = self.name if what == "doctor" else f"{self.name}-{what}"
        compare(os.path.join(HERE, "golden", f"{name}.json"), self[what].json(), kernel)


@pytest.fixture
def host(request, boots, validate):
    name, situation = request.node.get_closest_marker("host").args
    try:
        return Situation(situation, boots[name].result(), validate)
    except mkinitramfs.Missing as why:
        pytest.skip(str(why))


def compare(path, found, kernel):
    """What a version of pinfold or a build of the kernel changes is left out."""
    assert found["kernel"] == f"Linux {kernel.release} x86_64"
    found["kernel"], found["version"] = "KERNEL", "VERSION"
    text = json.dumps(found, indent=2, sort_keys=True) + "\n"
    if os.environ.get("PF_GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    if kernel.series != GOLDEN_SERIES:
        pytest.skip(f"the golden files are of Linux {GOLDEN_SERIES}, this host boots {kernel.series}")
    with open(path, encoding="utf-8") as f:
        assert text == f.read()


# --- what holds everywhere -----------------------------------------------------------------


def proved(result, root):
    """The wall as the host's kernel described it."""
    receipt = result["receipt"]
    outside = receipt["outside"]
    assert receipt["agree"] and receipt["tier"] == "container"
    assert outside["no_new_privs"] and outside["seccomp"] == 2 and outside["seccomp_filters"] >= 2
    assert not any(outside["capabilities"].values())
    own = {name for name, ns in outside["namespaces"].items() if ns["own"]}
    assert own >= {"user", "mnt", "pid", "net", "ipc", "uts", "time"} and not receipt["namespaces_missing"]
    if root:
        assert outside["uid"] >= ROOT_IDS and receipt["init_uid"] == "separate"
    else:
        assert outside["uid"] == 1000
    failed = {a["attempt"] for a in receipt["inside"]["attempts"] if not a["succeeded"]}
    assert failed >= {"socket_vsock", "mount", "new_userns", "io_uring", "write_readonly", "mknod"}
    return receipt


def common_causes(host, root):
    """The causes that need no control group."""
    result = host.result("exit", "exited", 3)
    assert (result["stdout"], result["stderr"]) == ("out\n", "err\n")
    receipt = proved(result, root)
    assert host.result("signal", "signalled", 139)["signal"] == "SIGSEGV"
    assert [h["kind"] for h in host.result("timeout", "timeout", 124)["limits_hit"]] == ["timeout"]
    result = host.result("output_limit", "output_limit", 124)
    assert result["stdout_bytes"] >= 65536 and result["stdout"].startswith("y\ny\n")
    assert "no-such-program" in host.result("notfound", "exited", 127)["error"]
    return receipt


def group_causes(host, root, means):
    """All causes; limits are held by control groups of this kind."""
    receipt = common_causes(host, root)
    assert receipt["limits_by"] == means and receipt["unenforced"] == []
    limits = receipt["outside"]["limits"]
    assert limits["memory_bytes"] == 1 << 30 and limits["processes"] == 256
    assert receipt["outside"]["cgroup"] and receipt["outside"]["namespaces"]["cgroup"]["own"]
    assert host.result("oom", "oom", 137)["limits_hit"][0]["kind"] == "oom"
    result = host.result("pids", "pids", 2)
    assert result["limits_hit"][0]["kind"] == "pids" and result["usage"]["processes_peak"] == 16


def rlimit_causes(host, why):
    """No group: a written memory limit is refused, a default one is told of, processes are held by RLIMIT_NPROC."""
    receipt = common_causes(host, root=False)
    assert receipt["limits_by"] == "none" and receipt["outside"]["cgroup"] is None
    assert [u["limit"] for u in receipt["unenforced"]] == ["memory"]
    assert why in receipt["unenforced"][0]["why"]
    result = host.result("oom", "boundary", 125)
    assert "'memory' cannot be held" in result["error"] and why in result["error"]
    result = host.result("pids", "exited", 2)
    assert result["stderr"] == "sh: 0: Cannot fork\n" and result["limits_hit"] == []


def doctor_items(step):
    (tier,) = [t for t in step.json()["tiers"] if t["name"] == "container"]
    return tier, {item["name"]: item for item in tier["items"]}


def edited(host, rename_code):
    """What edits() of situations.py did to a workspace."""
    result = host.result("rm", "exited", 0)
    assert result["stdout"] == ".git\n.gitignore\nlib\n" and ".env: No such file" in result["stderr"]
    assert host["rm_diff"].out.count("deleted file mode") == 2
    assert host.result("rename", "exited", rename_code)["stderr"].count("Invalid cross-device link") == (rename_code != 0)
    assert host.result("mv", "exited", 0)["stdout"] == "x\ny\nlib\nm\nmoved\n"
    assert host.result("git", "exited", 0)["stdout"] == "three\none\n"
    assert host["untouched"].out == "two\none\n"
    assert host["apply"].rc == 0, host["apply"]
    assert host["applied"].out == "three\none\n.env\n.git\n.gitignore\nbuild\nsource\n1000\n", host["applied"]
    result = host.result("ro", "exited", 2)
    assert result["stdout"] == "z\n" and result["stderr"].count("Read-only file system") == 2


# --- root ----------------------------------------------------------------------------------


@pytest.mark.host("root", "no_overlay")
def test_no_overlay(host, host_kernel):
    """Workspaces are refused by name; everything else works, and doctor has the line that mends it."""
    host.golden(host_kernel)
    tier, items = doctor_items(host["doctor"])
    assert tier["usable"] and not items["overlay"]["ok"] and items["overlay"]["mend"] == "modprobe overlay"
    proved(host.result("run", "exited", 0), root=True)
    for what in ("cow", "ro"):
        result = host.result(what)
        assert host[what].rc == 125 and "no overlay file system" in result["error"] and "modprobe overlay" in result["error"]


@pytest.mark.host("root", "root_v2")
def test_root_v2(host, host_kernel):
    host.golden(host_kernel)
    group_causes(host, True, "cgroup v2")
    proved(host.result("cpus", "exited", 0), root=True)
    proved(host.result("require", "exited", 0), root=True)
    assert host.result("tty", "exited", 0)["stdout"].strip() == "620"


@pytest.mark.host("root", "root_v2")
def test_root_workspace(host):
    """On ext4, through an idmapped mount: a directory of the workspace can be renamed (redirect_dir)."""
    edited(host, rename_code=0)
    assert host["left"].out == "", host["left"]


@pytest.mark.host("root", "root_v2")
def test_root_owned_workspace(host):
    assert host.result("own", "exited", 0)["stdout"] == "1000\n"
    assert host["own_apply"].rc == 0 and host["own_applied"].out == "0\n"


@pytest.mark.host("root", "root_v2")
def test_root_workspace_without_idmap(host):
    """6.1 has no idmapped tmpfs: refused by name."""
    assert "has no idmapped mounts" in host.result("tmpfs", "boundary", 125)["error"]


def shown(host, what, image_by, owners, expected):
    result = host.result(what, "exited", 0)
    proved(result, root=result["receipt"]["outside"]["uid"] != 1000)
    assert (result["receipt"]["image_by"], result["receipt"]["image_owners"]) == (image_by, owners)
    assert result["stdout"] == expected, result
    return result


@pytest.mark.host("root", "unpacked")
def test_root_image_without_erofs(host):
    """No module for it: unpacked. On tmpfs, which 6.1 does not map, root's files belong to nobody inside."""
    assert host["import"].rc == 0, host["import"]
    shown(host, "run", "unpacked", "nobody", "app\n/srv\nimage /home/app\nof the image\n65534 65534\nx\n")
    shown(host, "again", "unpacked", "nobody", "0\n/run:\n\n/tmp:\n")
    assert host["own"].rc == 1    # of mode 600, and not the command's


@pytest.mark.host("root", "loop")
def test_root_image_by_loop(host):
    """Before 6.12 the kernel takes no file for a device, and overlays want their layers attached."""
    assert host["import"].rc == 0, host["import"]
    shown(host, "run", "erofs loop", "kept", "app\n/srv\nimage /home/app\nof the image\n0 0\nx\n")
    shown(host, "again", "erofs loop", "kept", "0\n/run:\n\n/tmp:\n")
    shown(host, "own", "erofs loop", "kept", "own\n")
    result = shown(host, "cow", "erofs loop", "kept", "0\nof the image\nx\n/:\nbin\ndev\netc\nhome\nopt\nproc\nroot\nrun\nsys\ntmp\nusr\nvar\n\n"
                   "/home:\nmoved\n")
    assert result["stderr"] == ""    # a directory of the image can be renamed (redirect_dir)
    result = host.result("workspace", "exited", 1)
    assert result["stdout"].startswith("/disk/ws\n1234\n1234\n") and ".env" in result["stderr"]
    assert host["devices"].out == "", host["devices"]
    _, items = doctor_items(host.steps["root_v2.doctor"])
    assert items["erofs_loop"]["ok"] and not items["erofs_file"]["ok"] and "Linux 6.12" in items["erofs_file"]["mend"]


@pytest.mark.host("user", "user_image")
def test_user_image(host):
    """Unpacked, its owners lost; HOME is not the image's own, since before 6.6 no tmpfs can be the upper of a user's overlay."""
    assert host["import"].rc == 0, host["import"]
    shown(host, "run", "unpacked", "user", "app\n/srv\nimage /home/user\nof the image\n1234 1234\nx\n")
    shown(host, "again", "unpacked", "user", "0\n/run:\n\n/tmp:\n")
    shown(host, "own", "unpacked", "user", "own\n")
    assert "needs Linux 6.6" in host.result("cow", "error", 125)["error"]


@pytest.mark.host("user", "subids")
def test_image_with_subids(host):
    result = shown(host, "image", "unpacked", "user", "app\n1234 1234\nown\n")
    assert result["receipt"]["init_uid"] == "separate"


@pytest.mark.host("root", "core")
def test_core_handler(host):
    """core_pattern is piped to a handler, which the kernel starts as the host's root. The control starts it."""
    assert host["native"].out == "0\n", host["native"]
    for what in ("inside", "lowered", "lowered_root"):
        assert host[what].out == "nobody\n", host[what]


# --- a user --------------------------------------------------------------------------------


@pytest.mark.host("user", "user_v2")
def test_user_without_delegation(host, host_kernel):
    host.golden(host_kernel)
    rlimit_causes(host, "no delegated cgroup: `loginctl enable-linger`")
    assert "cannot be held" in host.result("require", "boundary", 125)["error"]
    _, items = doctor_items(host["doctor"])
    assert "systemd-run --user --scope -p Delegate=yes" in items["cgroup"]["mend"]


@pytest.mark.host("user", "user_v2")
def test_user_workspace(host):
    """The upper lies on ext4, since before 6.6 none can on tmpfs. EXDEV for a directory of the workspace; mv and git cope."""
    assert "needs Linux 6.6, or $PINFOLD_STATE on a file system with user attributes" in host.result("cow_on_tmpfs")["error"]
    edited(host, rename_code=1)
    receipt = host.result("rm")["receipt"]
    assert {u["limit"] for u in receipt["unenforced"]} == {"memory", "disk"}
    assert "'disk' cannot be held" in host.result("disk", "boundary", 125)["error"]
    assert host["scratch"].out == ""


@pytest.mark.host("user", "subids")
def test_user_with_subids(host, host_kernel):
    host.golden(host_kernel)
    result = host.result("exit", "exited", 3)
    assert proved(result, root=False)["init_uid"] == "separate"
    assert result["stdout"].startswith("uid=1000(user) gid=1000(user)")
    assert host.result("tty", "exited", 0)["stdout"].strip() == "620 5"
    assert host.result("rm", "exited", 0)["stdout"] == ""


@pytest.mark.host("user", "delegated")
def test_delegated_user(host, host_kernel):
    host.golden(host_kernel)
    group_causes(host, False, "cgroup v2")
    proved(host.result("cpus", "exited", 0), root=False)
    proved(host.result("require", "exited", 0), root=False)
    assert host["left"].out == "", host["left"]


# --- what refuses --------------------------------------------------------------------------


@pytest.mark.host("refused", "userns_clone")
def test_userns_switched_off_for_users(host, host_kernel):
    host.golden(host_kernel)
    tier, items = doctor_items(host["doctor"])
    assert host["doctor"].rc == 1 and not tier["usable"]
    assert items["namespaces"]["mend"] == "sysctl -w kernel.unprivileged_userns_clone=1"
    assert "refuses new namespaces to this user" in host.result("run")["error"] and host["run"].rc == 125
    proved(host.result("root", "exited", 0), root=True)    # it is the unprivileged that are refused


@pytest.mark.host("refused", "userns_max")
def test_no_userns_at_all(host, host_kernel):
    host.golden(host_kernel)
    tier, items = doctor_items(host["doctor"])
    assert host["doctor"].rc == 1 and not tier["usable"]
    assert items["namespaces"]["mend"] == "sysctl -w user.max_user_namespaces=15000"
    for what in ("run", "root"):
        assert "max_user_namespaces" in host.result(what)["error"] and host[what].rc == 125


@pytest.mark.host("refused", "masked")
def test_masked_proc(host, host_kernel):
    """Inside a container, root or not: everything works but /proc, and that is what is said."""
    for what in ("doctor", "doctor_root"):
        host.golden(host_kernel, what)
        tier, items = doctor_items(host[what])
        assert host[what].rc == 1 and not tier["usable"] and tier["why"].startswith("proc: ")
        assert [name for name in ("namespaces", "id_maps", "mount", "proc", "pivot_root") if not items[name]["ok"]] == ["proc"]
        assert "systempaths=unconfined" in items["proc"]["mend"]
    for what in ("run", "run_root"):
        result = host.result(what)
        assert host[what].rc == 125 and result["receipt"] is None or not result["receipt"]["outside"]
        assert "own /proc are covered" in result["error"]


@pytest.mark.host("refused", "nested")
def test_root_of_one_id(host):
    """uid 0 of a user namespace that maps nothing else."""
    tier, _ = doctor_items(host["doctor"])
    assert host["doctor"].rc == 1 and "run pinfold as an ordinary user" in tier["why"]
    assert host["run"].rc == 125


@pytest.mark.host("nolandlock", "nolandlock")
def test_no_landlock(host, host_kernel):
    """The wall stands without it, and the receipt says so."""
    host.golden(host_kernel)
    for what, root in (("exit", False), ("root", True)):
        receipt = proved(host.result(what, "exited", 3), root)
        assert receipt["landlock"]["abi"] == 0 and not receipt["inside"]["landlock"]
    assert "Landlock was required" in host.result("require", "boundary", 125)["error"]


# --- cgroup v1 -----------------------------------------------------------------------------


@pytest.mark.host("v1", "root_v1")
def test_root_v1(host, host_kernel):
    host.golden(host_kernel)
    group_causes(host, True, "cgroup v1")
    proved(host.result("cpus", "exited", 0), root=True)
    assert host["left"].out == "", host["left"]


@pytest.mark.host("v1", "user_v1")
def test_user_v1(host, host_kernel):
    host.golden(host_kernel)
    rlimit_causes(host, "Permission denied")


@pytest.mark.host("v1", "hybrid")
def test_hybrid(host, host_kernel):
    """All controllers on v1, and an empty unified hierarchy beside them."""
    host.golden(host_kernel)
    group_causes(host, True, "cgroup v1")
    assert host["left"].out == "", host["left"]


@pytest.mark.host("mixed", "mixed")
def test_controllers_on_both(host, host_kernel):
    """Memory on v1, the rest on v2."""
    host.golden(host_kernel)
    group_causes(host, True, "cgroup v1+v2")
    proved(host.result("cpus", "exited", 0), root=True)
    assert host["left"].out == "", host["left"]
