#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pack what was trained into the one file that pinfold-guard maps (src/guard/prompt/weights.h has its layout).

    pack.py --encoder MODEL.bin --vocab VOCAB.json --grams GRAMS.npz --calibration CALIBRATION.json
            --notes NOTES.txt OUT

The encoder is a file as export.py of the training writes it: rows of eight-bit weights with a scale each, and floats.
"""
import argparse
import hashlib
import json
import struct

import numpy as np

WIDTH, INNER, HEADS, PIECES, OUTPUTS, LANES = 384, 1536, 12, 64, 2, 16
VERSION = 1
CALIBRATION, VOCABULARY, GRAMS, ENCODER, NOTES = 1, 2, 3, 4, 100
MIX = ("explicit", "goal", "gram_explicit", "gram_goal")


class Section:
    """Arrays, each at a multiple of 64."""

    def __init__(self):
        self.bytes = bytearray()

    def put(self, data):
        self.bytes += bytes(-len(self.bytes) % 64)
        self.bytes += data if isinstance(data, (bytes, bytearray)) else np.ascontiguousarray(data).tobytes()


class Exported:
    """The arrays of an exported model, in order, each padded to 32 bytes."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.at = 0

    def take(self, dtype, *shape):
        n = int(np.prod(shape))
        out = np.frombuffer(self.data, dtype, n, self.at).reshape(shape)
        self.at += (out.nbytes + 31) & ~31
        return out

    def linear(self, rows, cols):
        return self.take(np.int8, rows, cols), self.take(np.float32, rows), self.take(np.float32, rows)


def put_linear(section, linear):
    w, scale, bias = linear
    rows, cols = w.shape
    # Panels of sixteen rows; in each, four columns of every row side by side.
    section.put(w.reshape(rows // LANES, LANES, cols // 4, 4).transpose(0, 2, 1, 3))
    section.put(w.astype(np.int32).sum(1, dtype=np.int32))
    section.put(scale)
    section.put(bias)


def encoder_section(path, count):
    model, out = Exported(path), Section()
    vocab, rank, layers, outputs = model.take(np.int32, 8)[:4]
    if (vocab, rank, outputs) != (count, WIDTH, OUTPUTS):
        raise SystemExit(f"{path}: {vocab} pieces, rank {rank}, {outputs} outputs")
    out.put(struct.pack("<7I", vocab, layers, WIDTH, INNER, HEADS, PIECES, OUTPUTS).ljust(64, b"\0"))
    out.put(model.take(np.int8, vocab, WIDTH))
    out.put(model.take(np.float32, vocab))
    out.put(model.take(np.float32, PIECES, WIDTH))
    out.put(model.take(np.float32, 2, WIDTH))
    for _ in range(layers):
        put_linear(out, model.linear(3 * WIDTH, WIDTH))
        put_linear(out, model.linear(WIDTH, WIDTH))
        out.put(model.take(np.float32, 2, WIDTH))
        put_linear(out, model.linear(INNER, WIDTH))
        put_linear(out, model.linear(WIDTH, INNER))
        out.put(model.take(np.float32, 2, WIDTH))
    out.put(model.take(np.float32, OUTPUTS, 2 * WIDTH))
    out.put(model.take(np.float32, OUTPUTS))
    if model.at != len(model.data):
        raise SystemExit(f"{path}: {len(model.data) - model.at} bytes too many")
    return out.bytes


def vocabulary_section(path):
    with open(path, encoding="utf-8") as f:
        ids = json.load(f)
    pieces = [p.encode() for p in sorted(ids, key=ids.get)]
    ends = np.cumsum([0] + [len(p) for p in pieces], dtype=np.uint32)
    out = Section()
    out.put(struct.pack("<I", len(pieces)))
    out.put(ends)
    out.put(b"".join(pieces))
    return out.bytes, len(pieces)


def grams_section(path):
    z = np.load(path)
    bits = int(z["words"].shape[0]).bit_length() - 1
    out = Section()
    out.put(struct.pack("<I", bits))
    out.put(np.concatenate([z["word_scale"], z["char_scale"], z["bias"]]).astype(np.float32))
    out.put(z["words"].astype(np.int8))
    out.put(z["chars"].astype(np.int8))
    return out.bytes


def calibration_section(path):
    with open(path, encoding="utf-8") as f:
        c = json.load(f)
    out = Section()
    for source in ("user", "tool"):
        s = c[source]
        out.put(np.array([s["gate"], *(s["mix"][m] for m in MIX), s["suspect"], s["attack"]], np.float32))
    return out.bytes


def write(path, sections):
    table, body = b"", bytearray()
    begin = 64 + 64 * len(sections)
    for what, data in sections:
        body += bytes(-len(body) % 64)
        table += struct.pack("<IIQQ32sQ", what, 0, begin + len(body), len(data), hashlib.sha256(data).digest(), 0)
        body += data
    head = b"pfguard\n" + struct.pack("<IIQ", VERSION, len(sections), begin + len(body))
    with open(path, "wb") as f:
        f.write(head.ljust(64, b"\0") + table + body)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("encoder", "vocab", "grams", "calibration", "notes"):
        p.add_argument(f"--{name}", required=True)
    p.add_argument("out")
    a = p.parse_args()
    vocabulary, count = vocabulary_section(a.vocab)
    with open(a.notes, "rb") as f:
        notes = f.read()
    write(a.out, [(CALIBRATION, calibration_section(a.calibration)), (VOCABULARY, vocabulary),
                  (GRAMS, grams_section(a.grams)), (ENCODER, encoder_section(a.encoder, count)), (NOTES, notes)])


if __name__ == "__main__":
    main()
