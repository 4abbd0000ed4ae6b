#!/usr/bin/env bash
# OpenVINO's model cache serves old weights when a model's file changes but keeps its path, size and time.
#
# Core.compile_model(PATH) with CACHE_DIR names a cached model by the path, the size and the modification time of the
# .xml, and looks at neither the bytes of the .xml nor anything of the .bin with the weights. An artifact that is
# unpacked with fixed times, or restored with its time, over another one of the same shape is never noticed: the model
# calculates with the weights of the one before. Core.compile_model(Core.read_model(PATH)) notices.
#
# Seen with openvino 2026.4.1, numpy 2.3.5 and Python 3.11.7 on Linux, x86-64, where the second model is of factor 3:
#     by path: 2.0, then 2.0 (loaded from the cache: True)
#     by model: 2.0, then 3.0
# Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.3.5
cd "$folder"
HOME=$folder venv/bin/python - <<'EOF'
import os
import sys

import numpy as np
import openvino
from openvino import opset13


def save(factor):
    """Write a model that multiplies by a factor, of a fixed time."""
    x = opset13.parameter([1, 4], np.float32, name="x")
    y = opset13.multiply(x, opset13.constant(np.full((1, 4), factor, np.float32), name="factor"), name="y")
    model = openvino.Model([opset13.result(y, name="result")], [x], "model")  # no name has a number of this process
    openvino.save_model(model, "model.xml", compress_to_fp16=False)
    for path in ("model.xml", "model.bin"):
        os.utime(path, (10**9, 10**9))
    return tuple(os.stat(path).st_size for path in ("model.xml", "model.bin"))


def run(core, model):
    """Return what a model makes of ones, and whether it came from the cache."""
    compiled = core.compile_model(model, "CPU")
    return float(compiled(np.ones((1, 4), np.float32))[0][0, 0]), compiled.get_property("LOADED_FROM_CACHE")


by_path, by_model = openvino.Core(), openvino.Core()
by_path.set_property({"CACHE_DIR": "cache-by-path"})
by_model.set_property({"CACHE_DIR": "cache-by-model"})
sizes = save(2.0)
path_2, model_2 = run(by_path, "model.xml"), run(by_model, by_model.read_model("model.xml"))
assert save(3.0) == sizes
path_3, model_3 = run(by_path, "model.xml"), run(by_model, by_model.read_model("model.xml"))
print(openvino.get_version(), np.__version__, sys.version.split()[0])
print(f"by path: {path_2[0]}, then {path_3[0]} (loaded from the cache: {path_3[1]})")
print(f"by model: {model_2[0]}, then {model_3[0]}")
sys.exit((path_2[0], path_3[0], model_2[0], model_3[0]) != (2.0, 2.0, 2.0, 3.0))
EOF
