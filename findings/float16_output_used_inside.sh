#!/usr/bin/env bash
# onnxconverter-common's float16 conversion with keep_io_types writes an invalid model where a node reads an output.
#
# With keep_io_types=True each output gets a Cast back to float32 at its end. A node of the graph that reads the same
# value, as a swapper does that composes its crop with the mask that it also returns, then reads the float32 one beside
# half-precision numbers, which no operator allows: ONNX Runtime refuses the file. The conversion reports nothing.
# onnxruntime.transformers.float16, made from the same code, has it right.
#
# Seen with onnxconverter-common 1.16.0, onnx 1.23.2, onnxruntime 1.31.1 and Python 3.11.7 on Linux, x86-64:
#     onnxconverter-common: refused by ONNX Runtime: Type parameter (T) of Optype (Sub) bound to different types
#     onnxruntime.transformers: accepted by ONNX Runtime
# Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    onnxconverter-common==1.16.0 onnx==1.23.2 onnxruntime==1.31.1
cd "$folder"
cat > program.py <<'PYTHON'
import onnx
import onnxconverter_common.float16
import onnxruntime
import onnxruntime.transformers.float16

onnxruntime.set_default_logger_severity(4)
model = onnx.parser.parse_model("""
<ir_version: 8, opset_import: ["" : 17]>
composed (float[1, 4] crop, float[1, 4] logits) => (float[1, 4] mask, float[1, 4] output) {
    one = Constant <value = float[1] {1.0}> ()
    mask = Sigmoid (logits)
    rest = Sub (one, mask)
    output = Mul (crop, rest)
}
""")
onnx.checker.check_model(model, full_check=True)
for name, tool in (
    ("onnxconverter-common", onnxconverter_common.float16),
    ("onnxruntime.transformers", onnxruntime.transformers.float16),
):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    half = tool.convert_float_to_float16(copy, keep_io_types=True)
    try:
        onnxruntime.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])
        opened = "accepted by ONNX Runtime"
    except Exception as error:
        opened = "refused by ONNX Runtime: " + str(error).partition("Type Error: ")[2].partition(" (tensor")[0]
    print(f"{name}: {opened}")
PYTHON
seen=$("$folder/venv/bin/python" program.py)
echo "$seen"
[[ $seen == *"onnxconverter-common: refused by ONNX Runtime: Type parameter (T) of Optype (Sub) bound to different types"* ]]
[[ $seen == *"onnxruntime.transformers: accepted by ONNX Runtime"* ]]
