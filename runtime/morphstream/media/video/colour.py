"""Convert decoded pictures to frames and back, by their own matrix, range and depth.

Conventions, here and in the other modules of this folder:

* A picture is PyAV's: planes of a pixel format, as coded, that is not yet upright. It is *planar* if each colour has a
  plane of its own, of little-endian numbers: yuv420p, yuv422p10le, gray, gbrp and their like.
* A matrix and a range are numbers as FFmpeg has them (AVColorSpace, AVColorRange).
"""

import re
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

from morphstream.artifact.errors import VideoError
from morphstream.frame import Frame

Plane = npt.NDArray[np.integer]

BT709, BT601, BT2020 = 1, 5, 9
_LIMITED, _FULL = 1, 2
LINES_OF_HD = 720  # from here on players take an untagged picture for BT.709
_MATRICES = {0: BT709, 1: BT709, 4: 4, 5: BT601, 6: BT601, 7: 7, 9: BT2020, 10: BT2020}  # as swscale numbers them
_UNKNOWN_MATRICES = {8: "YCgCo", 11: "YDzDx", 12: "chromaticity-derived", 13: "chromaticity-derived", 14: "ICtCp"}
_PLANAR = re.compile(r"(yuvj?a?4[0-4][0-4]p|gray|gbra?p)((9|10|12|14|16)le)?")


def matrix_of(picture: av.VideoFrame) -> int:
    """Return the matrix of a picture's colours; one that isn't tagged has what players take for it.

    Raises:
        VideoError: It is none that is known, such as ICtCp.
    """
    tagged = picture.colorspace
    if tagged in _UNKNOWN_MATRICES:
        seen = f"seen {_UNKNOWN_MATRICES[tagged]}"
        raise VideoError(f"expected colours in RGB, BT.601, BT.709 or BT.2020, {seen}; convert the video first")
    return _MATRICES.get(tagged, BT709 if picture.height >= LINES_OF_HD else BT601)


def range_of(picture: av.VideoFrame) -> int:
    """Return whether a picture's numbers are of the limited range (1) or the full one (2)."""
    name = picture.format.name
    is_full = picture.color_range == _FULL or (name.startswith("gray") and picture.color_range != _LIMITED)
    return _FULL if is_full or picture.format.is_rgb or name.startswith("yuvj") else _LIMITED


def planar_format(picture_format: av.VideoFormat) -> str:
    """Return the name of the planar format that holds all of another; the same if it is planar."""
    if _PLANAR.fullmatch(picture_format.name):
        return picture_format.name
    components = picture_format.components
    bits = max(component.bits for component in components)
    depth = next((f"{most}le" for most in (9, 10, 12, 14, 16) if bits <= most), "16le") if bits > 8 else ""
    alpha = "a" if any(component.is_alpha for component in components) else ""
    is_rgb = picture_format.is_rgb or picture_format.has_palette or picture_format.name.startswith("xyz")
    if is_rgb or len(components) == 2:  # gray and alpha have no planar format of their own
        return f"gbr{alpha}p{depth}"
    if len(components) == 1:
        return f"gray{depth}"
    wide, high = Fraction(64, picture_format.chroma_width(64)), Fraction(64, picture_format.chroma_height(64))
    sampling = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411", (4, 4): "410"}
    return f"yuv{alpha}{sampling[int(wide), int(high)]}p{depth}"


def converted(
    picture: av.VideoFrame,
    pixel_format: str,
    *,
    size_wh: tuple[int, int] | None = None,
    tags: tuple[int, int] | None = None,
) -> av.VideoFrame:
    """Return a picture in another pixel format with its colours, times and tags; the same if nothing is to be done.

    Args:
        picture: Not modified.
        pixel_format: As FFmpeg names it.
        size_wh: Of the picture that is returned, in pixels; that of the picture for none.
        tags: The matrix and the range that it is to have; those of the picture for none.

    Raises:
        VideoError: Its colours are of a kind that isn't known.
    """
    matrix, own = matrix_of(picture), range_of(picture)
    width, height = size_wh or (picture.width, picture.height)
    is_resized = (width, height) != (picture.width, picture.height)
    becomes_rgb = av.VideoFormat(pixel_format).is_rgb
    is_full = becomes_rgb or pixel_format.startswith("yuvj")
    new = picture.reformat(
        width=width,
        height=height,
        format=pixel_format,
        # what is sampled less is repeated, and comes back as it was
        interpolation=Interpolation.BICUBIC if is_resized else Interpolation.POINT,
        src_colorspace=matrix,
        dst_colorspace=tags[0] if tags else matrix,
        src_color_range=own,
        dst_color_range=_FULL if is_full else tags[1] if tags else own,
        threads=1,
    )
    if tags is None and becomes_rgb == picture.format.is_rgb:  # what isn't tagged stays so
        new.colorspace, new.color_range = picture.colorspace, picture.color_range
    return new


def bgr_of(picture: av.VideoFrame) -> Frame:
    """Return a picture's pixels ``(H, W, 3)`` uint8 BGR, as coded; an array of its own.

    Raises:
        VideoError: Its colours are of a kind that isn't known.
    """
    plane = converted(picture, "bgr24").planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:, : 3 * plane.width]
    return np.ascontiguousarray(rows).reshape(plane.height, plane.width, 3)


def planes_of(picture: av.VideoFrame) -> list[Plane]:
    """Return views of a planar picture's colours, without its alpha: Y, U, V, or G, B, R, or Y."""
    found = list[Plane]()
    for plane, component in zip(picture.planes, picture.format.components, strict=False):
        if component.is_alpha:
            break
        size = 2 if component.bits > 8 else 1
        rows: Plane = np.frombuffer(memoryview(plane), f"<u{size}").reshape(plane.height, plane.line_size // size)
        found.append(rows[:, : plane.width])
    return found


def full_planes(frame: Frame, like: av.VideoFrame) -> list[Plane]:
    """Return the colours of BGR pixels as a planar picture has them, but each plane at full size.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR, of any size.
        like: A planar picture.
    """
    picture = av.VideoFrame.from_ndarray(frame, format="bgr24")
    full = re.sub(r"yuvj?a?4..p", "yuv444p", like.format.name).replace("gbrap", "gbrp")
    matrix = matrix_of(like)
    return planes_of(
        picture.reformat(
            format=full,
            interpolation=Interpolation.POINT,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=_FULL,
            dst_color_range=range_of(like),
            threads=1,
        )
    )
