"""Read and write pictures; what is written says that it is synthetic."""

import secrets
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from morphstream.artifact.errors import ImageError
from morphstream.frame import Frame, Timed
from morphstream.media.provenance import xmp

FORMATS = (".png", ".jpg", ".jpeg", ".webp")


def read_image(path: Path) -> Frame:
    """Read a picture as ``(H, W, 3)`` uint8 BGR, turned upright; grey becomes BGR, transparency is dropped.

    Raises:
        ImageError: The file is no picture, or can't be read.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        frame = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except OSError as error:
        raise ImageError(f"{path}: expected a picture, seen {error.strerror}; name a PNG, JPEG or WebP") from None
    except cv2.error as error:
        raise ImageError(f"{path}: expected a picture, seen one that OpenCV refuses: {error.err}") from None
    if frame is None:
        raise ImageError(f"{path}: expected a picture, seen {data.size} bytes that are none; name a PNG, JPEG or WebP")
    return frame  # type: ignore[return-value]


def write_image(path: Path, frame: Frame, *, overwrite: bool = True, is_synthetic: bool = True) -> None:
    """Write a picture in the format of its suffix; never seen half-written.

    Args:
        path: Its name.
        frame: ``(H, W, 3)`` uint8 BGR.
        overwrite: Whether a file that is there is replaced.
        is_synthetic: Whether it is marked as synthetic.

    Raises:
        ImageError: The suffix is of no format, or a file is there.
        OSError: It can't be written.
    """
    check_output(path, overwrite=overwrite)
    marks = ([cv2.IMAGE_METADATA_XMP], [xmp(path.suffix)]) if is_synthetic else ([], [])
    done, data = cv2.imencodeWithMetadata(path.suffix, frame, *marks)
    if not done:
        raise ImageError(f"{path}: expected a picture that fits its format, seen {frame.shape}; use .png")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(data.tobytes())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def check_output(path: Path, *, overwrite: bool = True) -> None:
    """Check that a picture can be written under a name.

    Raises:
        ImageError: The suffix is of no format, there is no such folder, or a file that isn't to be replaced.
    """
    if path.is_dir():
        raise ImageError(f"{path}: expected the name of a picture, seen a folder; name a file in it")
    if not path.parent.is_dir():
        raise ImageError(f"{path}: expected a folder to write to, seen no {path.parent}; make it or name another")
    if path.suffix.lower() not in FORMATS:
        raise ImageError(f"{path}: expected a name that ends in one of {', '.join(FORMATS)}, seen {path.suffix!r}")
    if path.exists() and not overwrite:
        raise ImageError(f"{path}: expected no file, seen one; name another, or replace it with --overwrite")


class ImageSource:
    """A picture as a stream of one frame, at time 0."""

    def __init__(self, path: Path) -> None:
        self._unread = [path]

    def read(self) -> Timed[Frame] | None:
        """Return the picture, then None; errors as of `read_image`."""
        return Timed(value=read_image(self._unread.pop()), index=0, time=Fraction(0)) if self._unread else None


class ImageSink:
    """A stream of one frame as a picture; its name is checked at once, as by `check_output`."""

    def __init__(self, path: Path) -> None:
        check_output(path)
        self._path, self._is_written = path, False

    def write(self, frame: Timed[Frame]) -> None:
        """Write the frame; errors as of `write_image`, and ImageError for a second frame."""
        if self._is_written:
            raise ImageError(f"{self._path}: expected one frame for a picture, seen a second; read from a picture")
        write_image(self._path, frame.value)
        self._is_written = True
