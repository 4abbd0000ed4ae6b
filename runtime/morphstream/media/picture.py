"""A picture as it was read: frames that the models see, and all that comes back as it came.

Conventions, here and in the other modules of this folder:

* Pixels are ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA, upright, uint8 or all of uint16; alpha is not premultiplied.
* A frame is what `morphstream.frame` says: ``(H, W, 3)`` uint8 BGR.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.frame import Frame
from morphstream.media.metadata import Metadata

Pixels = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegStyle:
    """How a JPEG was encoded, so that what is written is as good, and no larger.

    Attributes:
        tables: Its quantisation tables.
        sampling: Of its colours, as Pillow numbers them.
    """

    tables: tuple[tuple[int, ...], ...]
    sampling: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A picture, or an animation, as it was read.

    Attributes:
        pixels: Of each frame, all of one shape and type; one of a still picture.
        bits: A colour's bits in the file: 8, 10, 12 or 16. Above 8 pixels are uint16.
        durations_ms: How long each frame is shown; empty for a still picture.
        loops: How often an animation is played, 0 without end, None once.
        metadata: What it carries beside its pixels.
        style: How it was encoded, if it is a JPEG.
        notes: What of it was left out, in words.

    Raises:
        ValueError: There are no pixels, or they are not what is said above.
    """

    pixels: Sequence[Pixels]
    bits: int = 8
    durations_ms: Sequence[float] = ()
    loops: int | None = None
    metadata: Metadata = field(default_factory=Metadata)
    style: JpegStyle | None = None
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        seen = {(pixels.shape, pixels.dtype) for pixels in self.pixels}
        if len(seen) != 1:
            raise ValueError(f"picture: expected pixels of one shape and type, seen {sorted(map(str, seen)) or 'none'}")
        ((shape, dtype),) = seen
        if len(shape) != 3 or shape[2] not in (3, 4) or dtype != (np.uint16 if self.bits > 8 else np.uint8):
            raise ValueError(f"picture: expected BGR or BGRA pixels of {self.bits} bits, seen {shape} {dtype}")
        if self.durations_ms and len(self.durations_ms) != len(self.pixels):
            raise ValueError(f"picture: expected {len(self.pixels)} durations, seen {len(self.durations_ms)}")

    @property
    def is_animated(self) -> bool:
        """Whether it has several frames."""
        return len(self.pixels) > 1

    @property
    def is_transparent(self) -> bool:
        """Whether a pixel lets something through."""
        whole = 255 if self.bits == 8 else 65535
        return any(pixels.shape[2] == 4 and int(pixels[..., 3].min()) < whole for pixels in self.pixels)

    def without_alpha(self) -> "Picture":
        """Return the picture without its alpha."""
        return replace(self, pixels=[np.ascontiguousarray(pixels[..., :3]) for pixels in self.pixels])


def converted(pixels: Pixels, code: int) -> Pixels:
    """Return pixels with their channels in another order or number, by a code of `cv2.cvtColor`."""
    return cv2.cvtColor(pixels, code)  # type: ignore[return-value]


def frame_of(pixels: Pixels) -> Frame:
    """Return what the models see of pixels: 8 bits, without alpha; the pixels themselves where they are that."""
    colours = pixels if pixels.shape[2] == 3 else converted(pixels, cv2.COLOR_BGRA2BGR)
    return np.asarray(colours if colours.dtype == np.uint8 else colours >> 8, np.uint8)


def with_frame(pixels: Pixels, frame: Frame, swapped: Frame) -> Pixels:
    """Return pixels with what a swap changed; alpha stays, and all bits of what it didn't change.

    Args:
        pixels: Not modified.
        frame: Theirs, of `frame_of`.
        swapped: The frame after the swap.
    """
    if pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        return swapped
    after = pixels.copy()
    if pixels.dtype == np.uint8:
        cv2.mixChannels([swapped], [after], [0, 0, 1, 1, 2, 2])
        return after
    changed = (swapped != frame).any(axis=2)
    moved = (swapped[changed].astype(np.int32) - frame[changed]) * 257
    after[changed, :3] = np.clip(pixels[changed, :3] + moved, 0, 65535)
    return after
