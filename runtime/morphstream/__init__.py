"""Boots verified face-swap artifacts and swaps faces frame by frame.

import morphstream

morphstream.boot("store")
with morphstream.open("store") as swap:
    frame = swap(target_bgr, swap.identify(source_bgr))
"""

from importlib import import_module
from typing import TYPE_CHECKING

from morphstream.artifact.errors import MorphstreamError
from morphstream.boot.boot import BootReport, boot
from morphstream.store.store import Store

if TYPE_CHECKING:
    from morphstream.boot.service import ModelDownloadService as ModelDownloadService
    from morphstream.face.analyser import FaceAnalyser as FaceAnalyser
    from morphstream.face.assign import at as at
    from morphstream.face.assign import everyone as everyone
    from morphstream.face.assign import largest as largest
    from morphstream.face.assign import like as like
    from morphstream.face.detect import DirectSCRFD as DirectSCRFD
    from morphstream.face.embed import DirectArcFace as DirectArcFace
    from morphstream.face.landmark import DirectFan685 as DirectFan685
    from morphstream.face.landmark import Landmark68Detector as Landmark68Detector
    from morphstream.face.look import Look as Look
    from morphstream.face.mask import Occluder as Occluder
    from morphstream.face.mask import Parser as Parser
    from morphstream.face.person import PersonDetector as PersonDetector
    from morphstream.face.restore import Restorer as Restorer
    from morphstream.face.swap import Swapper as Swapper
    from morphstream.face.swapper import FaceSwapper as FaceSwapper
    from morphstream.face.types import Face as Face
    from morphstream.face.types import FoundFaces as FoundFaces
    from morphstream.face.types import Identity as Identity
    from morphstream.face.types import Person as Person
    from morphstream.frame import Frame as Frame
    from morphstream.pipeline import SwapPipeline as SwapPipeline
    from morphstream.pipeline import open as open  # noqa: A004
    from morphstream.session.load import load_emap as load_emap
    from morphstream.session.load import open_session as open_session
    from morphstream.session.session import Session as Session


_LOADED_LATE = {
    "boot.service": ("ModelDownloadService",),
    "face.analyser": ("FaceAnalyser",),
    "face.assign": ("at", "everyone", "largest", "like"),
    "face.detect": ("DirectSCRFD",),
    "face.embed": ("DirectArcFace",),
    "face.landmark": ("DirectFan685", "Landmark68Detector"),
    "face.look": ("Look",),
    "face.mask": ("Occluder", "Parser"),
    "face.person": ("PersonDetector",),
    "face.restore": ("Restorer",),
    "face.swap": ("Swapper",),
    "face.swapper": ("FaceSwapper",),
    "face.types": ("Face", "FoundFaces", "Identity", "Person"),
    "frame": ("Frame",),
    "pipeline": ("SwapPipeline", "open"),
    "session.load": ("load_emap", "open_session"),
    "session.session": ("Session",),
}

__all__ = [
    "BootReport",
    "MorphstreamError",
    "Store",
    "boot",
    *(name for names in _LOADED_LATE.values() for name in names),
]


def __getattr__(name: str) -> object:
    """Import a name that needs NumPy and OpenCV when it is first used."""
    for module, names in _LOADED_LATE.items():
        if name in names:
            return getattr(import_module(f"morphstream.{module}"), name)
    raise AttributeError(f"module 'morphstream' has no attribute {name!r}")
