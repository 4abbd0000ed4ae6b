"""The built-in origin: small deterministic models with the inputs and outputs of the real ones, a file per role.

They are stand-ins, not trained networks, but they work together: the embedder writes a low-resolution face, the
swappers read it back, the landmarkers fit a mean face and the masks draw it. Only the detector is trained.
"""

from collections.abc import Callable, Mapping

import onnx

from stages.kit import detector, embedder, landmarker, occluder, parser, person_detector, restorer, swapper

BUILT: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "w600k_r50": embedder.w600k_r50,
    "fan_68_5": landmarker.fan_68_5,
    "2dfan4": landmarker.fan_2d4,
    "inswapper_128": lambda: swapper.inswapper(half=False),
    "inswapper_128_fp16": lambda: swapper.inswapper(half=True),
    "hyperswap_1a_256": lambda: swapper.hyperswap("a"),
    "hyperswap_1b_256": lambda: swapper.hyperswap("b"),
    "hyperswap_1c_256": lambda: swapper.hyperswap("c"),
    "xseg_1": lambda: occluder.xseg(1),
    "xseg_2": lambda: occluder.xseg(2),
    "xseg_3": lambda: occluder.xseg(3),
    "bisenet_resnet_34": lambda: parser.bisenet(34),
    "bisenet_resnet_18": lambda: parser.bisenet(18),
    "yolov8n": person_detector.yolov8n,
    "gfpgan": restorer.gfpgan,
}


def kit_model(name: str) -> bytes:
    """Return a stand-in's ONNX file.

    Raises:
        KeyError: The kit has none of that name.
        FetchError: The detector's package can't be had.
        DigestMismatchError: The detector isn't the pinned one.
    """
    return detector.det_10g() if name == "det_10g" else BUILT[name]().SerializeToString(deterministic=True)
