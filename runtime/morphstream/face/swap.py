"""Give a face another identity."""

import numpy as np
import numpy.typing as npt

from morphstream.artifact.errors import SessionError
from morphstream.face.geometry import ARCFACE_128
from morphstream.face.types import Crop, Identity, Mask
from morphstream.session.session import Session

TEMPLATE = ARCFACE_128


class Swapper:
    """inswapper and hyperswap.

    Attributes:
        side: Side of its crops, aligned to `TEMPLATE`.
    """

    def __init__(self, session: Session, emap: npt.NDArray[np.float32] | None) -> None:
        """Wrap an opened swap model.

        Args:
            session: Its engine.
            emap: ``(512, 512)``, inswapper's map from embedding to latent; None for a model that takes embeddings.

        Raises:
            SessionError: It is the engine of another kind of model.
        """
        if not {"crop", "source"} <= session.input_shapes.keys():
            seen = ", ".join(session.input_shapes)
            raise SessionError(f"expected a swap model, which takes crop and source, seen one that takes {seen}")
        self._session = session
        self._emap = emap
        self.side = session.input_shapes["crop"][1]

    def latent(self, identity: Identity) -> npt.NDArray[np.float32]:
        """Return what the model takes of an identity, ``(1, 512)`` of length 1; once a source, not a frame.

        Source: InsightFace's INSwapper.
        """
        latent = identity.embedding if self._emap is None else identity.embedding @ self._emap
        return (latent / np.linalg.norm(latent))[None].astype(np.float32)

    def swap(self, crop: Crop, latent: npt.NDArray[np.float32]) -> tuple[Crop, Mask | None]:
        """Return the crop with another identity, and where the model changed it if it says so.

        Args:
            crop: ``(side, side, 3)`` uint8, aligned to `TEMPLATE`.
            latent: As `latent` returns.

        Raises:
            SessionError: The engine failed.
        """
        swapped = self._session.run({"crop": crop[None], "source": latent})["swapped"][0]
        mask = swapped[..., 3] / np.float32(255) if swapped.shape[2] == 4 else None  # hyperswap's own
        return swapped[..., :3].copy(), mask
