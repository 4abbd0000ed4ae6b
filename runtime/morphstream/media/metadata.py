"""What a picture carries beside its pixels: read, cleaned of what shows or misleads, and handed on.

Kept are the colour profile, EXIF and IPTC. Left out, as they may show the original face: thumbnails, makers' notes and
other previews, and XMP, whose place is that of the mark. EXIF is rewritten with orientation 1, as frames are upright.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageFile

_KEPT = frozenset(  # of IFD 0; the others describe how the pixels are stored, or hold pictures
    (*range(269, 273), 282, 283, 285, 296, 305, 306, 315, 316, 33432, *range(40091, 40096), 18246, 18249)
)
_LEFT_OUT = frozenset((37500, 40965, 59932, 59933))  # maker's note, pointer to Interop, padding
_IPTC = b"8BIM\x04\x04\0\0"  # Source: Adobe, Photoshop file formats, image resource 0x0404
_PNG_COLOURS = (b"cICP", b"gAMA", b"cHRM", b"sRGB")
_MOST_PROFILE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a picture carries beside its pixels.

    Attributes:
        profile: Its ICC profile, of RGB.
        exif: Its EXIF, as a TIFF.
        iptc: Its IPTC records (IIM).
        dpi: Pixels an inch, across and down.
        png_colours: Kind and content of a PNG's chunks that say how to show its numbers.
    """

    profile: bytes | None = None
    exif: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    png_colours: tuple[tuple[bytes, bytes], ...] = ()


def read_metadata(image: ImageFile.ImageFile, data: bytes, size_wh: tuple[int, int]) -> tuple[Metadata, list[str]]:
    """Return the metadata of an opened picture, and what was left out of it, in words.

    Args:
        image: Its pixels are not read.
        data: The file.
        size_wh: Of the upright picture.
    """
    notes = []
    profile = image.info.get("icc_profile") or None
    if profile and (reason := _unfit(profile)):
        notes.append(f"its colour profile is left out: {reason}")
        profile = None
    try:
        exif = _cleaned(image, size_wh)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, SyntaxError, OSError, struct.error):
        notes.append("its EXIF is left out: it is damaged")
        exif = None
    dpi = [float(number) for number in image.info.get("dpi") or ()]
    is_dpi = len(dpi) == 2 and all(0 < number < 1 << 16 for number in dpi)
    metadata = Metadata(
        profile=profile,
        exif=exif,
        iptc=_iptc_of(image),
        dpi=(dpi[0], dpi[1]) if is_dpi else None,
        png_colours=tuple(_png_colours(data)) if image.format == "PNG" and not profile else (),
    )
    return metadata, notes


def orientation_of(image: ImageFile.ImageFile) -> int:
    """Return how EXIF says that a picture is turned, 1..8; 1 where it says nothing that makes sense."""
    try:
        value: object = image.getexif().get(ExifTags.Base.Orientation)
    except (ValueError, TypeError, KeyError, IndexError, SyntaxError, OSError, struct.error):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def iptc_resource(iptc: bytes) -> bytes:
    """Return IPTC as an image resource, as JPEG and PNG hold it."""
    return _IPTC + struct.pack(">I", len(iptc)) + iptc + bytes(len(iptc) % 2)


def _unfit(profile: bytes) -> str | None:
    """Return why a profile doesn't describe 8 or 16 bits of RGB, which is what is written."""
    if len(profile) < 132 or profile[36:40] != b"acsp":
        return "it is damaged"
    if len(profile) > _MOST_PROFILE_BYTES:
        return f"it has {len(profile)} bytes"
    space = profile[16:20].decode("latin-1").strip()
    return None if space == "RGB" else f"it is of {space if space.isalnum() else 'other'} colours, and RGB is written"


def _cleaned(image: ImageFile.ImageFile, size_wh: tuple[int, int]) -> bytes | None:
    """Return EXIF with what may be kept; None where there is nothing."""
    before, after = image.getexif(), Image.Exif()
    for tag in _KEPT.intersection(before):
        after[tag] = before[tag]
    for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        values = {tag: value for tag, value in before.get_ifd(part).items() if tag not in _LEFT_OUT}
        if part == ExifTags.IFD.Exif and {40962, 40963} & values.keys():  # the width and height, once turned
            values |= {40962: size_wh[0], 40963: size_wh[1]}
        if values:
            after[part] = values
    if not after:
        return None
    after[ExifTags.Base.Orientation] = 1
    return after.tobytes().removeprefix(b"Exif\0\0")


def _iptc_of(image: ImageFile.ImageFile) -> bytes | None:
    """Return the IPTC records of a JPEG, TIFF or PNG."""
    found: object = None
    if isinstance(resources := image.info.get("photoshop"), dict):
        found = resources.get(0x0404)
    elif image.format == "TIFF":
        found = image.tag_v2.get(33723)  # type: ignore[attr-defined]
        if isinstance(found, tuple):  # of numbers of 4 bytes
            found = struct.pack(f"<{len(found)}I", *found)
    elif isinstance(text := image.info.get("Raw profile type iptc"), str):
        found = _unhexed(text)
    return found if isinstance(found, bytes) and found else None


def _unhexed(text: str) -> bytes | None:
    """Return the IPTC of a text that ImageMagick's convention wraps: its kind, its length, and hexadecimal digits."""
    try:
        raw = bytes.fromhex("".join(text.split()[2:]))
    except ValueError:
        return None
    place = raw.find(_IPTC)
    if place < 0:
        return raw
    size = int.from_bytes(raw[place + 8 : place + 12], "big")
    return raw[place + 12 : place + 12 + size]


def hexed(iptc: bytes) -> bytes:
    """Return IPTC as the compressed text of a PNG; the inverse of what `read_metadata` does."""
    resource = iptc_resource(iptc)
    text = f"\niptc\n{len(resource):8}\n{resource.hex()}\n".encode()
    return b"Raw profile type iptc\0\0" + zlib.compress(text)


def _png_colours(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks before a PNG's pixels that say what its numbers mean."""
    place = 8
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IDAT":
            return
        if kind in _PNG_COLOURS:
            yield kind, data[place + 8 : place + 8 + size]
        place += 12 + size
