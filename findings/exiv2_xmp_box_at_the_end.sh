#!/usr/bin/env bash
# Exiv2 refuses an MP4 whose last box is its XMP, and calls the whole file corrupted.
#
# XMP stands in MP4 in a top-level box of kind `uuid`, anywhere in the file (XMP specification, part 3). Exiv2 reads as
# many bytes behind the box as the box's own head has, 24, and gives up where the file ends before that. With 24 bytes
# of another box behind it, such as `free`, the same XMP is read.
#
# Seen with pyexiv2 2.16.0, which holds Exiv2, and Python 3.11.7 on Linux, x86-64:
#     nothing behind it: corrupted image metadata
#     23 bytes behind it: corrupted image metadata
#     24 bytes behind it: {'Xmp.xmp.CreatorTool': 'a tool'}
# Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps pyexiv2==2.16.0
cd "$folder"
HOME=$folder venv/bin/python - <<'EOF'
import struct
import sys

import pyexiv2

XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="a tool"/></rdf:RDF></x:xmpmeta>"""


def box(kind, body):
    return struct.pack(">I4s", 8 + len(body), kind) + body


def read(behind):
    """Return what is read of a file with its XMP, and so many bytes of another box behind that."""
    data = box(b"ftyp", b"isom\0\0\2\0isomiso2mp41") + box(b"mdat", b"") + box(b"uuid", XMP_UUID + XMP)
    with open("video.mp4", "wb") as file:
        file.write(data + (box(b"free", bytes(behind - 8)) if behind else b""))
    try:
        with pyexiv2.Image("video.mp4") as image:
            return str(image.read_xmp())
    except RuntimeError as error:
        return str(error)


seen = {"nothing": read(0), "23 bytes": read(23), "24 bytes": read(24)}
for behind, what in seen.items():
    print(f"{behind} behind it: {what}")
expected = ["corrupted image metadata"] * 2 + ["{'Xmp.xmp.CreatorTool': 'a tool'}"]
sys.exit(list(seen.values()) != expected)
EOF
