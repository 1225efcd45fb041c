#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Set the gate and the levels, on texts that are neither trained nor tested on (cal.jsonl).

    calibrate.py --data DIR --work DIR --vocab VOCAB.json --program pinfold-guard --out CALIBRATION.json

`suspect` is where 1 % of a mixed pool of benign text begins, `attack` 0.1 %. The pool of tool text has six parts of
equal weight (POOL); a part's texts share its weight. That of user text is one part, with chat in many languages.
"""
import argparse
import json
import random
import subprocess
import sys

import numpy as np

from ask import NEUTRAL, ask, raw
from native import Native
from train import BITS, windows

POOL = {"documentation": ("docs", "docs-more", "prose", "triggers"), "code": ("code", "cse_autocomplete_neg"),
        "output": ("logs", "diffs", "changelogs"), "steps": ("steps", "steps-translated", "procedures"),
        "mail and chat": ("mail", "mail-and-tables", "chat", "talk"), "languages": ("messages",)}
USER = ("cse_instruct_neg", "instructions", "personas", "writing", "writing-foreign", "tasks", "talk")
MOST = 1800    # texts of a part
PASS = 0.08    # of documentation windows go to the encoder


def threshold(scores, weights, share):
    order = np.argsort(-scores)
    over = np.cumsum(weights[order]) / weights.sum()
    k = int(np.searchsorted(over, share, side="right"))
    return float(scores[order[k]]) + 1e-3    # the first text that must not be over it


def goal_logits(native, grams, texts):
    z = np.load(grams)
    out = []
    for text in texts:
        logit = float(z["bias"][1])
        for table, scale, bucket in zip((z["words"], z["chars"]), (z["word_scale"], z["char_scale"]), native.grams(text, BITS)):
            if len(bucket):
                logit += float(table[bucket, 1].sum()) * float(scale[1]) / np.sqrt(len(bucket))
        out.append(logit)
    return np.array(out)


def pack(a, calibration, out):
    with open(f"{a.work}/calibration.tmp.json", "w", encoding="utf-8") as f:
        json.dump(calibration, f)
    subprocess.run([sys.executable, f"{sys.path[0]}/pack.py", "--encoder", a.model or f"{a.work}/model.bin", "--vocab", a.vocab, "--grams", f"{a.work}/grams.npz",
                    "--calibration", f"{a.work}/calibration.tmp.json", "--notes", "/dev/null", out], check=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("data", "work", "vocab", "program", "out"):
        p.add_argument(f"--{name}", required=True)
    p.add_argument("--model")
    p.add_argument("--mix", default="1,1,0,0")
    a = p.parse_args()
    rows = [json.loads(line) for line in open(f"{a.data}/cal.jsonl", encoding="utf-8")]
    mix = dict(zip(("explicit", "goal", "gram_explicit", "gram_goal"), (float(x) for x in a.mix.split(","))))
    docs = [w for r in rows if r["set"] in POOL["documentation"][:3] for w in windows(r["text"])]
    logits = goal_logits(Native(a.work), f"{a.work}/grams.npz", docs[:9000])
    made = {"user": {"gate": -1e8, "mix": {**mix, "gram_explicit": 0, "gram_goal": 0}, **NEUTRAL},
            "tool": {"gate": float(np.quantile(logits, 1 - PASS)), "mix": mix, **NEUTRAL}}
    pack(a, made, f"{a.work}/neutral.bin")
    for source, parts in (("tool", POOL), ("user", {"all": USER})):
        scores, weights = [], []
        for part, sets in parts.items():
            texts = [r["text"] for r in rows if r["set"] in sets]
            texts = random.Random(2).sample(texts, min(len(texts), MOST))
            verdicts = ask(a.program, f"{a.work}/neutral.bin", texts, source)
            got = [raw(v) for v in verdicts]
            encoded = sum(v["encoded"] for v in verdicts)
            print(source, part, len(got), "texts;", encoded, "windows encoded; 99 %, 99.9 %, highest:",
                  np.round([np.quantile(got, .99), np.quantile(got, .999), max(got)], 2), flush=True)
            scores += got
            weights += [1 / len(got)] * len(got)
        scores, weights = np.array(scores), np.array(weights)
        made[source]["suspect"] = threshold(scores, weights, .01)
        made[source]["attack"] = max(threshold(scores, weights, .001), made[source]["suspect"] + .1)
        print(source, {k: round(made[source][k], 3) for k in ("gate", "suspect", "attack")})
    with open(a.out, "w", encoding="utf-8") as f:
        json.dump(made, f, indent=1)


if __name__ == "__main__":
    main()
