#!/usr/bin/env bash
# PyAV returns no picture behind a damaged one of those that a decoder still has when its stream ends.
#
# With frame threads a decoder returns each picture as many packets later as it has threads. At the end `decode(None)`
# asks for the rest. It raises where one of them is damaged, or returns those before that; called once more, it raises
# EOFError, as it sends the end again before it asks for more. FFmpeg itself would go on to return pictures.
#
# Seen with PyAV 18.1.0 and 19.0.2 and Python 3.11.7 and 3.12 on Linux, x86-64:
#     1 thread: 19 of 20 pictures, the damaged one alone is missing
#     8 threads: 14 of 20 pictures
# Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps av==18.1.0
cd "$folder"
venv/bin/python - <<'EOF'
import sys
from contextlib import suppress
from fractions import Fraction

import av

COUNT, DAMAGED = 20, 14


def packets():
    """Return pictures as PNG, one of which is damaged."""
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "gray", Fraction(1, 25)
    made = []
    for pts in range(COUNT):
        picture = av.VideoFrame(64, 48, "gray")
        picture.pts = pts
        made += encoder.encode(picture)
    made[DAMAGED] = av.Packet(b"damaged")
    return made


def decoded(threads):
    """Return how many pictures come."""
    decoder, count = av.CodecContext.create("png", "r"), 0
    decoder.thread_type, decoder.thread_count = ("FRAME", threads) if threads > 1 else ("NONE", 1)
    for packet in [*packets(), None, None]:
        with suppress(av.error.FFmpegError):
            count += len(decoder.decode(packet))
    return count


one, eight = decoded(1), decoded(8)
print(f"1 thread: {one} of {COUNT} pictures, the damaged one alone is missing")
print(f"8 threads: {eight} of {COUNT} pictures")
sys.exit(not (one == COUNT - 1 and eight == DAMAGED))
EOF
