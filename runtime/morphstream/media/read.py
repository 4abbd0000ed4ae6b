"""Read pictures, whole and bounded: what a file declares is checked before a pixel of it is decoded."""

import re
import struct
import warnings
import zlib
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image, ImageFile

from morphstream.artifact.errors import ImageError
from morphstream.artifact.regular_file import read_regular
from morphstream.media.exif import orientation_of
from morphstream.media.kinds import is_address, kind_of
from morphstream.media.metadata import exif_of, read_metadata, xmp_of
from morphstream.media.picture import JpegStyle, Picture, Pixels, converted

T = TypeVar("T")
MAX_PIXELS = 120_000_000
READABLE = "PNG, JPEG, WebP, AVIF, TIFF, GIF or HEIC"
_VIDEO_ADVICE = "take one of its pictures: ffmpeg -i VIDEO -frames:v 1 PICTURE.png"
_HEIC = "pi_heif.as_plugin"
_OPENERS = (  # what a file begins with, and what opens it; of a JPEG of several pictures that is the first
    (rb"\xff\xd8\xff", "PIL.JpegImagePlugin", "JpegImageFile"),
    (rb"\x89PNG\r\n\x1a\n", "PIL.PngImagePlugin", "PngImageFile"),
    (rb"RIFF....WEBP", "PIL.WebPImagePlugin", "WebPImageFile"),
    (rb"....ftyp(avif|avis|(mif1|msf1)(....)+?avi[fs])", "PIL.AvifImagePlugin", "AvifImageFile"),
    (rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", _HEIC, "HeifImageFile"),
    (rb"II[*+]\0|MM\0[*+]", "PIL.TiffImagePlugin", "TiffImageFile"),
    (rb"GIF8[79]a", "PIL.GifImagePlugin", "GifImageFile"),
    (rb"BM", "PIL.BmpImagePlugin", "BmpImageFile"),
    (rb"P[1-6]\s", "PIL.PpmImagePlugin", "PpmImageFile"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
)
_MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"))
_ANIMATED = frozenset(("GIF", "PNG", "WEBP", "AVIF"))
_MOST_PIXELS_A_BYTE = {"GIF": 50}  # of a frame above a million pixels; with more there is no face in it
_MOST_PIXELS_A_BYTE_ELSE = 1000
_DAMAGED = (  # what Pillow raises of bytes that are no picture
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error, zlib.error, cv2.error, Image.DecompressionBombError,
)  # fmt: skip


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture or an animation, upright.

    Args:
        path: A regular file; a link is followed.
        max_pixels: Of all frames together; one that declares more is refused before it is decoded.

    Raises:
        ImageError: The file is no picture, is larger, or can't be read.
    """
    return _opened(path, max_pixels, _read)


def picture_from(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Return a picture or an animation from the bytes of its file, upright; `name` is its name in errors.

    Raises:
        ImageError: They are no picture, are a larger one, or can't be read.
    """
    return _read_from(data, name, max_pixels, _read)


def read_xmp(path: Path, *, max_pixels: int = MAX_PIXELS) -> tuple[str, bytes | None]:
    """Return the format of a picture, and the XMP packet that it holds; arguments and errors as of `read_picture`."""

    def read(image: ImageFile.ImageFile, data: bytes, max_pixels: int) -> tuple[str, bytes | None]:
        if image.format == "PNG":
            _check_size(image, 1, len(data), max_pixels)
            image.load()  # to its end, where others put their XMP
        return image.format or "unknown", xmp_of(image, data)

    return _opened(path, max_pixels, read)


def is_picture(head: bytes) -> bool:
    """Return whether what a file begins with is that of a picture that can be read."""
    return any(re.match(begin, head[:64], re.DOTALL) for begin, _, _ in _OPENERS)


def _opened(path: Path, max_pixels: int, read: Callable[[ImageFile.ImageFile, bytes, int], T]) -> T:
    """Return what a function reads of an opened picture, its bytes and its limit; errors as of `read_picture`."""
    try:
        data = read_regular(path, 8 * max_pixels + (1 << 24))
    except OSError as error:
        if is_address(str(path)) and not path.exists():
            raise ImageError(f"{path}: expected a picture's file, seen an address; download it first") from None
        raise ImageError(f"{path}: expected a picture, seen {error.strerror}; name a {READABLE}") from None
    return _read_from(data, str(path), max_pixels, read)


def _read_from(data: bytes, name: str, max_pixels: int, read: Callable[[ImageFile.ImageFile, bytes, int], T]) -> T:
    open_image = _opener_of(name, data)
    try:
        with warnings.catch_warnings():  # Pillow's, of what can be read nevertheless
            warnings.simplefilter("ignore")
            with open_image(BytesIO(data)) as image:
                return read(image, data, max_pixels)
    except _DAMAGED as error:
        seen = " ".join(str(error).split())[:200] or type(error).__name__
        expected = f"{name}: expected a picture, seen {len(data)} bytes that are no whole one"
        raise ImageError(f"{expected} ({seen}); name a {READABLE}") from None
    except _UnfitError as error:
        raise ImageError(f"{name}: expected {error}") from None


class _UnfitError(Exception):
    """A picture that isn't read; its message says what was expected, what was seen and what to do."""


def _opener_of(name: str, data: bytes) -> Callable[[BytesIO], ImageFile.ImageFile]:
    """Return what opens a file, by its first bytes and not its name."""
    for begin, module, opener_name in _OPENERS:
        if re.match(begin, data[:64], re.DOTALL):
            try:
                found = import_module(module)
            except ModuleNotFoundError:
                seen = "seen HEIC without its reader; run: pip install 'morphstream[heic]', or convert it to JPEG"
                raise ImageError(f"{name}: expected a picture that can be read, {seen}") from None
            opener: Callable[[BytesIO], ImageFile.ImageFile] = getattr(found, opener_name)
            return opener
    kind = kind_of(data)
    advice = _VIDEO_ADVICE if kind == "a video" else f"name a {READABLE}"
    raise ImageError(f"{name}: expected a picture, seen {kind or f'{len(data)} bytes that are none'}; {advice}")


def _read(image: ImageFile.ImageFile, data: bytes, max_pixels: int) -> Picture:
    """Read an opened picture whose pixels aren't decoded yet."""
    if image.format == "PNG" and b"IEND" not in data:
        raise EOFError("its end is missing")
    count = getattr(image, "n_frames", 1) if image.format in _ANIMATED | {"TIFF"} else 1
    first = 1 if count > 1 and image.info.get("default_image") else 0  # a still for those who can't show the animation
    pages = 1 if image.format == "TIFF" else count
    _check_size(image, pages, len(data), max_pixels)
    bits, style = _bits_of(image, data), _style_of(image)
    pixels, durations_ms = [], list[float]()
    for number in range(first, pages):
        if pages > 1:
            image.seek(number)
        own = _decode(image, data, has_alpha=pages > 1) if bits == 8 else _decode_deep(image, data, bits)
        pixels.append(np.ascontiguousarray(_turn_of(image, data)(own)))  # a PNG's EXIF may stand behind its pixels
        durations_ms.append(float(image.info.get("duration") or 0))
    height, width = pixels[0].shape[:2]
    metadata, notes = read_metadata(image, data, (width, height))
    picture = Picture(
        pixels=pixels,
        bits=bits,
        durations_ms=durations_ms if len(pixels) > 1 else (),
        loops=image.info.get("loop"),
        metadata=metadata,
        style=style,
        notes=[*notes, *([f"{count - pages} more pages are left out"] if count > pages else [])],
    )
    return picture if pages == 1 or picture.is_transparent else picture.without_alpha()


def _check_size(image: ImageFile.ImageFile, frames: int, size: int, max_pixels: int) -> None:
    """Refuse what would take too much memory, and colours that aren't 8 or 16 bits of a kind that is known."""
    width, height = image.size
    count = width * height * frames
    seen = f"{width} x {height}" + (f" in {frames} frames" if frames > 1 else "")
    if count > max_pixels:
        raise _UnfitError(f"at most {max_pixels} pixels, seen {seen}; make it smaller, or say --max-pixels {count}")
    if width * height > max(_MOST_PIXELS_A_BYTE.get(image.format or "", _MOST_PIXELS_A_BYTE_ELSE) * size, 1 << 20):
        raise _UnfitError(f"a whole picture, seen {seen} pixels claimed by {size} bytes; fetch it again")
    if image.mode not in _MODES and not image.mode.startswith("I;16"):
        raise _UnfitError(f"colours of 8 or 16 bits, seen Pillow's mode {image.mode}; convert it to RGB")


def _turn_of(image: ImageFile.ImageFile, data: bytes) -> Callable[[Pixels], Pixels]:
    """Return what turns decoded pixels upright; what decodes TIFF and HEIC has done so."""
    turns: dict[int, Callable[[Pixels], Pixels]] = {
        2: lambda pixels: pixels[:, ::-1],
        3: lambda pixels: pixels[::-1, ::-1],
        4: lambda pixels: pixels[::-1],
        5: lambda pixels: pixels.swapaxes(0, 1),
        6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
        7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
        8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
    }
    exif = exif_of(image, data) if image.format not in ("TIFF", "HEIF") else None
    return turns.get(orientation_of(exif or b""), lambda pixels: pixels)


def _bits_of(image: ImageFile.ImageFile, data: bytes) -> int:
    """Return how many bits a colour has: 8, which stands for fewer, too, or 10, 12 or 16."""
    if image.format == "AVIF":
        place = data.find(b"av1C")  # Source: AV1 in ISO base media, 2.3: high_bitdepth and twelve_bit
        flags = data[place + 6] if 0 <= place < len(data) - 6 else 0
        return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
    if image.format == "HEIF":
        return int(image.info["bit_depth"])
    return 16 if image.mode.startswith("I;16") or any(";16" in str(tile.args) for tile in image.tile) else 8


def _decode(image: ImageFile.ImageFile, data: bytes, *, has_alpha: bool) -> Pixels:
    """Return the pixels of 8 bits of the frame that an image is at."""
    if image.format == "JPEG" and image.mode in ("L", "RGB"):  # with the same library in half of Pillow's time
        return _by_opencv(data, cv2.IMREAD_COLOR)
    if has_alpha or image.has_transparency_data:
        return converted(np.asarray(image.convert("RGBA")), cv2.COLOR_RGBA2BGRA)
    return converted(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)


def _decode_deep(image: ImageFile.ImageFile, data: bytes, bits: int) -> Pixels:
    """Return pixels of more than 8 bits, which Pillow would cut to 8."""
    if image.format == "HEIF":
        heif = import_module(_HEIC.partition(".")[0]).open_heif(BytesIO(data), convert_hdr_to_8bit=False, bgr_mode=True)
        return np.array(heif)  # a copy, as its memory goes with it
    if image.mode == "CMYK":
        raise _UnfitError("RGB of 16 bits, seen CMYK; convert it to RGB")
    if image.format == "PNG":
        image.load()  # its metadata to the end
    pixels = _by_opencv(data, cv2.IMREAD_UNCHANGED)
    if pixels.dtype != np.uint16:
        raise _UnfitError(f"a picture of {bits} bits that OpenCV reads, seen another; convert it to a PNG")
    if pixels.ndim == 2:
        pixels = converted(pixels, cv2.COLOR_GRAY2BGR)
    return pixels if bits == 16 else pixels << (16 - bits) | pixels >> (2 * bits - 16)


def _by_opencv(data: bytes, kind: int) -> Pixels:
    pixels: Pixels | None = cv2.imdecode(np.frombuffer(data, np.uint8), kind | cv2.IMREAD_IGNORE_ORIENTATION)  # type: ignore[assignment]
    if pixels is None:
        raise ValueError("damaged")
    return pixels


def _style_of(image: ImageFile.ImageFile) -> JpegStyle | None:
    """Return how a JPEG of three colours was encoded."""
    if image.format != "JPEG" or image.mode != "RGB":
        return None
    from PIL.JpegImagePlugin import JpegImageFile, get_sampling

    sampling = get_sampling(image)
    if not isinstance(image, JpegImageFile) or sampling < 0:
        return None
    return JpegStyle(tables=tuple(tuple(table) for table in image.quantization.values()), sampling=sampling)
