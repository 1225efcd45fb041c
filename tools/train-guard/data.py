#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Gather the texts that weights are trained and calibrated with, from folders that are given.

    data.py --prompts prompts.train.jsonl --packages DIR --debian DIR --git REPOSITORY --out DIR

DIR of packages: unpacked PyPI packages (see requirements-data.txt); of debian: unpacked Debian packages. Beside them
documentation, code and messages of this machine are read. Writes train.jsonl, cal.jsonl and rep.jsonl: one object a
line, {"set", "kind": "tool" or "user", "label", "text"}. What belongs together (a package, a file, a commit) goes into
one of the three as a whole, by its hash: half into train, a quarter each into cal (thresholds) and rep (figures).
Attacks all go into train. Nothing here is random beyond fixed seeds.
"""
import argparse
import gettext
import glob
import gzip
import hashlib
import html
import json
import os
import random
import re
import subprocess

import yaml

JAILBREAK = re.compile(r"\bDAN\b|jailbreak|ignore (all|any|your|the|previous)|disregard|no restrictions|unrestricted|"
                       r"without any (filter|restriction)|uncensored|system prompt|unfiltered|bypass|"
                       r"do anything now|nsfw", re.I)
TRIGGER = re.compile(r"\b(ignor\w*|disregard\w*|overrid\w*|bypass\w*|previous\w*|instruct\w*|system prompt|forget|pretend|"
                     r"secret|password|reveal|you must|you are now|act as|instead|do not tell|execute|prompt)\b", re.I)
LANGUAGES = "de fr es it pt pt_BR nl sv pl cs ru uk zh_CN zh_TW ja ko tr ar he hi vi id da fi el hu ro".split()
CHUNK = 1800


def number(text):
    return int(hashlib.md5(text.encode("utf-8", "replace")).hexdigest(), 16)


def split_of(key):
    return ("train", "train", "cal", "rep")[number(key) % 4]


class Sink:
    def __init__(self):
        self.rows = {"train": [], "cal": [], "rep": []}
        self.seen = set()

    def add(self, split, name, kind, label, text):
        text = text.strip()
        if len(text) < 8 or text[:200] in self.seen:
            return
        self.seen.add(text[:200])
        self.rows[split].append({"set": name, "kind": kind, "label": label, "text": text[:6000]})


def chunks(text, size=CHUNK):
    out, current = [], ""
    for paragraph in re.split(r"\n\s*\n", text):
        if len(current) + len(paragraph) > size and current:
            out.append(current)
            current = ""
        current += paragraph[:2 * size] + "\n\n"
    return [c for c in out + [current] if len(c.strip()) > 60]


def read(path):
    data = gzip.open(path).read(400_000) if path.endswith(".gz") else open(path, "rb").read(400_000)
    text = data.decode("utf-8", "replace")
    if "/man/" in path:
        text = re.sub(r"^[.'][\\A-Za-z\"]+ ?", "", text, flags=re.M).replace("\\-", "-")
        text = re.sub(r"\\f[BIRP]", "", text)
    if re.search(r"\.(html?|page|xml|docbook)$", path):
        text = html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(script|style).*?</\1>", " ", text)))
        text = re.sub(r"[ \t]+", " ", re.sub(r"\s*\n\s*", "\n", text))
    return text


def from_files(sink, name, files, key, per_key, total, size=CHUNK):
    """Chunks of files; key(path): what they belong to."""
    count, rng = {}, random.Random(number(name))
    files = sorted(f for f in files if os.path.isfile(f) and not os.path.islink(f))
    rng.shuffle(files)
    made = 0
    for path in files:
        k = key(path)
        if count.get(k, 0) >= per_key or made >= total:
            continue
        try:
            parts = chunks(read(path), size)
        except (OSError, EOFError):
            continue
        rng.shuffle(parts)
        for part in parts[:max(1, per_key // 3)]:
            sink.add(split_of(k), name, "tool", 0, part[:size + 200])
            count[k] = count.get(k, 0) + 1
            made += 1


def dpkg_owners():
    owner = {}
    for path in glob.glob("/var/lib/dpkg/info/*.list"):
        for line in open(path, encoding="utf-8", errors="replace"):
            owner[line.strip()] = os.path.basename(path)[:-5].split(":")[0]
    return owner


def machine(sink):
    owner = dpkg_owners()

    def key(path):
        return owner.get(path) or owner.get(path.replace("/usr/lib", "/lib")) or "/".join(path.split("/")[:6])

    docs = [f for f in glob.glob("/usr/share/doc/**/*", recursive=True)
            if re.search(r"(README|NEWS|TODO|FAQ|\.md|\.txt|\.rst|HOWTO|\.html)", f)]
    from_files(sink, "docs", docs + glob.glob("/usr/share/man/man[1-8]/*.gz"), key, 40, 9000)
    from_files(sink, "changelogs", glob.glob("/usr/share/doc/*/changelog*"), key, 8, 1600)
    code = glob.glob("/usr/lib/python3/dist-packages/**/*.py", recursive=True) + glob.glob("/usr/include/**/*.h", recursive=True)
    from_files(sink, "code", code + glob.glob("/usr/share/perl/5*/**/*.p[ml]", recursive=True), key, 60, 4000)
    rng = random.Random(5)
    for split in ("train", "cal", "rep"):
        found = sorted({s for row in sink.rows[split] if row["set"] == "docs"
                        for s in re.split(r"(?<=[.!?])\s+", re.sub(r"\s+", " ", row["text"]))
                        if 25 < len(s) < 400 and TRIGGER.search(s)})
        rng.shuffle(found)
        for s in found[:4000 if split == "train" else 1500]:
            sink.add(split, "triggers", "tool", 0, s)
    for language in LANGUAGES:
        for path in sorted(glob.glob(f"/usr/share/locale/{language}/LC_MESSAGES/*.mo")):
            try:
                table = gettext.GNUTranslations(open(path, "rb"))._catalog
            except Exception:    # a broken catalogue of some package
                continue
            texts = [t for k, t in table.items() if k and isinstance(t, str) and 25 < len(t) < 500 and t != k]
            if language in ("zh_CN", "zh_TW", "ja", "ko"):
                texts += [t for k, t in table.items() if k and isinstance(t, str) and 8 < len(t) <= 25]
            random.Random(number(path)).shuffle(texts)
            for t in texts[:14]:
                sink.add(split_of(os.path.basename(path)), "messages", "tool", 0, t)


def logs(sink):
    """What commands print, on this machine, in pieces by line."""
    commands = ["dpkg -l", "ls -laR /usr/share/doc /etc", "ls -la /usr/bin", "cat /proc/meminfo /proc/cpuinfo",
                "cat /var/log/dpkg.log /var/log/apt/term.log /var/log/apt/history.log", "dmesg", "mount", "ps aux",
                "find /usr/lib -name '*.so*'", "python3 -m pip list", "apt-cache show bash git curl vim python3",
                "systemctl list-unit-files", "strings -n 8 /usr/bin/git", "readelf -sW /usr/lib/x86_64-linux-gnu/libc.so.6",
                "grep -rn error /usr/lib/python3/dist-packages --include=*.py", "grep -rn TODO /usr/include /usr/lib/python3"]
    for command in commands:
        out = subprocess.run(command, shell=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        lines = (out.stdout + out.stderr).decode("utf-8", "replace").splitlines()
        step = max(25, len(lines) // 120)
        for i in range(0, len(lines), step):
            sink.add(split_of(f"{command} {i // (4 * step)}"), "logs", "tool", 0, "\n".join(lines[i:i + 25])[:CHUNK])


def commits(sink, repository):
    out = subprocess.run(["git", "-C", repository, "log", "-p", "--no-color", "-n", "250", "--format=%x00commit %H%nDate: %ad%n%n%B"],
                         capture_output=True, check=True).stdout.decode("utf-8", "replace")
    for commit in out.split("\0")[1:]:
        parts = [commit[i:i + CHUNK] for i in range(0, min(len(commit), 40_000), CHUNK)]
        random.Random(number(commit[:60])).shuffle(parts)
        for part in parts[:5]:
            sink.add(split_of(commit[:48]), "diffs", "tool", 0, part)


def debian(sink, where):
    def below(package, pattern):
        return [f for f in glob.glob(f"{where}/*{package}*/**/*", recursive=True) if re.search(pattern, f)]

    by_file = lambda path: re.sub(r"/(help|gnome)/[a-zA-Z_@]+/", "/", path)    # a page's translations stay together
    for package, name, pattern, total in (
            ("gnome-user-docs", "steps", r"/C/.*\.page$", 1500), ("gnome-user-docs", "steps-translated", r"/(de|fr|es|it|pl|ru|zh_CN|ja|ko|pt_BR|cs|sv|el|hu)/.*\.page$", 2600),
            ("libreoffice-help-en", "steps", r"\.html$", 1600), ("libreoffice-help-de", "steps-translated", r"\.html$", 700),
            ("libreoffice-help-fr", "steps-translated", r"\.html$", 700), ("gimp-help", "steps", r"\.html$", 700),
            ("debian-handbook", "prose", r"/en-US/.*\.html$", 300), ("developers-reference", "prose", r"\.(html|txt)$", 300),
            ("debian-faq", "prose", r"\.en\.(html|txt)", 200), ("doc-debian", "mail", r"\.txt", 200),
            ("git-doc", "docs-more", r"\.(txt|html)$", 900), ("vim-doc", "docs-more", r"\.(txt|html)$", 700),
            ("postgresql-doc", "docs-more", r"\.html$", 700), ("linux-doc", "docs-more", r"\.(rst|txt)(\.gz)?$", 1200),
            ("freeciv", "chat", r"\.(txt|ruleset|tutorial|lua)$", 120)):
        from_files(sink, name, below(package, pattern), by_file, 6, total)
    for path in sorted(glob.glob(f"{where}/*fortunes*/usr/share/games/fortunes/*")):
        if re.search(r"\.(dat|u8)$|/off/", path) or not os.path.isfile(path):
            continue
        parts = open(path, encoding="utf-8", errors="replace").read().split("\n%\n")
        random.Random(1).shuffle(parts)
        for i, part in enumerate(parts[:60]):
            sink.add(split_of(f"{path} {i}"), "chat", "tool", 0, part[:CHUNK])


def positives_and_users(sink, prompts):
    for line in open(prompts, encoding="utf-8"):
        row = json.loads(line)
        name, label = row["set"], row["label"]
        kind = "tool" if name in ("bipia_ctx_train_neg", "cse_autocomplete_neg") else "user"
        if label:
            sink.add("train", name, "attack", 1, row["text"])
        elif name.startswith("promptshield") or name.startswith("garak"):
            sink.add("train", name, kind, 0, row["text"])    # templates: many are the same
        else:
            sink.add(split_of(row["text"]), "mail-and-tables" if name == "bipia_ctx_train_neg" else name, kind, 0, row["text"])


def packages(sink, where):
    def rows(path):
        return [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()]

    top = f"{where}/inspect_evals/inspect_evals"
    for row in rows(f"{top}/writingbench/benchmark_all.jsonl"):
        foreign = sum(ord(c) > 0x2000 for c in row["query"]) >= 5
        sink.add(split_of(row["query"]), "writing-foreign" if foreign else "writing", "user", 0, row["query"])
    documents = json.load(gzip.open(f"{top}/tau2/data/domains/banking_knowledge/documents.json.gz"))
    for key, text in sorted(strings(documents)):
        if len(text) > 200:
            for part in chunks(text):
                sink.add(split_of(text[:80]), "procedures", "tool", 0, part)
    for path in sorted(glob.glob(f"{top}/theagentcompany/tasks/*/*.md")):
        for part in chunks(open(path, encoding="utf-8").read()):
            sink.add(split_of(os.path.dirname(path)), "tasks", "user", 0, part)
    for path in sorted(glob.glob(f"{where}/chatterbot_corpus/chatterbot_corpus/data/*/*.yml")):
        try:
            talks = yaml.safe_load(open(path, encoding="utf-8"))["conversations"]
        except Exception:    # one of them is no YAML
            continue
        lines = [" ".join(str(x) for x in t if isinstance(x, str)) for t in talks if isinstance(t, list)]
        random.Random(number(path)).shuffle(lines)
        for line in lines[:40]:
            sink.add(split_of(os.path.basename(os.path.dirname(path)) + line[:40]), "talk", "tool", 0, line)
    for path in sorted(glob.glob(f"{where}/pyrit/pyrit/datasets/jailbreak/templates/**/*.yaml", recursive=True)):
        try:
            value = yaml.safe_load(open(path, encoding="utf-8").read().split("\n---\n")[0]).get("value")
        except Exception:    # comments in front of some
            continue
        if value:
            sink.add("train", "pyrit", "attack", 1, re.sub(r"\{\{.*?\}\}", " ", value))


def strings(x, key=""):
    if isinstance(x, dict):
        for k, v in x.items():
            yield from strings(v, k)
    elif isinstance(x, list):
        for v in x:
            yield from strings(v, key)
    elif isinstance(x, str):
        yield key, x


def users(sink, awesome, instruct):
    """Lists of what people ask: prompts.csv of awesome-chatgpt-prompts (CC0), self-instruct (Apache-2.0)."""
    import csv
    csv.field_size_limit(10 ** 8)
    for row in csv.DictReader(open(awesome, encoding="utf-8")) if awesome else ():
        text = row.get("prompt") or ""
        if text and not JAILBREAK.search(text):
            sink.add(split_of(text), "personas", "user", 0, text)
    for path in instruct or ():
        for line in open(path, encoding="utf-8"):
            row = json.loads(line)
            inner = row["instances"][0]["input"]
            sink.add(split_of(row["instruction"]), "instructions", "user", 0, row["instruction"] + ("\n" + inner if inner else ""))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("prompts", "packages", "debian", "git", "out"):
        p.add_argument(f"--{name}", required=True)
    p.add_argument("--awesome")
    p.add_argument("--instruct", action="append")
    a = p.parse_args()
    sink = Sink()
    positives_and_users(sink, a.prompts)
    packages(sink, a.packages)
    users(sink, a.awesome, a.instruct)
    machine(sink)
    logs(sink)
    commits(sink, a.git)
    debian(sink, a.debian)
    os.makedirs(a.out, exist_ok=True)
    for split, rows in sink.rows.items():
        count = {}
        with open(f"{a.out}/{split}.jsonl", "w", encoding="utf-8") as f:
            for row in rows:
                f.write(json.dumps(row) + "\n")
                count[row["set"]] = count.get(row["set"], 0) + 1
        print(split, dict(sorted(count.items())))


if __name__ == "__main__":
    main()
