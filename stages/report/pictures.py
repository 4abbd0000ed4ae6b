"""The pictures of the page: small, and marked as synthetic where faces were swapped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from morphstream.face.look import Look
from morphstream.face.swap import Swapper
from morphstream.face.types import Face, FoundFaces
from morphstream.frame import Frame
from morphstream.media.encode import encode
from morphstream.media.picture import Picture
from morphstream.media.provenance import MARK
from morphstream.media.sheet import upright
from morphstream.media.visible_mark import draw_visible_mark
from morphstream.pipeline import SwapPipeline
from morphstream.session.session import Array
from stages.report.swaps import Photo, Swap

WIDE, FACE = 1600, 96  # pixels of the photo's longer side, and of a face
_QUALITY = 75  # of WebP
_AROUND = 2.5  # sides of the largest face that are shown above and below all
_PAINT = (180, 60, 235)  # what masks are drawn in, BGR
_THROUGH = 0.4  # what shows through it
_CLIP_WH, _CLIP_SIDE, _CLIP_FRAMES, _CLIP_MS = (480, 360), 300, 8, 150
_CIRCLE = 0.2  # of the clip's size: how far its middle moves
_LEVELS = 8  # brightness levels of a GIF that count as one


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What the page shows of the swaps.

    Attributes:
        rows: Of the photo, the first and the one behind the last, that its pictures show: those with faces.
        wide: Of the photo, pixels.
        faces: Its faces.
        source, before, masks, after: WebP: who the faces become, the photo, where masks let the swap through, the swap.
        strip_before: WebP of all faces in a row.
        strips: The same after each model's swap, by model.
        clip_wh: Of the clip, pixels.
        clip, still: A GIF of a swapped clip beside the clip before, and its first frame as WebP.
    """

    rows: tuple[int, int]
    wide: int
    faces: Sequence[Face]
    source: bytes
    before: bytes
    masks: bytes
    after: bytes
    strip_before: bytes
    strips: Mapping[str, bytes]
    clip_wh: tuple[int, int]
    clip: bytes
    still: bytes


def draw_pictures(swap: SwapPipeline, photo: Photo, swaps: Sequence[Swap], look: Look) -> Pictures:
    """Draw a photo and its swaps, of which the first is shown whole; `swap` has the look and draws masks and clip."""
    rows = slice(*(top_bottom := _rows_with(photo)))
    strip, frames = len(photo.faces) * FACE, clip_frames(swap, photo)
    return Pictures(
        rows=top_bottom,
        wide=photo.frame.shape[1],
        faces=photo.faces,
        source=webp(photo.source, 2 * FACE, is_synthetic=False),
        before=webp(photo.frame[rows], WIDE, is_synthetic=False),
        masks=webp(draw_masks(swap, photo, look)[rows], WIDE, is_synthetic=False),
        after=webp(marked(swaps[0].frame[rows]), WIDE, is_synthetic=True),
        strip_before=webp(strip_of(photo.frame, photo.faces), strip, is_synthetic=False),
        strips={one.model: webp(strip_of(one.frame, photo.faces), strip, is_synthetic=True) for one in swaps},
        clip_wh=(frames[0].shape[1], frames[0].shape[0]),
        clip=gif(frames),
        still=webp(frames[0], 2 * _CLIP_SIDE, is_synthetic=True),
    )


def _rows_with(photo: Photo) -> tuple[int, int]:
    """Return the first row of a photo that is shown, and the one behind the last: its faces, and some around them."""
    boxes = np.array([face.box_xyxy for face in photo.faces])
    around = _AROUND * float(max(face.side for face in photo.faces))
    return max(0, round(boxes[:, 1].min() - around)), min(len(photo.frame), round(boxes[:, 3].max() + around))


class _Paint:
    """The session of a swap model that returns one colour, so that what it draws is what its masks let through."""

    input_shapes: Mapping[str, tuple[int, ...]]
    sizes: Sequence[tuple[int, int]] = ()

    def __init__(self, side: int) -> None:
        self.input_shapes = {"crop": (-1, side, side, 3), "source": (-1, 512)}

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return a painted crop for each."""
        return {"swapped": np.broadcast_to(np.array(_PAINT, np.uint8), inputs["crop"].shape)}

    def close(self) -> None:
        """Do nothing: nothing is open."""


def draw_masks(swap: SwapPipeline, photo: Photo, look: Look) -> Frame:
    """Return a photo in which all that a swap would replace is painted over, by the masks of a look."""
    everyone = dict.fromkeys(range(len(photo.faces)), photo.identity)
    found = FoundFaces(frame=photo.frame, faces=photo.faces, assignment=everyone)
    painted = swap.swapper.swap(found, look, swapper=Swapper(_Paint(swap.swapper.side), None))
    return np.asarray(cv2.addWeighted(photo.frame, _THROUGH, painted, 1 - _THROUGH, 0), np.uint8)


def webp(frame: Frame, side: int, *, is_synthetic: bool) -> bytes:
    """Return a frame as a small WebP.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR.
        side: Pixels of its longer side at most.
        is_synthetic: Whether it is marked so.
    """
    scale, file = min(1.0, side / max(frame.shape[:2])), BytesIO()
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    Image.fromarray(small[..., ::-1]).save(file, "WEBP", quality=_QUALITY, method=2, xmp=MARK if is_synthetic else b"")
    return file.getvalue()


def marked(frame: Frame) -> Frame:
    """Return a frame in which words say that it is synthetic."""
    copy = frame.copy()
    draw_visible_mark(copy)
    return copy


def strip_of(frame: Frame, faces: Sequence[Face]) -> Frame:
    """Return faces of a frame in a row, each of `FACE` pixels."""
    sides = [cv2.resize(upright(frame, face), (FACE, FACE), interpolation=cv2.INTER_AREA) for face in faces]
    return np.ascontiguousarray(np.hstack(sides), np.uint8)


def clip_frames(swap: SwapPipeline, photo: Photo) -> list[Frame]:
    """Return the frames of a clip: a camera circles over a photo around a face; before, beside it after the swap."""
    frames = _circle(photo)
    timed = [(frame, number * _CLIP_MS / 1000) for number, frame in enumerate(frames)]
    swapped = [frame for frame, _ in swap.stream(timed, photo.identity)]
    return [_beside(*pair) for pair in zip(frames, swapped, strict=True)]


def gif(frames: Sequence[Frame]) -> bytes:
    """Return frames as an animation without end, marked as synthetic."""
    picture = Picture(pixels=frames, durations_ms=[_CLIP_MS] * len(frames), loops=0)
    return encode(".gif", picture, frames, is_synthetic=True)[0]


def _circle(photo: Photo) -> list[Frame]:
    """Return frames around the middle face, as a camera sees them that moves once around it."""
    height, width = photo.frame.shape[:2]
    middle = sorted((face.middle for face in photo.faces), key=lambda point: float(point[0]))[len(photo.faces) // 2]
    wide, high = min(_CLIP_WH[0], width), min(_CLIP_WH[1], height)
    frames = list[Frame]()
    for angle in np.linspace(0, 2 * np.pi, _CLIP_FRAMES, endpoint=False):
        x, y = middle + _CIRCLE * np.array([wide * np.cos(angle), high * np.sin(angle)]) - (wide / 2, high / 2)
        left, top = int(np.clip(x, 0, width - wide)), int(np.clip(y, 0, height - high))
        frames.append(np.ascontiguousarray(photo.frame[top : top + high, left : left + wide]))
    return frames


def _beside(before: Frame, after: Frame) -> Frame:
    """Return a frame beside its swap, small and in few colours."""
    scale = _CLIP_SIDE / before.shape[1]
    small = [cv2.resize(one, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for one in (before, after)]
    draw_visible_mark(small[1])  # type: ignore[arg-type]
    pair = np.hstack(small) // _LEVELS * _LEVELS + _LEVELS // 2
    return np.ascontiguousarray(pair, np.uint8)
