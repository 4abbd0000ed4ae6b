"""Encode pixels in each format, with the picture's metadata and the mark.

Conventions, of each encoder: ``picture`` brings what is kept beside the pixels, and says whether it is an animation;
``pixels`` are those to write, one array a frame; ``mark`` is an XMP packet or None. The file is returned.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from morphstream.media.exif import BYTE, LONG, RATIONAL, SHORT, UNDEFINED, Entry, nested, order_of, write_tiff
from morphstream.media.metadata import hexed, iptc_resource
from morphstream.media.picture import Picture, Pixels, converted

_PNG_HEADER_BYTES = 33  # signature and IHDR
_TIFF_PROFILE, _TIFF_IPTC, _TIFF_XMP = 34675, 33723, 700
_DEFLATE, _DIFFERENCES, _RGB, _UNASSOCIATED_ALPHA, _INCHES = 8, 2, 2, 2, 2


def encode_png(picture: Picture, pixels: Sequence[Pixels], mark: bytes | None) -> bytes:
    """Return a PNG. Source: PNG specification, third edition; of the texts, XMP's and ImageMagick's."""
    if picture.is_animated:
        options = {"compress_level": 1, "loop": _plays(picture)}
        data = saved("PNG", _images(pixels), picture, options)
    else:
        data = cv2.imencode(".png", pixels[0])[1].tobytes()
    metadata = picture.metadata
    chunks = list(metadata.png_colours)
    if metadata.profile:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.profile)))
    if metadata.dpi:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(number / 0.0254) for number in metadata.dpi), 1)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.iptc:
        chunks.append((b"zTXt", hexed(metadata.iptc)))
    if mark:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + mark))
    sealed = [struct.pack(">I", len(body)) + kind + body + _crc(kind + body) for kind, body in chunks]
    return data[:_PNG_HEADER_BYTES] + b"".join(sealed) + data[_PNG_HEADER_BYTES:]


def encode_jpeg(picture: Picture, pixels: Sequence[Pixels], mark: bytes | None) -> bytes:
    """Return a JPEG, as good as the one that was read."""
    options: dict[str, object] = {"quality": 95}
    if style := picture.style:
        options = {"qtables": [list(table) for table in style.tables], "subsampling": style.sampling}
    metadata = picture.metadata
    if metadata.iptc:
        body = b"Photoshop 3.0\0" + iptc_resource(metadata.iptc)
        options["extra"] = b"\xff\xed" + struct.pack(">H", len(body) + 2) + body
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    options |= {"icc_profile": metadata.profile, "dpi": metadata.dpi or (0, 0), "xmp": mark}
    return saved("JPEG", _images(pixels), picture, options)


def encode_webp(picture: Picture, pixels: Sequence[Pixels], mark: bytes | None) -> bytes:
    """Return a WebP without loss."""
    effort = {"lossless": True, "quality": 50, "method": 1, "exact": True}
    metadata = {"icc_profile": picture.metadata.profile, "exif": picture.metadata.exif or b"", "xmp": mark or b""}
    options = {**effort, **metadata, "loop": _plays(picture), "background": (0, 0, 0, 0)}
    return saved("WEBP", _images(pixels), picture, options)


def encode_avif(picture: Picture, pixels: Sequence[Pixels], mark: bytes | None) -> bytes:
    """Return an AVIF, without loss where a colour has more than 8 bits."""
    metadata = picture.metadata
    if picture.is_animated:
        exif = {"exif": b"Exif\0\0" + metadata.exif} if metadata.exif else {}
        options = {"quality": 90, "speed": 9, "icc_profile": metadata.profile, "xmp": mark, **exif}
        return saved("AVIF", _images(pixels), picture, {**options, "duration": durations_in(1, picture)})
    parts = {cv2.IMAGE_METADATA_ICCP: metadata.profile, cv2.IMAGE_METADATA_EXIF: metadata.exif}
    held = {kind: part for kind, part in {**parts, cv2.IMAGE_METADATA_XMP: mark}.items() if part}
    own = pixels[0] >> (16 - picture.bits) if picture.bits > 8 else pixels[0]
    depth = [cv2.IMWRITE_AVIF_QUALITY, 100 if picture.bits > 8 else 95, cv2.IMWRITE_AVIF_DEPTH, picture.bits]
    contents = [np.frombuffer(part, np.uint8) for part in held.values()]
    is_done, data = cv2.imencodeWithMetadata(".avif", own, list(held), contents, depth)
    if not is_done:
        raise ValueError("AVIF: expected pixels that can be encoded, seen others")
    return data.tobytes()


def encode_tiff(picture: Picture, pixels: Sequence[Pixels], mark: bytes | None) -> bytes:
    """Return a TIFF of one strip. Source: TIFF 6.0, with Adobe's deflate."""
    metadata, own = picture.metadata, _rgb(pixels[0])
    order = order_of(metadata.exif) if metadata.exif else "<"
    height, width, channels = own.shape
    own[:, 1:] -= own[:, :-1].copy()
    strip = zlib.compress(own.astype(own.dtype.newbyteorder(order), copy=False).tobytes(), 1)

    def numbers(kind: int, *values: int) -> Entry:
        return Entry(kind, struct.pack(f"{order}{len(values)}{'H' if kind == SHORT else 'I'}", *values))

    directory = nested(metadata.exif) if metadata.exif else {}
    if metadata.dpi:
        directory[282], directory[283] = (numbers(RATIONAL, round(1000 * dpi), 1000) for dpi in metadata.dpi)
        directory[296] = numbers(SHORT, _INCHES)
    directory[256], directory[257] = numbers(LONG, width), numbers(LONG, height)
    directory[258] = numbers(SHORT, *(8 * own.itemsize,) * channels)
    directory[259], directory[262] = numbers(SHORT, _DEFLATE), numbers(SHORT, _RGB)
    directory[277], directory[278] = numbers(SHORT, channels), numbers(LONG, height)
    directory[279], directory[317] = numbers(LONG, len(strip)), numbers(SHORT, _DIFFERENCES)
    if channels == 4:
        directory[338] = numbers(SHORT, _UNASSOCIATED_ALPHA)
    for tag, part in ((_TIFF_PROFILE, metadata.profile), (_TIFF_IPTC, metadata.iptc), (_TIFF_XMP, mark)):
        if part:
            directory[tag] = Entry(BYTE if tag == _TIFF_XMP else UNDEFINED, part)
    place = len(write_tiff({**directory, 273: numbers(LONG, 0)}, order))  # where the strip begins
    return write_tiff({**directory, 273: numbers(LONG, place)}, order) + strip


def saved(name: str, images: Sequence[Image.Image], picture: Picture, options: Mapping[str, object]) -> bytes:
    """Return what Pillow writes of one frame or more in a format; `options` are those of that format."""
    file, given = BytesIO(), {key: value for key, value in options.items() if value is not None}
    if picture.is_animated:
        given = {"save_all": True, "append_images": images[1:], "duration": list(picture.durations_ms), **given}
    images[0].save(file, name, **given)
    return file.getvalue()


def durations_in(unit_ms: int, picture: Picture) -> list[int]:
    """Return durations as whole numbers of a unit, in milliseconds; what is rounded off one is added to a later one."""
    ends = np.rint(np.cumsum([0, *picture.durations_ms]) / unit_ms).astype(int)
    return [int(duration) * unit_ms for duration in np.diff(ends)]


def _images(pixels: Sequence[Pixels]) -> list[Image.Image]:
    return [Image.fromarray(_rgb(own)) for own in pixels]


def _rgb(pixels: Pixels) -> Pixels:
    return converted(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def _plays(picture: Picture) -> int:
    """Return how often an animation is played, 0 without end."""
    return 1 if picture.loops is None else picture.loops


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))
