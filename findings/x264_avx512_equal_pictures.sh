#!/usr/bin/env bash
# libx264 encodes equal pictures unequally where the CPU has AVX-512: its rate control reads what was never written.
#
# The same pictures are encoded six times in one process with the same settings, while memory of other content is
# freed. With `mbtree=0`, or without AVX-512 (`asm=AVX2,FMA3,BMI2`), all six are the same, bit for bit.
# Small pictures show it, such as 160 x 120. So a video that is encoded again, or a part of it, may
# have other bytes and other pixels.
#
# Seen with the libx264 of PyAV 18.1.0 and Python 3.11.7 on Linux, x86-64, with AVX-512:
#     as it is: 6 different ones of 6
#     mbtree=0: 1 different ones of 6
#     asm=AVX2,FMA3,BMI2: 1 different ones of 6
# Exits 0 while that is so; on a CPU without AVX-512 there is nothing to see.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy
"$folder/venv/bin/python" - <<'EOF'
import hashlib
import sys
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT = 160, 120


def picture(index):
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = np.stack([60 + across // 2, 80 + (down + 2 * index) % 120, 200 - across // 2], 2).astype(np.uint8)
    made = av.VideoFrame.from_ndarray(pixels, format="bgr24").reformat(format="yuv420p")
    made.pts, made.time_base = index, Fraction(1, 25)
    return made


def leave_in_memory(chance, count):
    """Fill memory, and free it with its content."""
    [chance.integers(0, 255, size, np.uint8) for size in chance.integers(1000, 400_000, count)]


def encoded(params, chance):
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt, context.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, 25)
    context.thread_type = "AUTO"
    context.framerate, context.options = 25, {"preset": "medium", "crf": "18"}
    if params:
        context.options["x264-params"] = params
    digest = hashlib.sha256()
    for index in range(12):
        made = picture(index)
        leave_in_memory(chance, 5)
        for packet in context.encode(made):
            digest.update(bytes(packet))
    for packet in context.encode(None):
        digest.update(bytes(packet))
    return digest.hexdigest()


counts = []
for params in ("", "mbtree=0", "asm=AVX2,FMA3,BMI2"):
    chance = np.random.default_rng(1)
    counts.append(len({encoded(params, chance) for _ in range(6)}))
    print(f"{params or 'as it is'}: {counts[-1]} different ones of 6")
sys.exit(not (counts[0] > 1 and counts[1:] == [1, 1]))
EOF
