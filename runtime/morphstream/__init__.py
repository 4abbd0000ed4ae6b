"""Boots verified face-swap artifacts and swaps faces frame by frame.

import morphstream

store = morphstream.Store("store")
morphstream.boot(store)
with morphstream.FaceSwapper.open(store) as swapper:
    frame = swapper.swap(target_bgr, swapper.identify(source_bgr))
"""

from typing import TYPE_CHECKING

from morphstream.artifact.errors import MorphstreamError
from morphstream.store.boot import BootReport, boot
from morphstream.store.store import Store

if TYPE_CHECKING:
    from morphstream.face.swapper import FaceSwapper
    from morphstream.face.types import Face, Identity

__all__ = ["BootReport", "Face", "FaceSwapper", "Identity", "MorphstreamError", "Store", "boot"]


def __getattr__(name: str) -> object:
    """Load what needs NumPy and OpenCV when it is first used."""
    if name == "FaceSwapper":
        from morphstream.face.swapper import FaceSwapper

        return FaceSwapper
    if name in ("Face", "Identity"):
        from morphstream.face import types

        return getattr(types, name)
    raise AttributeError(f"module 'morphstream' has no attribute {name!r}")
