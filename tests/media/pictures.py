"""Pictures as people have them: files in each format, with what they carry beside their pixels, made by Pillow."""

import io
import struct
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageCms

from morphstream.media.picture import Pixels

THUMBNAIL = b"\xff\xd8\xff\xd9 the original face"
MAKERS_NOTE = b"a preview of the original face"
IPTC = b"\x1c\x02\x50\x00\x03Ann\x1c\x02\x74\x00\x07(c) Ann"
LOSSLESS = (".png", ".webp", ".tiff")
NAMES = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".avif": "AVIF", ".tiff": "TIFF", ".gif": "GIF"}


@cache
def profile() -> bytes:
    """Return the ICC profile of sRGB, with a byte that makes it our own."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data[:80] + b"OWN!" + data[84:]


def exif(orientation: int) -> Image.Exif:
    """Return EXIF with text, numbers, places, a maker's note, and a picture's size."""
    made = Image.Exif()
    made[0x010F], made[0x0112], made[0x013B] = "Acme", orientation, b"Ann \xc3\x96"
    made[0x8769] = {0x829A: 1 / 125, 0x9003: "2026:01:02 03:04:05", 0x927C: MAKERS_NOTE, 0xA002: 7, 0xA003: 5}
    made[0x8825] = {1: "N", 2: (48.0, 12.0, 30.0)}
    return made


def with_thumbnail(data: bytes) -> bytes:
    """Return EXIF, as of a JPEG, with a second directory that has a thumbnail."""
    tiff = data.removeprefix(b"Exif\0\0")
    (first,) = struct.unpack_from(">I", tiff, 4)
    (count,) = struct.unpack_from(">H", tiff, first)
    place, end = first + 2 + 12 * count, len(tiff)
    entries = [(0x0103, 3, 1, 6 << 16), (0x0201, 4, 1, end + 42), (0x0202, 4, 1, len(THUMBNAIL))]
    second = struct.pack(">H", 3) + b"".join(struct.pack(">HHII", *entry) for entry in entries) + bytes(4)
    return b"Exif\0\0" + tiff[:place] + struct.pack(">I", end) + tiff[place + 4 :] + second + THUMBNAIL


def encoded(suffix: str, pixels: Pixels, orientation: int = 1) -> bytes:
    """Return a picture of 8 bits that shows pixels when it is turned upright, with all that its format can carry."""
    turned = turned_back(pixels, orientation)
    image = Image.fromarray(cv2.cvtColor(turned, cv2.COLOR_BGRA2RGBA if turned.shape[2] == 4 else cv2.COLOR_BGR2RGB))
    options: dict[str, object] = {"icc_profile": profile(), "exif": exif(orientation).tobytes(), "dpi": (300, 300)}
    if suffix == ".jpg":
        resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + bytes(len(IPTC) % 2)
        options["extra"] = b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource
    if suffix in (".jpg", ".webp", ".png"):
        options["exif"] = with_thumbnail(exif(orientation).tobytes())
    if suffix == ".webp":
        options |= {"lossless": True, "exact": True}
    if suffix == ".avif":
        options |= {"quality": 100, "subsampling": "4:4:4"}
    if suffix == ".tiff":
        tags = Image.Exif()
        tags.load(exif(orientation).tobytes())
        tags[33723] = IPTC
        options["exif"] = tags
    file = io.BytesIO()
    image.save(file, NAMES[suffix], **options)
    return file.getvalue()


def turned_back(pixels: Pixels, orientation: int) -> Pixels:
    """Return pixels as they are stored for an orientation of EXIF."""
    stored = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: np.rot90(pixels[:, ::-1]),
        6: np.rot90(pixels),
        7: np.rot90(pixels[:, ::-1], -1),
        8: np.rot90(pixels, -1),
    }
    return np.ascontiguousarray(stored[orientation])


def animated(suffix: str, frames: list[Pixels], durations_ms: list[int], loop: int = 0) -> bytes:
    """Return an animation without loss."""
    images = [Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)) for frame in frames]
    file = io.BytesIO()
    images[0].save(
        file, NAMES[suffix], save_all=True, append_images=images[1:], duration=durations_ms, loop=loop, lossless=True
    )
    return file.getvalue()
