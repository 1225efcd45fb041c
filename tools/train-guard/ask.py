# SPDX-License-Identifier: Apache-2.0
"""Many texts through `pinfold-guard prompt --stream`."""
import json
import math
import subprocess
import tempfile

# A calibration that lets raw scores be read from verdicts: raw 0 is 0.5, raw 22 is 0.9.
NEUTRAL = {"suspect": 0.0, "attack": 22.0}


def ask(program, weights, texts, source):
    """Verdicts, in order."""
    with tempfile.TemporaryFile("w+") as questions:
        for text in texts:
            text = text.replace("\0", "").encode("utf-8", "replace").decode()
            questions.write(json.dumps({"source": source, "text": text}) + "\n")
        questions.seek(0)
        done = subprocess.run([program, "prompt", "--weights", weights, "--stream"], stdin=questions, check=True,
                              capture_output=True, text=True)
    out = [json.loads(line) for line in done.stdout.splitlines()]
    if len(out) != len(texts) or any("error" in v for v in out):
        raise SystemExit(f"{len(texts)} questions, {len(out)} answers: {[v for v in out if 'error' in v][:1]}")
    return out


def raw(verdict):
    """What NEUTRAL hid; -99 where no window was scored."""
    s = verdict["score"]
    if not verdict["encoded"]:
        return -99.0
    return NEUTRAL["attack"] * math.log(max(s, 1e-5) / max(1 - s, 1e-5)) / math.log(9)
