"""The built-in origin: small deterministic models with the inputs and outputs of the real ones, a file per role.

They are stand-ins, not trained networks, but they work together: the embedder writes a low-resolution face, the
swappers read it back, the landmarkers fit a mean face and the masks draw it. Only the detector is trained.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx

from morphstream.artifact.digest import Digest, digest_of
from stages.kit import detector, embedder, landmarker, occluder, parser, person_detector, restorer, swapper
from stages.workspace import Workspace

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


def digest_of_kit_model(name: str) -> Digest | None:
    """Return the digest of a stand-in's ONNX file, or of the detector's; None where the kit has none of that name."""
    if name == "det_10g":
        return detector.MODEL
    return digest_of(kit_model(name)) if name in BUILT else None


def kit_model(name: str, downloads: Path | None = None) -> bytes:
    """Return a stand-in's ONNX file, or the detector's out of its package, which `downloads` keeps.

    None is the current folder's downloads.

    Raises:
        KeyError: The kit has none of that name.
    """
    if name == "det_10g":
        return detector.det_10g(downloads or Workspace(Path()).downloads)
    data: bytes = BUILT[name]().SerializeToString(deterministic=True)
    return data
