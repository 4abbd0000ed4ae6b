#!/usr/bin/env bash
# ONNX Runtime's static int8 quantisation of a network with boxes and scores in one output makes every score 0.
#
# A YOLOv8 ends in a Concat of boxes in pixels (up to 640) and class scores (0 to 1). quantize_static gives that tensor
# one scale, about 640 / 127, of which a score is a fifth at most, so that all round to 0: nothing is found any more, and
# nothing is reported. One cosine over the output stays near 1, as the boxes hide the scores. With the
# Concat excluded by nodes_to_exclude, and the scores so left as they are, they are kept.
#
# Seen with onnxruntime 1.31.1, onnx 1.23.2 and Python 3.11.7 on Linux, x86-64:
#     all nodes: greatest score 0.99 -> 0.00, cosine of the whole output 1.000
#     without the Concat: greatest score 0.99 -> 0.99
# Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.31.1
cd "$folder"
cat > program.py <<'PYTHON'
import logging

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

logging.disable(logging.WARNING)
onnxruntime.set_default_logger_severity(4)
model = onnx.parser.parse_model("""
<ir_version: 8, opset_import: ["" : 17]>
head (float[1, 4, 100] places, float[1, 80, 100] logits) => (float[1, 84, 100] output0) {
    side = Constant <value = float[1] {640.0}> ()
    boxes = Mul (places, side)
    scores = Sigmoid (logits)
    output0 = Concat <axis = 1> (boxes, scores)
}
""")
model.graph.node[3].name = "concat"
onnx.save(model, "float.onnx")
random = np.random.default_rng(1)
rows = [
    {
        "places": random.random((1, 4, 100), np.float32),
        "logits": random.normal(-2, 2, (1, 80, 100)).clip(-5, 5).astype(np.float32),
    }
    for _ in range(8)
]


class Rows(CalibrationDataReader):
    def __init__(self):
        self.left = iter(rows)

    def get_next(self):
        return next(self.left, None)


def run(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, rows[0])[0].astype(np.float64)


before = run("float.onnx")
for name, excluded in (("all nodes", []), ("without the Concat", ["concat"])):
    quantize_static(
        "float.onnx",
        "int8.onnx",
        Rows(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Mul", "Concat"],
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=excluded,
    )
    after = run("int8.onnx")
    line = f"{name}: greatest score {before[:, 4:].max():.2f} -> {after[:, 4:].max():.2f}"
    if not excluded:
        cosine = (before * after).sum() / np.sqrt((before**2).sum() * (after**2).sum())
        line += f", cosine of the whole output {cosine:.3f}"
    print(line)
PYTHON
seen=$("$folder/venv/bin/python" program.py)
echo "$seen"
[[ $seen == *"all nodes: greatest score 0.99 -> 0.00, cosine of the whole output 1.000"* ]]
[[ $seen == *"without the Concat: greatest score 0.99 -> 0.99"* ]]
