"""Encode pictures, with all that they brought and the mark that says that they are synthetic."""

import struct
from collections.abc import Sequence
from dataclasses import replace

import cv2

from morphstream.artifact.errors import ImageError
from morphstream.frame import Frame
from morphstream.media import formats
from morphstream.media.gif import encode_gif
from morphstream.media.metadata import Metadata
from morphstream.media.picture import Picture, frame_of, with_frame

_ENCODERS = {
    ".png": formats.encode_png,
    ".jpg": formats.encode_jpeg,
    ".jpeg": formats.encode_jpeg,
    ".webp": formats.encode_webp,
    ".avif": formats.encode_avif,
    ".tiff": formats.encode_tiff,
    ".tif": formats.encode_tiff,
    ".gif": encode_gif,
}
FORMATS = tuple(_ENCODERS)
_MOST_BITS = {".png": 16, ".tiff": 16, ".tif": 16, ".avif": 12}
_STILLS = (".jpg", ".jpeg", ".tiff", ".tif")
_OPAQUE = (".jpg", ".jpeg")
_MOST_SEGMENT_BYTES = 65_000  # of a JPEG's EXIF and IPTC
_HELD = {".gif": (), ".webp": ("profile", "exif"), ".avif": ("profile", "exif")}
_NAMES = {"profile": "colour profile", "exif": "EXIF", "iptc": "IPTC"}


def check_fits(suffix: str, picture: Picture) -> None:
    """Check that a format can hold a picture.

    Raises:
        ImageError: It would lose frames, transparency or bits.
    """
    if picture.is_animated and suffix in _STILLS:
        seen = f"seen an animation of {len(picture.pixels)} frames; name a .webp, .png, .gif or .avif"
        raise ImageError(f"expected one frame for {suffix}, {seen}")
    if suffix in _OPAQUE and picture.is_transparent:
        raise ImageError(f"expected no transparency for {suffix}, seen some; name a .png, .webp, .avif or .tiff")
    if picture.bits > (most := _MOST_BITS.get(suffix, 8)):
        seen = f"expected {most} bits a colour for {suffix}, seen {picture.bits}"
        raise ImageError(f"{seen}; name a .png or .tiff, or convert the picture to {most} bits first")


def encode(suffix: str, picture: Picture, frames: Sequence[Frame], *, is_synthetic: bool) -> tuple[bytes, list[str]]:
    """Return a file's bytes, and what of the picture its format can't hold, in words.

    Args:
        suffix: One of `FORMATS`.
        picture: As it was read.
        frames: Its frames, swapped.
        is_synthetic: Whether it gets the mark of synthetic media.

    Raises:
        ImageError: As of `check_fits`, or a side is too long for the format.
    """
    check_fits(suffix, picture)
    if suffix in _OPAQUE:
        picture = picture.without_alpha()
    pixels = [with_frame(own, frame_of(own), frame) for own, frame in zip(picture.pixels, frames, strict=True)]
    metadata, notes = _held(suffix, picture.metadata)
    try:
        data = _ENCODERS[suffix](
            replace(picture, metadata=metadata), pixels, picture.metadata.mark if is_synthetic else None
        )
    except (OSError, ValueError, OverflowError, struct.error, cv2.error):
        seen = f"{pixels[0].shape[1]} x {pixels[0].shape[0]}"
        raise ImageError(f"expected a picture that fits its format, seen {seen}; use .png") from None
    return data, notes


def _held(suffix: str, metadata: Metadata) -> tuple[Metadata, list[str]]:
    """Return what of metadata a format holds, and what it doesn't, in words."""
    lost = {name for name in _NAMES if getattr(metadata, name) and name not in _HELD.get(suffix, tuple(_NAMES))}
    if suffix in _OPAQUE:
        lost |= {name for name in ("exif", "iptc") if len(getattr(metadata, name) or b"") > _MOST_SEGMENT_BYTES}
    notes = [f"its {_NAMES[name]} is left out, which {suffix} can't hold" for name in sorted(lost)]
    profile, exif, iptc = (None if name in lost else getattr(metadata, name) for name in _NAMES)
    return replace(metadata, profile=profile, exif=exif, iptc=iptc), notes
