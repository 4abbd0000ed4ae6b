#!/usr/bin/env bash
# OpenVINO writes other bytes of the same model on a machine whose language is Turkish.
#
# save_model writes the types of ports in large letters, which it makes by the C library in the process' locale: of
# "i64" it makes "I64", but in Turkish, whose large i is another letter, it leaves "i64". So a representation that is
# known by its digest differs by the LC_ALL or LC_CTYPE of whoever saved it, also from Python, which takes the
# environment's locale when it starts. Both are read as the same model.
#
# Seen with openvino 2026.4.1, numpy 2.3.5 and Python 3.11.7 on Debian 12, x86-64:
#     C: precision="I64"
#     tr_TR.UTF-8: precision="i64"
# Needs localedef and Debian's package locales, of whose sources it makes the locale. Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
localedef -i tr_TR -f UTF-8 "$folder/tr_TR.UTF-8"
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.3.5
cd "$folder"
cat > save.py <<'EOF'
import re
import sys

import numpy as np
import openvino
from openvino import opset13

x = opset13.parameter([4], np.int64, name="x")
y = opset13.add(x, opset13.constant(np.ones(4, np.int64), name="one"), name="y")
openvino.save_model(openvino.Model([opset13.result(y, name="result")], [x], "model"), "model.xml", compress_to_fp16=False)
with open("model.xml") as file:
    print(sorted(set(re.findall('precision="[^"]*"', file.read())))[0])
EOF
plain=$(HOME=$folder LC_ALL=C venv/bin/python save.py)
turkish=$(HOME=$folder LC_ALL=tr_TR.UTF-8 LOCPATH=$folder venv/bin/python save.py)
venv/bin/python -c 'import openvino, numpy, sys; print(openvino.get_version(), numpy.__version__, sys.version.split()[0])'
printf 'C: %s\ntr_TR.UTF-8: %s\n' "$plain" "$turkish"
[ "$plain" = 'precision="I64"' ] && [ "$turkish" = 'precision="i64"' ]
