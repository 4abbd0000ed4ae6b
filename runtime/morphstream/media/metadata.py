"""What a picture carries beside its pixels: read, cleaned of what shows or misleads, and handed on.

Kept are the colour profile, EXIF, IPTC, and what XMP says of author, rights and contents. Left out, as they may show
the original face: thumbnails, makers' notes and other previews. Orientation becomes 1, as frames are upright.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import ImageFile

from morphstream.media.exif import clean, read_directory
from morphstream.media.provenance import MARK, mark_with

_IPTC = b"8BIM\x04\x04\0\0"  # Source: Adobe, Photoshop file formats, image resource 0x0404
XMP_IN_GIF = b"!\xff\x0bXMP DataXMP"  # Source: XMP specification, part 3
_PNG_COLOURS = (b"cICP", b"gAMA", b"cHRM", b"sRGB")
_MOST_PROFILE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a picture carries beside its pixels.

    Attributes:
        profile: Its ICC profile, of RGB.
        exif: Its EXIF, as a TIFF.
        iptc: Its IPTC records (IIM).
        mark: The mark of synthetic media, with what stays of its XMP.
        dpi: Pixels an inch, across and down.
        png_colours: Kind and content of a PNG's chunks that say how to show its numbers.
    """

    profile: bytes | None = None
    exif: bytes | None = None
    iptc: bytes | None = None
    mark: bytes = MARK
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
    exif = iptc = None
    try:
        exif = clean(found, size_wh) if (found := _exif_in_file(image, data)) else None
        iptc = _iptc_of(image, data)
    except (ValueError, struct.error):
        notes.append("its EXIF is left out: it is damaged")
    mark = MARK
    try:
        mark = mark_with(xmp) if (xmp := xmp_of(image, data)) else MARK
    except (ValueError, struct.error):
        notes.append("its XMP is left out: it is damaged, or too long")
    dpi = [float(number) for number in image.info.get("dpi") or ()]
    is_dpi = len(dpi) == 2 and all(0 < number < 1 << 16 for number in dpi)
    metadata = Metadata(
        profile=profile,
        exif=exif,
        iptc=iptc,
        mark=mark,
        dpi=(dpi[0], dpi[1]) if is_dpi else None,
        png_colours=tuple(_png_colours(data)) if image.format == "PNG" and not profile else (),
    )
    return metadata, notes


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


def exif_of(image: ImageFile.ImageFile, data: bytes) -> bytes | None:
    """Return the EXIF of an opened picture as a TIFF, as it is in the file; a TIFF is its own."""
    if image.format == "TIFF":
        return data
    found: object = image.info.get("exif")
    if isinstance(text := image.info.get("Raw profile type exif"), str) and not found:  # ImageMagick's, in a PNG
        found = _unhexed(text)
    return found.removeprefix(b"Exif\0\0") if isinstance(found, bytes) and found else None


def _exif_in_file(image: ImageFile.ImageFile, data: bytes) -> bytes | None:
    """Return what `exif_of` does, but as it is in an AVIF: Pillow writes that anew where it notes the orientation."""
    found = exif_of(image, data)
    if found and image.format == "AVIF":
        _, kinds, parts = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        own = dict(zip(kinds, parts, strict=True)).get(cv2.IMAGE_METADATA_EXIF)
        return found if own is None else own.tobytes().removeprefix(b"Exif\0\0")
    return found


def _iptc_of(image: ImageFile.ImageFile, data: bytes) -> bytes | None:
    """Return the IPTC records of a JPEG, TIFF or PNG."""
    found: object = None
    if isinstance(resources := image.info.get("photoshop"), dict):
        found = resources.get(0x0404)
    elif image.format == "TIFF":
        entry = read_directory(data).get(33723)
        found = entry.data if entry else None
    elif isinstance(text := image.info.get("Raw profile type iptc"), str):
        found = _unwrapped(_unhexed(text))
    return found if isinstance(found, bytes) and found else None


def xmp_of(image: ImageFile.ImageFile, data: bytes) -> bytes | None:
    """Return the XMP packet of an opened picture; errors as of `read_directory`."""
    if image.format == "GIF":
        return data.partition(XMP_IN_GIF)[2].partition(b"\x01\xff\xfe")[0] or None
    if image.format == "TIFF":
        entry = read_directory(data).get(700)
        return entry.data if entry else None
    found: object = image.info.get("xmp")
    return found if isinstance(found, bytes) else None


def _unhexed(text: str) -> bytes:
    """Return the bytes in a PNG's text of ImageMagick's convention: their kind, their number, hexadecimal digits."""
    try:
        return bytes.fromhex("".join(text.split()[2:]))
    except ValueError:
        return b""


def _unwrapped(resource: bytes) -> bytes:
    """Return IPTC without the image resource around it, if there is one."""
    place = resource.find(_IPTC)
    size = int.from_bytes(resource[place + 8 : place + 12], "big")
    return resource if place < 0 else resource[place + 12 : place + 12 + size]


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
