"""Swap the identity of face crops."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.artifact.errors import SessionError
from morphstream.face.geometry import ARCFACE_128
from morphstream.face.types import Crop, Identity
from morphstream.session.session import Session

TEMPLATE = ARCFACE_128
_LATENTS = 64  # kept, 2 KiB each


class Swapper:
    """inswapper and hyperswap.

    Attributes:
        side: Side of the model's crops, aligned to `TEMPLATE`.
        cached_latent: As `latent`, which is called once for an identity; read-only.
    """

    def __init__(self, session: Session, emap: npt.NDArray[np.float32] | None) -> None:
        """Wrap an opened swap model.

        Args:
            session: Its engine.
            emap: ``(512, 512)`` float32, inswapper's map from embedding to latent; None for a model whose
                latent is the embedding.

        Raises:
            SessionError: It is the engine of another kind of model.
        """
        if not {"crop", "source"} <= session.input_shapes.keys():
            seen = ", ".join(session.input_shapes)
            raise SessionError(f"expected a swap model with inputs crop and source, seen {seen}")
        self._session, self._emap = session, emap
        self.side = session.input_shapes["crop"][1]
        self.cached_latent = lru_cache(_LATENTS)(self.latent)

    def latent(self, identity: Identity) -> npt.NDArray[np.float32]:
        """Return the model's input for an identity, ``(512,)`` float32 of length 1; the same for every frame.

        Source: InsightFace's INSwapper.
        """
        latent = identity.embedding if self._emap is None else identity.embedding @ self._emap
        return (latent / np.linalg.norm(latent)).astype(np.float32)

    def swap(self, crops: Crop, latents: Sequence[npt.NDArray[np.float32]]) -> Crop:
        """Return crops with other identities, by one run of the model.

        Args:
            crops: ``(N, S, S, 3)`` uint8 BGR, aligned to `TEMPLATE`. Where S is k times the model's side, each is
                swapped as k * k crops of every k-th pixel ("pixel boost").
            latents: Of `latent`, one for each crop.

        Returns:
            ``(N, S, S, 3)`` uint8 BGR, or ``(N, S, S, 4)`` with the model's own mask, 0..255, as fourth channel.

        Raises:
            ValueError: S is no multiple of the model's side.
            SessionError: The engine failed, or returned one colour everywhere.

        Source: FaceFusion, pixel boost.
        """
        times, rest = divmod(crops.shape[1], self.side)
        if rest or not times:
            expected = f"swap model: expected crops of a multiple of {self.side} pixels"
            raise ValueError(f"{expected}, seen {crops.shape[1]}; use a pixel boost of {2 * self.side}, or none")
        phases = crops if times == 1 else split_phases(crops, times)
        sources = np.repeat(np.stack(latents), times * times, axis=0)
        swapped = self._session.run({"crop": phases, "source": sources})["swapped"]
        swapped = swapped.copy() if times == 1 else join_phases(swapped, times)
        for crop, picture in zip(crops, swapped[..., :3], strict=True):
            if _is_flat(picture) and not _is_flat(crop):  # what NaN becomes in uint8
                raise SessionError(f"swap model: expected a picture, seen {picture[0, 0, 0]} everywhere; boot again")
        return swapped


def _is_flat(crop: Crop) -> bool:
    return not np.ptp(crop[::16, ::16]) and not np.ptp(crop)  # a few pixels first, as they nearly always differ


def split_phases(crops: Crop, times: int) -> Crop:
    """Split crops ``(N, S, S, C)`` into k * k smaller ones, where k, `times`, is a divisor of S.

    Phase ``k * row + column`` of a crop is ``crop[row::k, column::k]``.
    """
    count, side, _, channels = crops.shape
    small = side // times
    rows = crops.reshape(count, small, times, small, times * channels)  # of k pixels side by side as one
    phases = np.empty((count, times, times, small, small, channels), np.uint8)
    for crop, row in np.ndindex(count, times):
        cv2.mixChannels([rows[crop, :, row]], list(phases[crop, row]), _channels(times * channels))
    return phases.reshape(-1, small, small, channels)


def join_phases(phases: Crop, times: int) -> Crop:
    """Join the crops of `split_phases`: its inverse."""
    small, channels = phases.shape[1], phases.shape[3]
    phases = phases.reshape(-1, times, times, small, small, channels)
    crops = np.empty((len(phases), small, times, small, times * channels), np.uint8)
    for crop, row in np.ndindex(len(phases), times):
        cv2.mixChannels(list(phases[crop, row]), [crops[crop, :, row]], _channels(times * channels))
    return crops.reshape(len(phases), small * times, small * times, channels)


def _channels(count: int) -> list[int]:
    """Return OpenCV's list of channel pairs, each channel to itself."""
    return [number for number in range(count) for _ in range(2)]
