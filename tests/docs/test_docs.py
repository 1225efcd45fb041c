# SPDX-License-Identifier: Apache-2.0
"""The documentation, run and compared with the program.

Fenced blocks of README.md, HACKING.md, SECURITY.md and docs/*.md, by their language:

    sh      is run: lines that begin with "$ " are commands ("> " goes on with the one before), the lines behind them
            what it prints on stdout and stderr. "..." stands for anything; a line of "..." alone for any lines; an id of
            a sandbox for any other id. Each block begins in a new directory, with links to what a checkout has (build,
            docs, examples, include, policies), its own state directory and pinfold on PATH.
    c       stands in docs/example.c, line for line
    json    in docs/policy.md: is a valid policy
    text    is not looked at

A comment on the line above the fence changes that:

    <!-- docs-test: skip REASON -->         cannot be run here
    <!-- docs-test: needs LIMIT -->         only where this host holds that limit for us
    <!-- docs-test: instead COMMAND -->     this is run instead, in the sources' root, for its exit status
"""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("O", "build"))
PAGES = ["README.md", "HACKING.md", "SECURITY.md"] + sorted(
    os.path.relpath(path, TOP) for path in glob.glob(os.path.join(TOP, "docs/*.md")))
LINKED = ("docs", "examples", "include", "policies")    # what a block finds in its directory, beside build
SECONDS = 120
END = "pinfold-docs-end"
IDENTIFIER = re.compile(r"\b(?=[a-z]*[0-9])[0-9a-z]{12}\b")


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


# --- blocks ------------------------------------------------------------------------------


class Block:
    def __init__(self, page, line, language, directive, lines):
        self.page, self.line, self.language, self.lines = page, line, language, lines
        self.directive, _, self.argument = directive.partition(" ")

    def __str__(self):
        return f"{self.page}:{self.line}"

    def steps(self):
        """[(command, expected lines)]"""
        steps = []
        for line in self.lines:
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif line.startswith("> ") and steps and not steps[-1][1]:
                steps[-1] = (steps[-1][0] + "\n" + line[2:], [])
            elif steps:
                steps[-1][1].append(line)
            else:
                pytest.fail(f"{self}: an sh block begins with a command behind '$ '")
        return steps


def find_blocks():
    for page in PAGES:
        if not os.path.exists(os.path.join(TOP, page)):
            continue
        directive, block = "", None
        for number, line in enumerate(read(page).splitlines(), 1):
            if block and line.strip() == "```":
                yield block
                directive, block = "", None
            elif block:
                block.lines.append(line)
            elif line.startswith("```"):
                block = Block(page, number, line[3:].strip(), directive, [])
            else:
                mark = re.fullmatch(r"<!-- docs-test: (.*) -->", line)
                directive = mark.group(1) if mark else ""
        assert block is None, f"{block}: the fence is not closed"


BLOCKS = list(find_blocks())


def blocks(language):
    return pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == language], ids=str)


def pattern(expected):
    """Expected lines as a regular expression."""
    out = ""
    for line in expected:
        if line.strip() == "...":
            out += r"(?:[^\n]*\n)*?"
            continue
        text = r"[^\n]*?".join(re.escape(part) for part in line.split("..."))
        out += IDENTIFIER.sub("[0-9a-z]{12}", text) + r"\n"
    return out


# --- running them ---------------------------------------------------------------------------


@pytest.fixture
def place(_place, request):
    """A directory as a reader has it who stands in the sources after make."""
    path = os.path.join(_place, "docs-" + re.sub(r"\W", "-", request.node.name))
    os.makedirs(path)
    for name in LINKED:
        os.symlink(os.path.join(TOP, name), os.path.join(path, name))
    os.symlink(BUILD, os.path.join(path, "build"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def environment(pinfold, place):
    env = pinfold.environment({"HOME": place, "PINFOLD_STATE": os.path.join(place + ".state"), "LC_ALL": "C.UTF-8"})
    env["PATH"] = BUILD + os.pathsep + env["PATH"]
    return env


def run_steps(steps, place, env):
    """All commands of a block in one shell; what each printed, and whether the shell came through."""
    script = "exec 2>&1\n" + "".join(f"{command}\necho; echo {END}\n" for command, _ in steps)
    done = subprocess.run(["bash", "-c", script], cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          timeout=SECONDS, check=False)
    pieces = done.stdout.decode(errors="replace").split(f"\n{END}\n")
    return pieces[:-1], pieces[-1]


@blocks("sh")
def test_sh(block, pinfold, place):
    if block.directive == "skip":
        pytest.skip(f"{block}: {block.argument}")
    if block.directive == "instead":
        env = environment(pinfold, place)
        env.update(O=BUILD, PF_BUILD=BUILD, DESTDIR=place)
        done = subprocess.run(["bash", "-c", block.argument], cwd=TOP, env=env, stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
        assert done.returncode == 0, done.stdout.decode(errors="replace")
        return
    if block.directive == "needs":
        missing = {u["limit"]: u["why"] for u in pinfold.result("--", "true")["receipt"]["unenforced"]}
        if block.argument in missing:
            pytest.skip(f"{block}: this host does not hold the limit {block.argument}: {missing[block.argument]}")
    steps = block.steps()
    outputs, rest = run_steps(steps, place, environment(pinfold, place))
    shutil.rmtree(place + ".state", ignore_errors=True)
    for (command, expected), output in zip(steps, outputs):
        assert re.fullmatch(pattern(expected), output), f"{block}: $ {command}\nprinted:\n{output}\nnot:\n" + "\n".join(expected)
    assert len(outputs) == len(steps), f"{block}: the shell ended early: {rest}"


@blocks("c")
def test_c(block):
    program = iter(line.split("/*")[0].strip() for line in read("docs/example.c").splitlines())
    for line in block.lines:
        if line.strip() not in ("", "..."):
            assert line.strip() in program, f"{block}: not in docs/example.c, or not in this order: {line.strip()}"


@blocks("json")
def test_json(block, pinfold):
    if block.page == "docs/policy.md":
        done = pinfold("policy", "check", "--policy", "-", stdin="\n".join(block.lines).encode())
        assert (done.code, done.out) == (0, "OK\n"), repr(done)
    else:
        json.loads("\n".join(block.lines))


def test_every_block_has_a_known_language():
    wrong = [f"{b}: {b.language!r}" for b in BLOCKS if b.language not in ("sh", "c", "json", "text")]
    assert not wrong, wrong
    wrong = [f"{b}: {b.directive!r}" for b in BLOCKS if b.directive not in ("", "skip", "needs", "instead")]
    assert not wrong, wrong


def test_the_wildcards_of_this_test_do_not_match_everything():
    assert re.fullmatch(pattern(["a ... b", "...", "z"]), "a 1 b\nx\ny\nz\n")
    assert re.fullmatch(pattern(["pinfold drop 72tjk7t6vy2h"]), "pinfold drop 650zq57hhn6w\n")
    assert not re.fullmatch(pattern(["a"]), "b\n") and not re.fullmatch(pattern([]), "a\n")
    assert not re.fullmatch(pattern(["capabilities"]), "somethingals\n")


# --- what the pages say of files -------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", read(page)):
        if "://" not in target:
            assert os.path.exists(os.path.join(TOP, os.path.dirname(page), target)), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page):
    """`src/linux/seccomp_table.c` and the like."""
    top = r"(?:src|tests|docs|tools|policies|man|include|examples|bench|packaging|\.ci)"
    for path in re.findall(rf"`({top}/[\w./*-]*)`", read(page)):
        assert glob.glob(os.path.join(TOP, path)), f"{page}: there is no {path}"


@pytest.mark.parametrize("page", PAGES + ["man/pinfold.1", "man/pinfold-image.1", "man/pinfold-policy.5"])
def test_nothing_of_one_machine_is_in_a_page(page):
    for word in ("/root/", TOP + "/"):
        assert word not in read(page), word


# --- the program's own words -------------------------------------------------------------------


def verbs(pinfold):
    return re.findall(r"^  ([a-z]+)  +\S", pinfold("help").out, re.M)


def help_options(pinfold, verb):
    return set(re.findall(r"^  (?:-\w, |    )--([a-z-]+)", pinfold("help", verb).out, re.M)) - {"help"}


def man_section(verb):
    text = re.split(rf"^\.Ss {verb}$", read("man/pinfold.1"), flags=re.M)
    assert len(text) == 2, f"man/pinfold.1 has no section for {verb}"
    return re.split(r"^\.S[sh] ", text[1], maxsplit=1, flags=re.M)[0]


def man_options(verb):
    found = set()
    for item in re.findall(r"^\.It (Fl .*)$", man_section(verb), re.M):
        found |= set(re.findall(r"(?:^| )-([a-z-]+)\b", item))
    return found


def test_man_page_is_clean():
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    pages = glob.glob(os.path.join(TOP, "man/*.[1-9]"))
    done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages], capture_output=True, text=True, check=False)
    assert pages and (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_verb_has_help_and_a_place_in_the_man_page(pinfold):
    assert {"run", "ls", "diff", "apply", "drop", "policy", "doctor", "version", "help"} <= set(verbs(pinfold))
    for verb in set(verbs(pinfold)) - {"version", "help"}:
        text = pinfold("help", verb)
        assert text.code == 0 and text.out.startswith(f"usage: pinfold {verb}") and text.err == "", repr(text)
        for flag in ("--help", "-h"):
            assert pinfold(verb, flag).out == text.out
        assert man_section(verb)
    synopsis = read("man/pinfold.1").split(".Sh DESCRIPTION")[0]
    for verb in verbs(pinfold):
        assert re.search(rf"^\.Cm {verb}\b", synopsis, re.M), f"{verb} is not in the synopsis"


@pytest.mark.parametrize("verb", ["run", "ls", "diff", "apply", "drop", "doctor"])
def test_options_are_those_of_the_man_page(pinfold, verb):
    options = help_options(pinfold, verb)
    if options == {"json"} and verb == "ls":    # in its synopsis alone
        assert "Op Fl -json" in read("man/pinfold.1").split(".Cm ls")[1].split(".Nm")[0]
        return
    assert options == man_options(verb)


def test_policy_takes_the_options_of_run(pinfold):
    run, policy = help_options(pinfold, "run"), help_options(pinfold, "policy")
    assert policy <= run and run - policy == {"apply", "entrypoint", "shell", "interactive", "tty", "json", "prompt", "rm", "receipt", "quiet", "verbose"}


def test_the_version_is_one(pinfold):
    version = pinfold("--version").out
    assert version == pinfold("version").out and re.fullmatch(r"pinfold \d+\.\d+\.\d+\n", version)


# --- policies, schemas, receipt ------------------------------------------------------------------


READY = sorted(glob.glob(os.path.join(TOP, "policies/*.json")))


@pytest.mark.parametrize("path", READY, ids=os.path.basename)
def test_a_ready_policy_loads(pinfold, path):
    done = pinfold("policy", "check", path)
    assert (done.code, done.out, done.err) == (0, f"{path}: OK\n", "")


@pytest.mark.parametrize("path", READY, ids=os.path.basename)
def test_a_ready_policy_runs(pinfold, workspace, path):
    r = pinfold.result("--policy", path, "--workspace", workspace(pinfold, {"a": "x"}), "--", "cat", "a")
    if r.cause == "boundary":
        plain = pinfold.result("--", "true")["receipt"]
        weak = plain["unenforced"] or plain["init_uid"] != "separate" or plain["landlock"]["abi"] == 0
        assert weak and path != READY[0], r.error
        pytest.skip(f"this host cannot hold it: {r.error}")
    assert (r.cause, r.exit_code, r.stdout) == ("exited", 0, "x")


def test_the_ready_policies_are_named():
    for page in ("man/pinfold-policy.5", "docs/policy.md"):
        for path in READY:
            assert os.path.basename(path) in read(page), f"{page} does not name {os.path.basename(path)}"


def schema_fields(schema, node, prefix, out):
    """Dotted names of all properties; the two halves' shared parts once for each half, namespaces as one field."""
    for option in node.get("anyOf", [node]):
        if "$ref" in option:
            option = schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
        if option.get("type") == "array" and "items" in option:
            schema_fields(schema, option["items"], prefix + "[]", out)
        for name, child in option.get("properties", {}).items():
            path = f"{prefix}.{name}" if prefix else name
            out.add(path)
            if name not in ("namespaces", "capabilities"):    # rows of the same kind: one in the page
                schema_fields(schema, child, path, out)
    return out


def first_cells(page, header):
    """What stands in backticks in the first column of the tables whose first column is called so."""
    words, inside = [], False
    for line in read(page).splitlines():
        if not line.startswith("|"):
            inside = False
        elif line.startswith(f"| {header} |"):
            inside = True
        elif inside:
            words += re.findall(r"`([^`]+)`", line.split("|")[1])
    return words


def policy_keys(schema, node, prefix, out):
    """{dotted name: its default, or None} of the policy's schema; members of a list's objects as "list[].key"."""
    if "$ref" in node:
        node = dict(schema["$defs"][node["$ref"].rsplit("/", 1)[1]], **node)
    for option in node.get("oneOf", []) + node.get("anyOf", []):
        policy_keys(schema, option, prefix, out)
    if "items" in node:
        policy_keys(schema, node["items"], prefix + "[]", out)
    for name, child in node.get("properties", {}).items():
        path = f"{prefix}.{name}" if prefix else name
        out[path] = child.get("default")
        policy_keys(schema, child, path, out)
    return out


def test_the_policy_man_page_has_every_key_of_the_schema():
    """Whoever adds a key writes it into docs/policy.schema.json, docs/policy.md and man/pinfold-policy.5."""
    schema = json.loads(read("docs/policy.schema.json"))
    known = policy_keys(schema, schema, "", {})
    items = re.split(r"^\.It Cm ", read("man/pinfold-policy.5"), flags=re.M)[1:]
    rows = {item.split("\n", 1)[0]: item.split("\n", 1)[1] for item in items}
    assert set(known) - set(rows) == set(), "in docs/policy.schema.json, but not in man/pinfold-policy.5"
    assert set(rows) - set(known) == set(), "in man/pinfold-policy.5, but not in docs/policy.schema.json"
    assert len(items) == len(rows), "a key stands twice in man/pinfold-policy.5"
    for key, default in known.items():
        if isinstance(default, (str, int)) and not isinstance(default, bool):
            assert re.search(rf"(?<![\w]){re.escape(str(default))}(?![\w])", rows[key]), f"{key}: not its default, {default}"


def test_the_policy_man_page_has_an_example_that_holds(pinfold):
    examples = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", read("man/pinfold-policy.5"), re.M | re.S)
    assert examples
    for text in examples:
        done = pinfold("policy", "check", "--policy", "-", stdin=text.encode())
        assert (done.code, done.out) == (0, "OK\n"), repr(done)


def test_a_result_as_the_schema_of_the_policy_has_it(pinfold):
    """What `policy show` prints has the schema's keys and no other."""
    schema = json.loads(read("docs/policy.schema.json"))
    shown = json.loads(pinfold("policy", "show", "--workspace", "/tmp:rw,live").out)
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(shown, schema)
    assert set(shown) == set(schema["properties"]) - {"$schema"}


def test_the_receipt_page_has_every_field_of_the_schema():
    schema = json.loads(read("docs/result.schema.json"))
    known = schema_fields(schema, schema, "", set())
    rows = first_cells("docs/receipt.md", "Field")
    assert set(rows) - known == set(), "in docs/receipt.md, but not in the schema"
    assert known - set(rows) == set(), "in the schema, but not in docs/receipt.md"
    assert len(rows) == len(set(rows)), "a field stands twice in docs/receipt.md"
    assert first_cells("docs/receipt.md", "Cause") == schema["properties"]["cause"]["enum"]


def test_the_receipt_page_has_every_attempt(pinfold):
    tried = {name for name, _ in pinfold.result("--", "true").attempts()}
    assert set(first_cells("docs/receipt.md", "Attempt")) == tried - {"socket_unix", "socket_inet"}


def test_the_api_page_has_every_function():
    functions = set(re.findall(r"\b(pf_[a-z_]+)\(", re.sub(r"/\*.*?\*/", "", read("include/pinfold.h"), flags=re.S)))
    page = set(re.findall(r"\b(pf_[a-z_]+)\(", read("docs/api.md")))
    assert page - functions == set() and functions - page == set()
