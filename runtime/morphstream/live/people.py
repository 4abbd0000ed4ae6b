"""Identify the person of a picture that a page was given; the picture isn't kept."""

from dataclasses import dataclass, replace

from morphstream.artifact.errors import NoFaceError
from morphstream.face.analyser import FaceAnalyser
from morphstream.face.look import Look
from morphstream.face.types import Identity
from morphstream.media.picture import frame_of
from morphstream.media.read import picture_from

MOST_BYTES = 20_000_000  # of a picture


@dataclass(frozen=True, slots=True)
class Identified:
    """Who a picture shows.

    Attributes:
        identity: Of its largest face.
        note: What was chosen where there was a choice; empty where there was none.
    """

    identity: Identity
    note: str


def identify_picture(analyser: FaceAnalyser, data: bytes, look: Look, *, max_pixels: int) -> Identified:
    """Identify the largest face of a picture.

    Args:
        analyser: Finds and identifies faces.
        data: The picture's file.
        look: Says how faces are found; a picture is turned by its file alone, as live streams wait for the detector.
        max_pixels: Of the picture.

    Raises:
        ImageError: They are no picture, or a larger one.
        NoFaceError: It shows no face.
        SessionError: An engine failed.
    """
    frame = frame_of(picture_from(data, "picture", max_pixels=max_pixels).pixels[0])
    found = analyser.find(frame, replace(look, angles=(0.0,)))
    if not found.faces:
        raise NoFaceError("picture: expected a face to identify, seen none; take another, upright and from the front")
    identity = analyser.identify(frame, max(found.faces, key=lambda face: face.area))
    count = len(found.faces)
    return Identified(identity, f"{count} faces are in the picture; the largest was taken" if count > 1 else "")
