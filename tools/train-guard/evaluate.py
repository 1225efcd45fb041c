#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Figures of packed weights on held-out sources: the table of docs/guard-prompt.md.

    evaluate.py --data DIR --mirror DIR --packages DIR --program pinfold-guard --weights FILE --out FIGURES.json

Benign pools are rep.jsonl (weighted as in calibrate.py) and the held-out benign sources. Intervals: Wilson, 95 %.
"""
import argparse
import json
import math

from ask import ask
from calibrate import POOL, USER
from heldout import collect


def wilson(k, n, z=1.96):
    if not n:
        return 0.0, 1.0
    p, d = k / n, 1 + z * z / n
    middle, half = (p + z * z / (2 * n)) / d, z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
    return max(0.0, middle - half), min(1.0, middle + half)


def row(name, verdicts):
    n = len(verdicts)
    out = {"name": name, "n": n}
    for level, levels in (("suspect", ("suspect", "attack")), ("attack", ("attack",))):
        # By the classifier: what detectors add is counted apart.
        k = sum(v["level"] in levels and "classifier" in v["reasons"] for v in verdicts)
        low, high = wilson(k, n)
        out[level] = [k / max(n, 1), low, high]
    out["detectors"] = sum(v["level"] != "clear" and "classifier" not in v["reasons"] for v in verdicts)
    return out


def show(r):
    cells = " | ".join(f"{100 * r[k][0]:.1f} ({100 * r[k][1]:.0f}–{100 * r[k][2]:.0f})" for k in ("suspect", "attack"))
    print(f"| {r['name']} | {r['n']} | {cells} |", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("data", "mirror", "packages", "program", "weights", "out"):
        p.add_argument(f"--{name}", required=True)
    a = p.parse_args()
    rows = [json.loads(line) for line in open(f"{a.data}/rep.jsonl", encoding="utf-8")]
    hosts = [r["text"] for r in rows if r["set"] in ("docs", "docs-more")]
    figures = []

    def run(name, texts, source):
        figures.append(row(f"{name} [{source}]", ask(a.program, a.weights, texts, source)))
        show(figures[-1])
        return figures[-1]

    groups = {}
    for name, (kind, texts) in collect(a.mirror, a.packages, hosts).items():
        if kind in ("explicit", "clean", "goal", "other"):
            run(name, texts, "tool")
            groups.setdefault(kind, []).extend(texts)
            if kind in ("explicit", "clean"):
                run(name, texts, "user") if "buried" not in name else None
        elif kind == "user":
            run(name, texts, "user")
            run(name, texts, "tool")
        else:
            run(name, texts, "tool")
    run("ALL explicit", groups["explicit"], "tool")
    run("ALL explicit", groups["explicit"], "user")
    run("ALL goals", groups["goal"], "tool")
    for part, sets in POOL.items():
        run(f"benign: {part}", [r["text"] for r in rows if r["set"] in sets], "tool")
    run("benign: user", [r["text"] for r in rows if r["set"] in USER], "user")
    with open(a.out, "w", encoding="utf-8") as f:
        json.dump(figures, f, indent=1)


if __name__ == "__main__":
    main()
