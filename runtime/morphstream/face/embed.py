"""Tell who a face is."""

import numpy as np

from morphstream.artifact.errors import SessionError
from morphstream.face.geometry import ARCFACE_112_V2, align, cut_crop
from morphstream.face.types import Face, Frame, Identity
from morphstream.session.session import Session

SIDE = 112


class DirectArcFace:
    """ArcFace, an embedding of 512 numbers. Source: Deng et al., "ArcFace"."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def embed(self, frame: Frame, face: Face) -> Identity:
        """Return the identity of a face.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            face: One of its faces.

        Raises:
            SessionError: The engine failed, or sees nothing.
        """
        crop = cut_crop(frame, align(face.points5, ARCFACE_112_V2, SIDE), SIDE)
        embedding = self._session.run({"crop": crop[None]})["embedding"][0].astype(np.float32)
        if not (length := np.linalg.norm(embedding)) > 0:
            raise SessionError("embedder: expected an embedding of the face, seen zeros; use a picture with contrast")
        return Identity(embedding=embedding / length)
