"""Original models of full size: the published architectures, inputs and outputs, with random weights.

``python -m bench.full_size.originals MODEL`` writes one, where ``files.json`` says, and prints its parameters.
"""

import json
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx

from bench.full_size.detector import scrfd
from bench.full_size.embedder import iresnet50
from bench.full_size.landmarkers import fan_2d4, fan_68_5
from bench.full_size.occluder import xseg
from bench.full_size.parser import bisenet
from bench.full_size.person_detector import yolov8n
from bench.full_size.swappers import hyperswap, inswapper

ORIGINALS: dict[str, Callable[[str], onnx.ModelProto]] = {
    "det_10g": scrfd,
    "w600k_r50": iresnet50,
    "fan_68_5": fan_68_5,
    "2dfan4": fan_2d4,
    "inswapper_128": inswapper,
    "inswapper_128_fp16": partial(inswapper, half=True),
    "hyperswap_1a_256": hyperswap,
    "hyperswap_1b_256": hyperswap,
    "hyperswap_1c_256": hyperswap,
    "xseg_1": xseg,
    "xseg_2": xseg,
    "xseg_3": xseg,
    "bisenet_resnet_34": partial(bisenet, layers=34),
    "bisenet_resnet_18": partial(bisenet, layers=18),
    "yolov8n": yolov8n,
}


def main() -> None:
    """Write one model unless its file exists, and print its number of parameters."""
    name = sys.argv[1]
    path = Path(json.loads(Path("files.json").read_text("utf-8"))[name])
    if path.is_file():
        model = onnx.load(path)
    else:
        model = ORIGINALS[name](name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString(deterministic=True))
    print(sum(math.prod(tensor.dims) for tensor in model.graph.initializer))


if __name__ == "__main__":
    main()
