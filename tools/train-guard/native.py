# SPDX-License-Identifier: Apache-2.0
"""The classifier's own C code (native.c), compiled when it is first asked for."""
import ctypes
import os
import subprocess

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PARTS = ("decode", "normal", "pieces", "weights", "weights_parts", "digest")
ROOM = 1 << 16


class Native:
    def __init__(self, work):
        path = os.path.join(work, "native.so")
        sources = [f"{TOP}/src/guard/prompt/{p}.c" for p in PARTS] + \
                  [f"{TOP}/src/base/{p}.c" for p in ("error", "sha256", "buf", "fd", "path", "str", "text", "tree")]
        subprocess.run(["gcc", "-std=gnu11", "-O3", "-fPIC", "-shared", "-D_GNU_SOURCE", "-march=native", "-ffp-contract=off",
                        "-fno-trapping-math", "-fno-math-errno", f"-I{TOP}/src", "-o", path, f"{HERE}/native.c",
                        *sources, "-lutf8proc", "-lm"], check=True)
        self.lib = ctypes.CDLL(path)
        self.lib.pg_grams.restype = self.lib.pg_features.restype = ctypes.c_size_t

    def open(self, weights):
        why = ctypes.create_string_buffer(512)
        if self.lib.pg_open(weights.encode(), why) != 0:
            raise SystemExit(why.value.decode())

    def grams(self, text, bits):
        """Buckets of words and of characters."""
        data = text.encode("utf-8", "replace")
        out = np.empty(ROOM, np.uint32)
        n = self.lib.pg_grams(data, ctypes.c_size_t(len(data)), bits, out.ctypes.data_as(ctypes.c_void_p),
                              ctypes.c_size_t(ROOM))
        out = out[:n]
        return out[out & 1 == 0] >> 1, out[out & 1 == 1] >> 1

    def features(self, text, most=64):
        """(windows, 768) of what the encoder's head sees, and the bytes of each window."""
        data = text.encode("utf-8", "replace")
        out, at = np.empty((most, 768), np.float32), np.empty((most, 2), np.uint64)
        n = self.lib.pg_features(data, ctypes.c_size_t(len(data)), out.ctypes.data_as(ctypes.c_void_p),
                                 at.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(most))
        return out[:n].copy(), at[:n].copy()
