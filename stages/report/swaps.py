"""Swap the faces of a photo by a swap model, and measure how near to the source they are, and how long it took."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from morphstream.artifact.errors import MorphstreamError
from morphstream.cli.timed import Spent
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame
from morphstream.pipeline import SwapPipeline

GAIN_AT_LEAST = 0.5  # of the cosine to the source
FIND, EMBED, SWAP, MASK, PASTE = "find", "embed", "swap", "mask", "paste"


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photo, the faces in it, and the identity that they get.

    Attributes:
        source: Who they become, ``(H, W, 3)`` uint8 BGR.
        frame: The photo, as `source`.
        faces: Its faces.
        identity: Of the source.
    """

    source: Frame
    frame: Frame
    faces: Sequence[Face]
    identity: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """What a swap model made of a photo.

    Attributes:
        model: Its name.
        frame: The photo with other faces.
        before: The cosine of each face to the source before the swap.
        after: The same after it.
        seconds: For the swap of all faces.
        steps_ms: Milliseconds of each step for all faces, in order.
    """

    model: str
    frame: Frame
    before: Sequence[float]
    after: Sequence[float]
    seconds: float
    steps_ms: Mapping[str, float]

    @property
    def gains(self) -> Sequence[float]:
        """How much nearer to the source each face is."""
        return [after - before for before, after in zip(self.before, self.after, strict=True)]

    @property
    def enough(self) -> int:
        """How many faces are nearer by `GAIN_AT_LEAST`."""
        return sum(gain >= GAIN_AT_LEAST for gain in self.gains)

    @property
    def metrics(self) -> dict[str, float]:
        """The figures of all faces."""
        return {
            "faces": len(self.before),
            "faces_swapped": self.enough,
            "similarity_before": float(np.mean(self.before)),
            "similarity_after": float(np.mean(self.after)),
            "least_gain": min(self.gains),
            "swap_seconds": self.seconds,
        }


def swap_photo(swap: SwapPipeline, photo: Photo, spent: Spent) -> Swap:
    """Swap a photo's faces with the model of a pipeline.

    Args:
        swap: Its engines are those of `timed_engines`.
        photo: Not modified.
        spent: Theirs; cleared.

    Raises:
        MorphstreamError: There are no faces in the photo, or an engine failed.
    """
    if not photo.faces:
        raise MorphstreamError(f"{swap.swap_model}: expected faces in the photo, seen none; correct the detector")
    _taken_ms(spent)
    clock = [time.perf_counter()]
    swapped = swap(photo.frame, photo.identity, faces=photo.faces)
    clock.append(time.perf_counter())
    engines = _taken_ms(spent)
    found = swap.detect(swapped)
    clock.append(time.perf_counter())
    after = swap.embed(swapped, [_nearest(face, found) for face in photo.faces])
    clock.append(time.perf_counter())
    whole, find, embed = (1000 * seconds for seconds in np.diff(clock).tolist())
    own = engines.pop(swap.swap_model, 0.0)
    masks = sum(engines.values())
    return Swap(
        model=swap.swap_model,
        frame=swapped,
        before=[who.similarity(photo.identity) for who in swap.embed(photo.frame, photo.faces)],
        after=[who.similarity(photo.identity) for who in after],
        seconds=whole / 1000,
        steps_ms={FIND: find, EMBED: embed, SWAP: own, MASK: masks, PASTE: whole - own - masks},
    )


def _taken_ms(spent: Spent) -> dict[str, float]:
    """Return the milliseconds of each engine that ran, and forget them."""
    taken = {name: 1000 * sum(runs) for name, runs in spent.items() if runs}
    for runs in spent.values():
        runs.clear()
    return taken


def _nearest(face: Face, found: list[Face]) -> Face:
    return min(found, key=lambda other: float(np.abs(other.points5 - face.points5).sum()), default=face)
