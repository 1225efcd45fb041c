# SPDX-License-Identifier: Apache-2.0
"""The command policy: corpora of lines, other readers of shell, and what a line really does in a sandbox.

PF_DATA (../shared/data beside the repository): a folder with a corpus guard/commands.tsv (label, line, why), which is not
part of this repository. The tests with tree-sitter need its Python packages tree-sitter and tree-sitter-bash.
"""
import json
import os
import random
import shutil
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
OWN = os.path.join(HERE, "commands.tsv")
MORE = os.path.join(HERE, "more.tsv")
GIVEN = os.path.join(os.environ.get("PF_DATA", os.path.join(HERE, "../../../shared/data")), "guard/commands.tsv")
DEVELOPMENT = os.path.join(HERE, "../../policies/development.json")
SEED = int(os.environ.get("PF_SEED", 20261125))    # of the mutations: the same lines in each run
MUTATIONS = int(os.environ.get("PF_MUTATIONS", 4000))
LEAST_BENIGN = 0.85
CANARY = "pwn"
AT_MOST_RUN = 40          # lines that are really run


def rows(path):
    """[(label, line, why)]"""
    found = []
    with open(path, encoding="utf-8") as f:
        for row in f:
            row = row.rstrip("\n")
            if row and not row.startswith("# "):
                label, line, why = (row + "\t\t").split("\t")[:3]
                found.append((label, line.replace("\u240a", "\n").replace("\u240d", "\r").replace("\u2409", "\t"), why))
    return found


def lines(path):
    return [(label, line) for label, line, _ in rows(path)]


def judge(pinfold, line, where, *options):
    done = pinfold("guard", "command", "--json", "--workspace", where, *options, "--", line)
    assert done.code in (0, 1, 2), done
    value = json.loads(done.out)
    assert done.code == ["allow", "ask", "deny"].index(value["verdict"])
    assert set(value) == {"verdict", "rule", "reason", "would_allow", "argv"} and value["rule"] and value["reason"]
    return value


@pytest.mark.parametrize("path", [OWN, MORE], ids=os.path.basename)
def test_own_corpus(pinfold, tmp_path, path):
    wrong, benign = [], []
    for label, line in lines(path):
        value = judge(pinfold, line, tmp_path)
        if label == "ask":
            fits = value["verdict"] == "ask"
        else:
            fits = (value["verdict"] == "allow") == (label == "allow")
        if not fits:
            wrong.append((label, line, value))
        benign += [label == "allow"] if label != "refuse" else []
    assert not wrong
    assert sum(benign) >= LEAST_BENIGN * len(benign)


def given():
    if not os.path.exists(GIVEN):
        pytest.skip("PF_DATA names no folder with guard/commands.tsv")
    return rows(GIVEN)


def test_given_corpus(pinfold, tmp_path):
    through, benign, denied = [], [], []
    for label, line, _ in given():
        verdict = judge(pinfold, line, tmp_path, "--policy", DEVELOPMENT)["verdict"]
        if label == "benign":
            benign.append(verdict == "allow")
            denied += [line] if verdict == "deny" else []
        elif verdict == "allow":
            through.append(line)
    print(f"malicious allowed {len(through)}, benign allowed {sum(benign)} of {len(benign)}")
    assert not through and not denied
    assert sum(benign) >= LEAST_BENIGN * len(benign)


# --- other readers -----------------------------------------------------------------------

# What an allowed line may have. Any other kind of node is a command, or an expansion, that we did not see.
KINDS = {"File", "CallExpr", "BinaryCmd", "IfClause", "ForClause", "WordIter", "TimeClause", "Lit", "SglQuoted", "DblQuoted",
         "ParamExp"}


def nodes(value):
    if isinstance(value, dict):
        if "Type" in value:
            yield value
        for v in value.values():
            yield from nodes(v)
    elif isinstance(value, list):
        for v in value:
            yield from nodes(v)


def shfmt_sees(line, dialect):
    """(argument counts of all commands, kinds) or None if it refuses."""
    done = subprocess.run(["shfmt", "-ln", dialect, "-tojson"], input=line.encode(), capture_output=True, check=False)
    if done.returncode:
        return None
    found = list(nodes(json.loads(done.stdout)))
    return sorted(len(n.get("Args", [])) for n in found if n["Type"] == "CallExpr"), {n["Type"] for n in found}


def mutations():
    rng = random.Random(SEED)
    seeds = [line for _, line in lines(OWN)]
    pieces = [";", "&", "|", "\n", "$", "`", "(", ")", "{", "}", "<", ">", "'", '"', "\\", "#", " ", "\t", "!", "~", "*",
              "=", "[", "]", "$(id)", "<<E\n", "\nE\n", "<(id)", "2>&1", "then ", "fi", "do ", "done", "if ", "for x in ", "0", "\r",
              "&&", "||", "touch pwn", "\\\n", "''", "$IFS", "${x}", "time ", "-"]
    for _ in range(MUTATIONS):
        line = rng.choice(seeds)
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(line))
            how = rng.random()
            if how < 0.6:
                line = line[:at] + rng.choice(pieces) + line[at:]
            elif how < 0.8:
                line = line[:at] + line[at + rng.randint(1, 3):]
            else:
                other = rng.choice(seeds)
                line = line[:at] + other[rng.randint(0, len(other)):]
        yield line


def test_no_reader_sees_more(pinfold, tmp_path):
    """Every line that is allowed, mutated ones too, is one that bash, dash and shfmt read as no more commands."""
    if not shutil.which("shfmt"):
        pytest.skip("shfmt is not installed")
    shells = [s for s in ("bash", "dash") if shutil.which(s)]
    allowed = 0
    for line in [line for path in (OWN, MORE) for _, line in lines(path)] + list(mutations()):
        if "\0" in line:
            continue
        value = judge(pinfold, line, tmp_path)
        if value["verdict"] != "allow":
            continue
        allowed += 1
        for shell in shells:
            done = subprocess.run([shell, "-n"], input=line.encode(), capture_output=True, check=False)
            assert done.returncode == 0, (shell, line, done.stderr)
        ours = sorted(len(v) - (v[0] == "time") for v in value["argv"] if v[0] != "for")
        for dialect in ("bash", "posix"):
            if dialect == "posix" and any(v[0] == "time" for v in value["argv"]):    # a command there, a word of the shell in bash
                continue
            seen = shfmt_sees(line, dialect)
            assert seen is not None, (dialect, line)
            counts, kinds = seen
            assert counts == ours and kinds <= KINDS, (dialect, line, counts, ours, kinds)
    assert allowed > 100


TREE_KINDS = {"program", "command", "command_name", "word", "raw_string", "string", "string_content", "concatenation", "pipeline", "list",
              "variable_assignment", "variable_name", "number", "redirected_statement", "file_redirect", "file_descriptor",
              "heredoc_redirect", "heredoc_start", "heredoc_body", "heredoc_end", "heredoc_content", "if_statement", "elif_clause",
              "else_clause", "for_statement", "do_group", "simple_expansion", "expansion", "comment", "test_command", "negated_command",
              "extglob_pattern", "special_variable_name", "test_operator", "unary_expression", "binary_expression"}


def test_tree_sitter_sees_no_more(pinfold, tmp_path):
    """The same with the grammar that editors and other agents use. Where it finds an error, bash is the judge (above)."""
    core, bash = pytest.importorskip("tree_sitter"), pytest.importorskip("tree_sitter_bash")
    parser = core.Parser(core.Language(bash.language()))
    looked = 0
    for line in [line for path in (OWN, MORE) for _, line in lines(path)] + list(mutations()):
        if "\0" in line:
            continue
        value = judge(pinfold, line, tmp_path)
        if value["verdict"] != "allow":
            continue
        root = parser.parse(line.encode()).root_node
        if root.has_error:
            continue
        looked += 1
        found, stack = [], [root]
        while stack:
            node = stack.pop()
            found += [node.type] if node.is_named else []
            stack += node.children
        assert set(found) <= TREE_KINDS, (line, set(found) - TREE_KINDS)
        ours = len([v for v in value["argv"] if v[0] not in ("for",)])
        assert found.count("command") + found.count("test_command") <= ours, (line, found, value["argv"])
    assert looked > 100


# --- what really happens -----------------------------------------------------------------


def snapshot(path):
    return sorted((os.path.relpath(os.path.join(d, n), path)) for d, ds, fs in os.walk(path) for n in ds + fs)


@pytest.fixture(name="contained")
def _contained(pinfold, workspace):
    """contained(line): the result in a sandbox; nothing may have changed outside of it."""
    def run(line):
        where = workspace(pinfold, {"a.txt": "a\n"})
        above = os.path.dirname(where)
        before = snapshot(where), set(os.listdir(above))
        r = pinfold.result("--timeout", "5s", "--workspace", f"{where}:cow", "--", "bash", "-c", line)
        assert snapshot(where) == before[0] and CANARY not in os.listdir(above), (line, r.stderr)
        assert not any(os.path.exists(os.path.join(d, CANARY)) for d in ("/", "/tmp", "/etc", os.path.expanduser("~"))), line
        made = json.loads(pinfold("diff", "--json", r.changes["id"]).out) if r.changes and r.changes["id"] else {"changes": []}
        return any(os.path.basename(c["path"]) == CANARY for c in made["changes"])
    return run


def sample(chosen):
    return random.Random(SEED).sample(chosen, min(AT_MOST_RUN, len(chosen)))


@pytest.mark.parametrize("label", ["allow", "refuse"])
def test_nothing_outside(contained, label):
    """Whatever the verdict was: run in a sandbox, no line makes the canary outside, nor changes the workspace."""
    assert contained(f"touch {CANARY}")    # lines do run, and would make it
    chosen = [line for path in (OWN, MORE) for kind, line in lines(path) if kind == label and (label == "allow" or CANARY in line)]
    made = [contained(line) for line in sample(chosen)]
    assert label == "allow" or any(made)


def test_what_is_verified_stays_inside(contained):
    """Lines that are known to make the canary where nothing holds them: it is made, in the sandbox."""
    chosen = [line for label, line, why in given() if label == "malicious" and "verified" in why]
    made = [contained(line) for line in (chosen if os.environ.get("PF_ALL") else sample(chosen))]
    assert sum(made) >= len(made) / 2, "the lines do not work as attacks here"


def test_what_is_verified_does_not_start(pinfold, workspace):
    """And with the policy for development none of them starts."""
    where = workspace(pinfold, {"a.txt": "a\n"})
    for line in sample([line for label, line, why in given() if label == "malicious" and "verified" in why]):
        r = pinfold.result("--policy", DEVELOPMENT, "--workspace", where, "--shell", line)
        assert r.cause == "denied" and r.denials[0]["kind"] == "command" and not (r.changes or {}).get("id"), (line, r)


def test_paths_are_asked_of_the_kernel(pinfold, tmp_path):
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    (work / "out").symlink_to("/etc")
    (work / "up").symlink_to("../..")
    (work / "in").symlink_to("sub")
    (work / "sub" / "a.txt").write_text("a")
    (work / "key.pem").write_text("x")
    for line in ("cat in/a.txt", "cat sub/../sub/a.txt", "wc sub/*", f"cat {work}/sub/a.txt", f"cd {work}/sub && cat a.txt"):
        assert judge(pinfold, line, work)["verdict"] == "allow", line
    for line in ("cat out/passwd", "cat up/x", "cat o*/passwd", "cat */passwd", "cd out && cat passwd", "cat key.pe?", "cat *",
                 "cd sub && cat ../out/passwd", f"cat {work}/../x", f"cat {work}x/a"):
        value = judge(pinfold, line, work)
        assert value["verdict"] == "ask", line
    assert "symbolic link" in judge(pinfold, "cat out/passwd", work)["reason"]
    (work / "a-file").write_text("x")    # what is no directory ends nothing: the names behind it count
    (work / "z-out").symlink_to("/etc")
    assert "symbolic link" in judge(pinfold, "cat [az]-*/passwd", work)["reason"]
    (work / "z-out").unlink()
    assert judge(pinfold, "cat [az]-*/passwd", work)["verdict"] == "allow"
    (work / "sub" / "-o").write_text("x")
    assert "option" in judge(pinfold, "cd sub && sort *", work)["reason"]


def test_policy_document(pinfold, tmp_path):
    document = tmp_path / "p.json"

    def policy(command):
        document.write_text(json.dumps({"guard": {"command": command}}))
        return "--policy", str(document)

    ours = {"verdict": "allow", "words": ["deploy", ["a", "b"], "..."], "match": ["deploy a -x"], "not_match": ["deploy c"]}
    never = {"verdict": "deny", "words": ["make", "..."], "reason": "no make here", "match": ["make x"]}
    assert judge(pinfold, "deploy a", tmp_path)["verdict"] == "ask"
    assert judge(pinfold, "deploy a", tmp_path, *policy({"rules": [ours]}))["rule"] == "user:1"
    for line in ("deploy c", "deploy $X", "deploy a > /etc/x", "deploy a; touch pwn", "deploy a $(id)", "LD_PRELOAD=x deploy a"):
        assert judge(pinfold, line, tmp_path, *policy({"rules": [ours]}))["verdict"] == "ask", line
    value = judge(pinfold, "time make all", tmp_path, *policy({"rules": [ours, never]}))
    assert (value["verdict"], value["reason"]) == ("deny", "no make here")
    assert judge(pinfold, "ls $(x", tmp_path, *policy({"unknown": "deny"}))["verdict"] == "deny"
    assert judge(pinfold, "make", tmp_path, *policy({"repository_code": False}))["verdict"] == "ask"
    audited = judge(pinfold, "touch pwn", tmp_path, *policy("audit"))
    assert (audited["verdict"], audited["would_allow"]) == ("allow", False)


@pytest.mark.parametrize("command, message", [
    ("maybe", "enforce"),
    ({"mode": "enforce", "x": 1}, "the keys are"),
    ({"unknown": "allow"}, "deny"),
    ({"rules": [{"verdict": "allow", "words": ["a"]}]}, "match"),
    ({"rules": [{"verdict": "allow", "words": ["a"], "match": ["b"]}]}, "does not match"),
    ({"rules": [{"verdict": "allow", "words": ["a", "..."], "match": ["a"], "not_match": ["a b"]}]}, "matches"),
    ({"rules": [{"verdict": "allow", "words": ["..."], "match": ["a"]}]}, "only at the end"),
    ({"rules": [{"verdict": "allow", "words": [], "match": ["a"]}]}, "1 to 32"),
])
def test_a_wrong_document_is_an_error(pinfold, tmp_path, command, message):
    document = tmp_path / "p.json"
    document.write_text(json.dumps({"guard": {"command": command}}))
    done = pinfold("guard", "command", "--policy", document, "--", "ls")
    assert done.code == 125 and message in done.err and "line " in done.err


@pytest.mark.parametrize("line", ["a" * 70000, "ls " * 3000 + "; x", "ls;" * 300, "sh -c " * 20 + "ls", "nice " * 5000 + "ls", "'" * 65535,
                                  "if true; then " * 100 + "ls", "ls " + "*" * 200, "ls " + "*a" * 100 + "b"])
def test_caps_fail_closed(pinfold, tmp_path, line):
    (tmp_path / ("a" * 200)).write_text("")
    value = judge(pinfold, line, tmp_path)
    assert value["verdict"] != "allow" or line.startswith("ls *")
