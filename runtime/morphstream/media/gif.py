"""Encode GIFs: frames in at most 256 colours."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from morphstream.media.formats import durations_in, saved
from morphstream.media.metadata import XMP_IN_GIF
from morphstream.media.picture import Picture, Pixels

_COLOURS = 256  # one less, where some of a frame is transparent
_FEW = 8  # colours that are worth their own palette


def encode_gif(picture: Picture, pixels: Sequence[Pixels], mark: bytes | None) -> bytes:
    """Return a GIF; arguments as of `formats.encode_png`."""
    images = [in_few_colours(*pair) for pair in zip(picture.pixels, pixels, strict=True)]
    options: dict[str, object] = {"disposal": 2 if picture.is_transparent else 0}
    if picture.is_animated:
        options |= {"duration": durations_in(10, picture), "loop": picture.loops}
    gif = saved("GIF", images, picture, options)
    place = 13 + (3 << (gif[10] & 7) + 1 if gif[10] & 0x80 else 0)  # behind the header and its palette
    return b"GIF89a" + gif[6:place] + (xmp_extension(mark) if mark else b"") + gif[place:]


def xmp_extension(xmp: bytes) -> bytes:
    """Return the block of a GIF that holds an XMP packet; its last bytes lead readers out of it."""
    return XMP_IN_GIF + xmp + bytes((1, *range(255, -1, -1), 0))


def in_few_colours(before: Pixels, after: Pixels) -> Image.Image:
    """Return a frame with a palette: exactly as it is where it didn't change, if that has few colours.

    What changed gets the palette's places that are left, and nearest colours where there are few.

    Args:
        before: The frame's pixels before a swap, uint8.
        after: Those to write.
    """
    height, width = after.shape[:2]
    codes = (after[..., :3] @ np.array([1, 256, 65536], np.uint32)).astype(np.uint32)
    shown = after[..., 3] >= 128 if after.shape[2] == 4 else np.ones((height, width), bool)
    same = (after[..., :3] == before[..., :3]).all(axis=2)
    kept, most = np.unique(codes[same & shown]), _COLOURS - (not shown.all())
    if len(kept) > most:
        kept, same = kept[:0], np.zeros_like(same)
    image = Image.fromarray(np.ascontiguousarray(after[..., 2::-1]))
    moved = shown & ~same
    palette = np.concatenate([kept, _main_colours(codes[moved], most - len(kept))])
    places = np.zeros((height, width), np.uint8)
    if moved.any():
        chart = Image.new("P", (1, 1))
        chart.putpalette(_rgb_of(np.resize(palette, 256)).tobytes())
        places = (np.array(image.quantize(palette=chart), int) % max(len(palette), 1)).astype(np.uint8)
    places[same] = np.searchsorted(kept, codes[same]).astype(np.uint8) if len(kept) else places[same]
    if not shown.all():
        places[~shown], palette = len(palette), np.append(palette, 0)
    result = Image.fromarray(places, "P")
    result.putpalette(_rgb_of(palette).tobytes())
    if not shown.all():
        result.info["transparency"] = len(palette) - 1
    return result


def _main_colours(codes: npt.NDArray[np.uint32], count: int) -> npt.NDArray[np.uint32]:
    """Return the colours that stand best for others."""
    if not codes.size or count < _FEW:
        return codes[:0]
    row = Image.fromarray(_rgb_of(codes)[None])
    chosen = np.asarray(row.quantize(count, Image.Quantize.MEDIANCUT).convert("RGB"))[0]
    return np.unique((chosen[:, ::-1] @ np.array([1, 256, 65536], np.uint32)).astype(np.uint32))


def _rgb_of(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """Return ``(N, 3)`` RGB of blue + 256 green + 65536 red."""
    return np.stack([codes >> 16 & 255, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)
