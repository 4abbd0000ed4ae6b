"""Sharpen faces, where time allows: not for real time."""

from morphstream.face.geometry import FFHQ_512
from morphstream.face.types import Crop
from morphstream.session.session import Session

TEMPLATE = FFHQ_512


class Restorer:
    """GFPGAN. Source: Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior".

    Attributes:
        side: Side of its crops, aligned to `TEMPLATE`.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.side = session.input_shapes["crop"][1]

    def restore(self, crops: Crop) -> Crop:
        """Return crops restored, ``(N, side, side, 3)`` uint8 BGR, overwritten by the next call.

        Args:
            crops: ``(N, side, side, 3)`` uint8 BGR, aligned to `TEMPLATE`.

        Raises:
            SessionError: The engine failed.
        """
        return self._session.run({"crop": crops})["swapped"]
