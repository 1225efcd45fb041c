# SPDX-License-Identifier: Apache-2.0
"""A change set as a layer of an OCI image: put over the old tree, by other people's programs and by pinfold's own importer, it
gives the new one. test_changes_property.py does the same with random edits."""
import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile

import pytest

import trees

FILES = {"changed": "old\n", "removed": "r\n", "gone/a": "a\n", "gone/b/c": "c\n", "mode": "m\n", "kind": "a file\n", "same": "s\n",
         "was-dir/in": "x\n", "twin": "t\n", "again/stays": "s\n", "again/goes": "g\n"}
SCRIPT = r"""
echo new >> changed; rm removed; rm -r gone; chmod 700 mode; rm kind; mkdir kind; echo k > kind/k; rm -r was-dir; echo f > was-dir
mkdir -p new/deep; echo x > new/deep/x; ln new/deep/x linked; ln twin twin2; ln -s changed link; mkfifo fifo; mkdir empty
s=$(cat again/stays); rm -r again; mkdir again; echo "$s" > again/stays
long=$(printf 'n%.0s' $(seq 200)); mkdir -p $long/$long; echo deep > $long/$long/$long; ln -s $long/$long target-$long
printf 'odd\n' > "$(printf '\377\376')"; echo nl > 'new
line'; truncate -s 3G sparse; printf data | dd of=sparse bs=1 seek=1G conv=notrunc 2> /dev/null
python3 -c 'import os; os.setxattr("changed", "user.note", b"\0\xff bytes"); os.setxattr("empty", "user.dir", b"d"); os.utime("link", ns=(1, 10**9 + 5), follow_symlinks=False); os.utime("changed", ns=(0, -10**9 * 3 - 1))'
"""


@pytest.fixture
def place(tmp_path_factory, _place):
    path = os.path.join(_place, f"export-{os.getpid()}-{len(os.listdir(_place))}")
    os.mkdir(path)
    yield path
    subprocess.run(["chmod", "-R", "u+rwX", path], check=False)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def exported(pinfold, sh, workspace, place):
    """(the old tree, the new one, the layer)"""
    ws = workspace(pinfold, FILES)
    old = os.path.join(place, "old")
    subprocess.run(["cp", "-a", ws, old], check=True)
    r = sh(pinfold, SCRIPT, "--workspace", ws)
    assert r.exit_code == 0, r
    layer = os.path.join(place, "layer.tar")
    assert pinfold("export", "last", "-o", layer).code == 0
    assert pinfold("apply", "last").code == 0
    return old, ws, layer


def same(wanted, have):
    a, a_names, a_more = trees.describe(wanted)
    b, b_names, b_more = trees.describe(have)
    assert a == b
    assert a_names == b_names
    assert b_more[b"sparse"][1] <= a_more[b"sparse"][1] + (1 << 20)


def test_over_the_old_tree(exported):
    old, new, layer = exported
    names = trees.unpack_layer(layer, old)
    same(new, old)
    assert ".wh.removed" in names and ".wh.gone" in names and "gone/.wh.a" not in names and not any("opq" in n for n in names)
    assert names == sorted(names, key=lambda n: os.fsencode(n).split(b"/")) or "twin" in names
    with tarfile.open(layer) as archive:
        assert {m.type for m in archive} <= {tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE,
                                             tarfile.GNUTYPE_SPARSE}
    assert os.path.getsize(layer) < 200000, "the holes are in it"


@pytest.mark.parametrize("program", [["tar", "--xattrs", "--xattrs-include=user.*", "-xpf"], ["bsdtar", "--xattrs", "-xpf"]])
def test_other_programs_read_it(exported, place, need_program, program):
    """They know nothing of whiteouts: those are plain files to them, and what was deleted is deleted by hand."""
    need_program(program[0])
    old, new, layer = exported
    out = os.path.join(place, "out")
    os.mkdir(out)
    p = subprocess.run([*program, layer, "--warning=no-timestamp"] if program[0] == "tar" else [*program, layer], cwd=out,
                       capture_output=True, check=False)
    assert p.returncode == 0, p
    have, _, _ = trees.describe(out)
    wanted, _, _ = trees.describe(new)
    for path, what in have.items():
        if not os.path.basename(path).startswith(b".wh."):
            assert wanted[path] == what, path
    assert os.path.samefile(os.path.join(out, "linked"), os.path.join(out, "new/deep/x"))
    assert os.path.samefile(os.path.join(out, "twin"), os.path.join(out, "twin2"))


def layout(place, layers):
    """An OCI layout of these layers."""
    top = os.path.join(place, "layout")
    os.makedirs(os.path.join(top, "blobs/sha256"))

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(top, "blobs/sha256", digest), "wb") as f:
            f.write(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    data = [open(path, "rb").read() for path in layers]
    config = blob(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(d).hexdigest() for d in data]}}).encode())
    manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
                                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **blob(d)} for d in data]}).encode())
    with open(os.path.join(top, "index.json"), "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", **manifest}]}, f)
    with open(os.path.join(top, "oci-layout"), "w") as f:
        f.write('{"imageLayoutVersion": "1.0.0"}')
    return top


def test_our_importer(exported, place, pinfold, need_root):
    """The old tree as one layer, the change set as the next."""
    old, new, layer = exported
    base = os.path.join(place, "base.tar")
    subprocess.run(["tar", "-C", old, "--format=pax", "--xattrs", "-cf", base, "."], check=True)
    p = pinfold("image", "import", "--max-ratio", "100000", layout(place, [base, layer]), timeout=300)
    assert p.code == 0, p
    digest = p.out.split()[0]
    try:
        p = pinfold("image", "unpack", digest, timeout=300)
        assert p.code == 0, p
        root = os.path.join(pinfold.state, "images", digest.replace(":", "-"), "root")
        a, a_names, _ = trees.describe(new)
        b, b_names, _ = trees.describe(root)
        assert a == b and a_names == b_names
    finally:
        pinfold("image", "rm", digest)


def test_of_which_only_the_mode_changed(pinfold, sh, workspace, place):
    """A layer has whole files: the bytes come from the directory, as long as they are those that the sandbox had."""
    ws = workspace(pinfold, {"run": "#!/bin/sh\n"})
    sh(pinfold, "chmod 755 run", "--workspace", ws)
    layer = os.path.join(place, "layer.tar")
    assert pinfold("export", "last", "-o", layer).code == 0
    with tarfile.open(layer) as archive:
        assert archive.extractfile("run").read() == b"#!/bin/sh\n" and archive.getmember("run").mode == 0o755
    with open(ws + "/run", "a") as f:
        f.write("more\n")
    p = pinfold("export", "last", "-o", layer + "2")
    assert p.code == 125 and "run" in p.err and not os.path.exists(layer + "2")


def test_what_is_no_part_of_a_layer(pinfold, sh, workspace):
    ws = workspace(pinfold, {"a": "x"})
    sh(pinfold, "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'; echo y > a", "--workspace", ws)
    p = pinfold("export", "last")
    assert p.code == 0 and "s: not exported: a socket" in p.err and b"ustar" in p.out_bytes
    sh(pinfold, "echo x > .wh.a", "--workspace", ws)
    p = pinfold("export", "last")
    assert p.code == 125 and ".wh.a" in p.err


def test_secrets_are_asked_for(anyone, sh, workspace, place, own):
    own(anyone, place)
    ws = workspace(anyone, {".env": "KEY=1\n", "sub/x": "x"})
    r = sh(anyone, "echo KEY=other > .env; echo fine > fine", "--workspace", ws)
    assert r["secrets_in_changes"] == [".env"]
    layer = os.path.join(place, "layer.tar")
    for args in (["export", "last"], ["export", "last", "-o", layer], ["diff", "last", "--tar"]):
        p = anyone(*args)
        assert p.code == 1 and ".env" in p.err and p.out_bytes == b"" and not os.path.exists(layer), (args, p)
    assert anyone("export", "last", "--with-secrets", "-o", layer).code == 0
    with tarfile.open(layer) as archive:
        assert archive.extractfile(".env").read() == b"KEY=other\n"
    r = sh(anyone, "echo fine > fine2", "--workspace", ws)
    assert r["secrets_in_changes"] == []
    assert sh(anyone, "true")["secrets_in_changes"] is None
    assert anyone("export", "last").out_bytes == anyone("diff", "last", "--tar").out_bytes


def test_the_file_it_goes_to(pinfold, sh, workspace, place):
    ws = workspace(pinfold)
    sh(pinfold, "echo x > x", "--workspace", ws)
    layer = os.path.join(place, "layer.tar")
    with open(layer, "w") as f:
        f.write("was here")
    os.symlink("layer.tar", os.path.join(place, "link"))
    assert pinfold("export", "last", "-o", "/nonexistent/x").code == 125
    assert pinfold("export", "last", "-o", layer).code == 0 and tarfile.is_tarfile(layer)
    assert pinfold("export", "last", "-o", "/dev/null").code == 0 and stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert sorted(os.listdir(place)) == ["layer.tar", "link"]
    with open("/dev/full", "wb") as full:
        p = pinfold("export", "last", stdout=full)
    assert p.code == 125 and "No space left" in p.err


def test_never_to_a_terminal(pinfold, sh, workspace):
    ws = workspace(pinfold)
    sh(pinfold, "echo x > x", "--workspace", ws)
    master, slave = os.openpty()
    try:
        p = pinfold("export", "last", stdout=slave)
        assert p.code == 125 and "terminal" in p.err
    finally:
        os.close(master)
        os.close(slave)
