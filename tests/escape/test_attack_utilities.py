# SPDX-License-Identifier: Apache-2.0
"""Approved programs (commands.allow): every way to start one that is not on the list. Three defences: the `view` covers
what the root and the trees of tools have, `noexec` is on every other mount, and `memfd` takes memfd_create away.

The promise, in DESIGN's words: no program file that is not on the list can be started or mapped executable: by name,
path, copy, link, ld.so, descriptor, memfd or preload. What a listed program computes is not limited; the last tests
show that, and what stops it.
"""
import os
import shutil
import subprocess
import tempfile

import pytest

import images

LIST = "sh,cp,ln,chmod,ls,python3"
SAY = '#include <unistd.h>\nint main(void) { return write(1, "ESCAPED started\\n", 16) != 16; }\n'
LIBRARY = ('#include <unistd.h>\n__attribute__((constructor)) static void go(void) { (void)!write(1, "ESCAPED mapped\\n", 15); }\n'
           'unsigned la_version(unsigned v) { return v; }\n')
# write(1, "ESCAPED 32\n", 11); exit(0) by int 0x80
SAY32 = ('.globl _start\n_start: mov $4,%eax; mov $1,%ebx; mov $text,%ecx; mov $11,%edx; int $0x80\n'
         'mov $1,%eax; xor %ebx,%ebx; int $0x80\ntext: .ascii "ESCAPED 32\\n"\n')
LOADER = "/lib64/ld-linux-x86-64.so.2"


def compile_to(path, source, *options, language="c"):
    done = subprocess.run(["gcc", "-x", language, "-o", path, *options, "-"], input=source, text=True, capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture(scope="session")
def victims(_place):
    """A tree of tools with programs that are on no list."""
    if not shutil.which("gcc") or not os.path.exists(LOADER):
        pytest.skip("no gcc, or no glibc")
    top = os.path.join(_place, "victims")
    os.makedirs(top, mode=0o755)
    assert compile_to(top + "/victim", SAY, "-static")
    assert compile_to(top + "/dynamic", SAY, "-pie", "-fPIE")
    assert compile_to(top + "/plain", SAY, "-no-pie")
    os.chmod(top + "/plain", 0o644)         # no x bit: ld.so starts it all the same
    assert compile_to(top + "/tool.so", LIBRARY, "-shared", "-fPIC")
    assert compile_to(top + "/static-pie", SAY, "-static-pie")
    compile_to(top + "/narrow", SAY32, "-m32", "-nostdlib", "-static", language="assembler")
    os.link(top + "/victim", top + "/linked")
    with open(top + "/script", "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\necho ESCAPED script\n")
    os.chmod(top + "/script", 0o755)
    subprocess.run(["chmod", "a+rX", top], check=True)
    return top


@pytest.fixture
def place(_place):
    """A directory that everybody may enter."""
    top = tempfile.mkdtemp(dir=_place)
    os.chmod(top, 0o755)
    yield top
    shutil.rmtree(top)


@pytest.fixture
def attack(prove, victims, workspace):
    """attack(who, script, defences): a shell that is on the list does this. $V: the victims, $W: the workspace with copies of them."""

    def go(who, script, defences, *options, mode="cow", **how):
        at = workspace(who, {})
        for name in ("victim", "dynamic", "plain", "tool.so", "script"):
            shutil.copy(os.path.join(victims, name), at)
            os.chmod(os.path.join(at, name), 0o755)

        def run(program):
            return program.run("--quiet", "--tools", victims, "--workspace", f"{at}:{mode}", "--commands", LIST, *options, "--", "sh", "-c",
                               f"echo tried; V={victims} W={at}; {script}")

        prove(who, None, defences, run=run, **how)

    return go


IN_THE_VIEW = {
    "name": "victim",
    "path": "$V/victim",
    "hard link": "$V/linked",
    "symbolic link": "ln -s $V/victim /tmp/ls; /tmp/ls",
    "another name": "(exec -a ls $V/victim) 2>/dev/null || python3 -c \"import os; os.execv('$V/victim', ['ls'])\"",
    "script": "$V/script",
    "ld.so": f"{LOADER} $V/dynamic",
    "ld.so without x bit": f"{LOADER} $V/plain",
    "no interpreter": "$V/static-pie",
    "descriptor": "exec 9<$V/victim; /proc/self/fd/9",
    "copy of what is shown": "cp $V/victim /tmp/x; cp /tmp/x $W/x; /proc/self/root/$V/victim",
}


@pytest.mark.parametrize("way", IN_THE_VIEW)
def test_programs_of_the_root(anyone, attack, way):
    attack(anyone, IN_THE_VIEW[way], ["view"])


ELSEWHERE = {
    "tmp": "cp $W/victim /tmp/x; /tmp/x",
    "var tmp": "cp $W/victim /var/tmp/x; /var/tmp/x",
    "shm": "cp $W/victim /dev/shm/x; /dev/shm/x",
    "home": "cp $W/victim ~/x; ~/x",
    "run": "cp $W/victim /run/x; /run/x",
    "workspace": "$W/victim",
    "workspace copy": "cp $W/victim $W/ls; $W/ls",
    "descriptor": "exec 9<$W/victim; /proc/self/fd/9",
    "script": "printf '#!/bin/sh\\necho ESCAPED\\n' >/tmp/s; chmod 755 /tmp/s; /tmp/s",
    "ld.so": f"{LOADER} $W/dynamic",
    "ld.so without x bit": f"cp $W/plain /tmp/p; chmod 644 /tmp/p; {LOADER} /tmp/p",
    "preload": "LD_PRELOAD=$W/tool.so ls",
    "audit": "LD_AUDIT=$W/tool.so ls",
    "mapped": "python3 -c \"import ctypes; ctypes.CDLL('$W/tool.so')\"",
    "mprotect": "python3 -c \"import mmap, os; f = os.open('$W/victim', os.O_RDONLY); "
                "mmap.mmap(f, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC); print('ESCAPED mapped')\"",
}


@pytest.mark.parametrize("way", ELSEWHERE)
def test_programs_from_elsewhere(anyone, attack, way):
    attack(anyone, ELSEWHERE[way], ["noexec"])


@pytest.mark.parametrize("mode", ["ro", "rw", "rw,live"])
def test_every_mode_of_the_workspace(anyone, attack, mode):
    attack(anyone, "$W/victim", ["noexec"], mode=mode)


def test_a_mount_of_the_policy(anyone, attack, victims, place):
    shutil.copy(victims + "/victim", place)
    with open(place + "/p.json", "w", encoding="utf-8") as f:
        f.write('{"mounts": [{"from": "%s", "to": "/data"}]}' % place)
    attack(anyone, "/data/victim", ["noexec"], "--policy", place + "/p.json")


def test_memfd(anyone, attack):
    script = ("import os; f = os.memfd_create('x'); os.write(f, open('$W/victim', 'rb').read()); "
              "os.execve(f, ['ls'], {})")
    attack(anyone, f'python3 -c "{script}"', ["memfd"])


def test_memfd_by_ld_so(anyone, attack):
    script = ("import os; f = os.memfd_create('x'); os.write(f, open('$W/dynamic', 'rb').read()); os.set_inheritable(f, True); "
              f"os.execv('{LOADER}', ['ld.so', '/proc/self/fd/%d' % f])")
    attack(anyone, f'python3 -c "{script}"', ["memfd"])


def test_32_bit(anyone, attack, victims):
    """The filter kills foreign architectures beside."""
    if not os.path.exists(victims + "/narrow"):
        pytest.skip("gcc cannot make a 32-bit program")
    if subprocess.run([victims + "/narrow"], capture_output=True, check=False).stdout != b"ESCAPED 32\n":
        pytest.skip("this kernel starts no 32-bit programs")
    attack(anyone, "$V/narrow", ["view", "seccomp"])


def test_the_place_of_refusals_stays(anyone, attack):
    """It is a mount: who owns /run cannot put another in its place, nor start anything from it. As a user with one id
    its files are his own; what they say is worth nothing to the host in any case."""
    attack(anyone, "cp $W/victim /run/pinfold-commands/x 2>/dev/null || cp $W/victim /run/x; "
                   "mv /run/pinfold-commands /run/gone 2>/dev/null && echo ESCAPED moved; /run/pinfold-commands/x || /run/x", ["noexec"])


# --- an image ---------------------------------------------------------------------------------


@pytest.fixture
def in_image(prove, victims, image):
    def go(who, script, defences, home=False):
        tree = images.busybox()
        tree.copy("opt/victim", victims + "/victim", 0o755)
        tree.copy("usr/lib/victim.hidden", victims + "/victim", 0o4755)
        if home:
            tree.dir("home/user", 0o755, 1000, 1000).copy("home/user/victim", victims + "/victim", 0o755)
        name = image(who, tree)

        def run(program):
            return program.run("--quiet", "--image", name, "--commands", "busybox", "--", "sh", "-c", f"echo tried; {script}")

        prove(who, None, defences, run=run)

    return go


@pytest.mark.parametrize("path", ["/opt/victim", "/usr/lib/victim.hidden", "/proc/self/root/opt/victim"])
def test_programs_of_an_image(anyone, in_image, path):
    in_image(anyone, path, ["view"])


def test_home_of_an_image(anyone, in_image):
    """A home that is not empty is a cow of the image's own. The view covers what the image had there too."""
    in_image(anyone, "cat ~/victim >/dev/null; cp /bin/busybox ~/busybox; ~/busybox echo ESCAPED", ["noexec"], home=True)


def test_hidden_in_a_closed_directory(as_user, prove, victims, place):
    """A directory that the user may enter but not list: what is in it cannot be looked at, so none of it is shown."""
    top = place
    os.makedirs(top + "/tree/closed")
    shutil.copy(victims + "/victim", top + "/tree/closed/victim")
    subprocess.run(["chmod", "-R", "a+rX", top], check=True)
    os.chmod(top + "/tree/closed", 0o711)

    def run(program):
        return program.run("--quiet", "--tools", top + "/tree", "--commands", LIST, "--", "sh", "-c",
                           f"echo tried; {top}/tree/closed/victim")

    prove(as_user, None, ["view"], run=run)


# --- what is not promised ------------------------------------------------------------------------


def test_machine_code_of_a_listed_interpreter_runs(anyone, victims, outside, canary):
    """An interpreter on the list computes what it likes, in its own memory: the list does not stop that. The boundary does:
    what it computes finds no file of the host's."""
    secret = outside(canary)
    code = ("import ctypes, mmap; m = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC); "
            "m.write(bytes.fromhex('b82a000000c3')); "
            "f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m))); print('ran', f()); "
            f"print(open('{secret}').read())")
    done = anyone.run("--quiet", "--tools", victims, "--commands", LIST, "--", "python3", "-c", code)
    assert "ran 42" in done.out and canary not in done.out and "FileNotFoundError" in done.err, repr(done)


def test_a_script_of_the_workspace_runs_by_its_interpreter(anyone, victims, workspace):
    at = workspace(anyone, {"s.sh": "echo any script\n"})
    done = anyone.run("--quiet", "--tools", victims, "--workspace", at, "--commands", LIST, "--", "sh", "s.sh")
    assert done.out == "any script\n", repr(done)


def test_what_is_told_from_inside_is_bounded(anyone, victims):
    """A command may write anything where pinfold-refuse leaves its lines."""
    r = anyone.result("--tools", victims, "--commands", LIST, "--", "python3", "-c",
                      "import os\nf = os.open('/run/pinfold-commands/refused', os.O_WRONLY | os.O_APPEND)\n"
                      "for i in range(5000): os.write(f, b'/bin/%d\\x1b[31m' % i + b'x' * 3000 + b'\\n')\n")
    told = r["denials"]
    assert r["cause"] == "exited" and 0 < len(told) <= 32, r["cause"]
    assert all(len(d["target"]) < 1100 and "\x1b" not in d["target"] and "told from inside" in d["rule"] for d in told)
