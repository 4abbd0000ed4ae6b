"""What finds and embeds the faces of frames, as a tracker needs it."""

from collections.abc import Sequence
from typing import Protocol

from morphstream.face.geometry import Rectangle
from morphstream.face.look import Look
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame


class Finder(Protocol):
    """Finds and embeds faces, as `FaceAnalyser` does."""

    def find(self, frame: Frame, look: Look, *, within: Rectangle | None = None) -> FoundFaces:
        """Return the faces of a frame, or of a rectangle of it."""
        ...

    def find_near(self, frame: Frame, faces: Sequence[Face], look: Look) -> list[Face | None]:
        """Return faces again that are about where they were, or None."""
        ...

    def embed(self, frame: Frame, faces: Sequence[Face]) -> list[Identity]:
        """Return who faces are."""
        ...
