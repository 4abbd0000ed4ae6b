"""Embed faces: who they are, in numbers."""

from collections.abc import Sequence

import numpy as np

from morphstream.artifact.errors import SessionError
from morphstream.face.geometry import ARCFACE_112_V2, cut_crops
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame, check_frame
from morphstream.session.session import Session

SIDE = 112


class DirectArcFace:
    """ArcFace, an embedding of 512 numbers. Source: Deng et al., "ArcFace"."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def embed(self, frame: Frame, faces: Sequence[Face]) -> list[Identity]:
        """Return the identities of faces, in their order, by one run of the model.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            faces: Of that frame.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``, or a face's points are all one point.
            SessionError: The engine failed, or returned zeros.
        """
        check_frame(frame)
        if not faces:
            return []
        crops, _ = cut_crops(frame, [face.points5 for face in faces], ARCFACE_112_V2, SIDE)
        embeddings = self._session.run({"crop": crops})["embedding"].astype(np.float32)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        if not (lengths > 0).all():
            raise SessionError("embedder: expected an embedding of the face, seen zeros; use a picture with contrast")
        return [Identity(embedding=embedding) for embedding in embeddings / lengths]
