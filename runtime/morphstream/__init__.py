"""Boots verified face-swap artifacts and swaps faces frame by frame.

import morphstream

morphstream.boot("store")
with morphstream.open("store") as swap:
    frame = swap(target_bgr, swap.identify(source_bgr))
"""

from importlib import import_module

import morphstream.boot  # noqa: F401  # the package, before the function of that name, which is loaded late
from morphstream.artifact.errors import MorphstreamError

TYPE_CHECKING = False  # typing would take longest to load, and a signal until then ends in a traceback

if TYPE_CHECKING:
    from morphstream.boot.boot import boot as boot
    from morphstream.boot.report import BootReport as BootReport
    from morphstream.boot.service import ModelDownloadService as ModelDownloadService
    from morphstream.face.analyser import FaceAnalyser as FaceAnalyser
    from morphstream.face.assign import at as at, everyone as everyone, largest as largest, like as like
    from morphstream.face.detect import DirectSCRFD as DirectSCRFD
    from morphstream.face.embed import DirectArcFace as DirectArcFace
    from morphstream.face.follow import FaceTracker as FaceTracker
    from morphstream.face.landmark import DirectFan685 as DirectFan685, Landmark68Detector as Landmark68Detector
    from morphstream.face.look import Look as Look
    from morphstream.face.mask import Occluder as Occluder, Parser as Parser
    from morphstream.face.person import PersonDetector as PersonDetector
    from morphstream.face.restore import Restorer as Restorer
    from morphstream.face.swap import Swapper as Swapper
    from morphstream.face.swapper import FaceSwapper as FaceSwapper
    from morphstream.face.track import Tracking as Tracking
    from morphstream.face.types import Face as Face, FoundFaces as FoundFaces, Identity as Identity, Person as Person
    from morphstream.frame import Frame as Frame
    from morphstream.pipeline import SwapPipeline as SwapPipeline, open as open  # noqa: A004
    from morphstream.session.load import load_emap as load_emap, open_session as open_session
    from morphstream.session.session import Session as Session
    from morphstream.store.store import Store as Store
    from morphstream.worker.worker import SwapWorker as SwapWorker
else:
    del globals()["boot"]

_LOADED_LATE = {
    "boot.boot": ("boot",),
    "boot.report": ("BootReport",),
    "boot.service": ("ModelDownloadService",),
    "face.analyser": ("FaceAnalyser",),
    "face.assign": ("at", "everyone", "largest", "like"),
    "face.detect": ("DirectSCRFD",),
    "face.embed": ("DirectArcFace",),
    "face.follow": ("FaceTracker",),
    "face.landmark": ("DirectFan685", "Landmark68Detector"),
    "face.look": ("Look",),
    "face.mask": ("Occluder", "Parser"),
    "face.person": ("PersonDetector",),
    "face.restore": ("Restorer",),
    "face.swap": ("Swapper",),
    "face.swapper": ("FaceSwapper",),
    "face.track": ("Tracking",),
    "face.types": ("Face", "FoundFaces", "Identity", "Person"),
    "frame": ("Frame",),
    "pipeline": ("SwapPipeline", "open"),
    "session.load": ("load_emap", "open_session"),
    "session.session": ("Session",),
    "store.store": ("Store",),
    "worker.worker": ("SwapWorker",),
}
_MODULES = {name: f"morphstream.{module}" for module, names in _LOADED_LATE.items() for name in names}
__all__ = ["MorphstreamError", *_MODULES]
__version__ = "0.1.0"  # the one place: packages, images and --version have it from here


def __getattr__(name: str) -> object:
    """Import a name when it is first used: most programs use few, and some need NumPy and OpenCV."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'morphstream' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names that there are for users, imported yet or not."""
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
