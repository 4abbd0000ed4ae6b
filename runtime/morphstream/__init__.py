"""Boots verified face-swap artifacts and swaps faces frame by frame.

import morphstream

store = morphstream.Store("store")
morphstream.boot(store)
with morphstream.FaceSwapper.open(store) as swapper:
    frame = swapper.swap(target_bgr, swapper.identify(source_bgr))
"""

from importlib import import_module
from typing import TYPE_CHECKING

from morphstream.artifact.errors import MorphstreamError
from morphstream.boot.boot import BootReport, boot
from morphstream.store.store import Store

if TYPE_CHECKING:
    from morphstream.face.detect import DirectSCRFD
    from morphstream.face.embed import DirectArcFace
    from morphstream.face.landmark import DirectFan685, Landmark68Detector
    from morphstream.face.mask import Masks, Occluder, Parser
    from morphstream.face.person import PersonDetector
    from morphstream.face.restore import Restorer
    from morphstream.face.swap import Swapper
    from morphstream.face.swapper import FaceSwapper
    from morphstream.face.types import Face, Identity, Person
    from morphstream.session.load import load_emap, open_session
    from morphstream.session.session import Session

_LOADED_LATE = {
    "DirectArcFace": "face.embed",
    "DirectFan685": "face.landmark",
    "DirectSCRFD": "face.detect",
    "Face": "face.types",
    "FaceSwapper": "face.swapper",
    "Identity": "face.types",
    "Landmark68Detector": "face.landmark",
    "Masks": "face.mask",
    "Occluder": "face.mask",
    "Parser": "face.mask",
    "Person": "face.types",
    "PersonDetector": "face.person",
    "Restorer": "face.restore",
    "Session": "session.session",
    "ModelDownloadService": "boot.service",
    "Swapper": "face.swap",
    "load_emap": "session.load",
    "open_session": "session.load",
}

__all__ = [
    "BootReport",
    "DirectArcFace",
    "DirectFan685",
    "DirectSCRFD",
    "Face",
    "FaceSwapper",
    "Identity",
    "Landmark68Detector",
    "Masks",
    "ModelDownloadService",
    "MorphstreamError",
    "Occluder",
    "Parser",
    "Person",
    "PersonDetector",
    "Restorer",
    "Session",
    "Store",
    "Swapper",
    "boot",
    "load_emap",
    "open_session",
]


def __getattr__(name: str) -> object:
    """Load what needs NumPy and OpenCV when it is first used."""
    if module := _LOADED_LATE.get(name):
        return getattr(import_module(f"morphstream.{module}"), name)
    raise AttributeError(f"module 'morphstream' has no attribute {name!r}")
