"""Read and write pictures; what is written says that it is synthetic."""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np

from morphstream.artifact.errors import ImageError
from morphstream.artifact.regular_file import kind_of, real_path
from morphstream.artifact.staged import staged_file
from morphstream.frame import Frame, Timed
from morphstream.media.encode import FORMATS, encode
from morphstream.media.picture import Picture, frame_of
from morphstream.media.provenance import is_ours
from morphstream.media.read import MAX_PIXELS, read_picture


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Frame:
    """Return a picture, or an animation's first frame, as a frame; arguments and errors as of `read_picture`."""
    return frame_of(read_picture(path, max_pixels=max_pixels).pixels[0])


def write_image(path: Path, frame: Frame, *, overwrite: bool = False, is_synthetic: bool = True) -> None:
    """Write a frame; arguments and errors as of `write_picture`."""
    picture = Picture(pixels=[np.ascontiguousarray(frame)])
    write_picture(path, picture, picture.pixels, overwrite=overwrite, is_synthetic=is_synthetic)  # type: ignore[arg-type]


def write_picture(
    path: Path, picture: Picture, frames: Sequence[Frame], *, overwrite: bool = False, is_synthetic: bool = True
) -> list[str]:
    """Write a picture in the format of its suffix; never seen half-written.

    Args:
        path: Where a link is, what it leads to is written; what is replaced keeps its mode and owner.
        picture: As it was read.
        frames: Its frames, swapped.
        overwrite: Whether a file that is there is replaced, even if it isn't a picture with our mark.
        is_synthetic: Whether it is marked as synthetic.

    Returns:
        What of the picture the format can't hold, in words.

    Raises:
        ImageError: As of `check_output` and `encode`.
        OSError: It can't be written.
    """
    check_output(path, overwrite=overwrite)
    try:
        data, notes = encode(path.suffix.lower(), picture, frames, is_synthetic=is_synthetic)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    place = real_path(path)
    with staged_file(place) as file:
        with suppress(FileNotFoundError):
            _keep_owner_and_mode(file.fileno(), place.stat())
        file.write(data)
    return notes


def check_output(path: Path, *, overwrite: bool = False, inputs: Sequence[Path] = ()) -> None:
    """Check that a picture can be written under a name.

    Args:
        path: The name.
        overwrite: Whether a file that is there may be replaced; if not, a picture with our mark may, unless it is an
            input.
        inputs: Pictures that aren't replaced under another name than their own.

    Raises:
        ImageError: The suffix is of no format, there is no such folder, or what is there is to stay.
    """
    place = real_path(path)
    if path.is_dir():
        raise ImageError(f"{path}: expected the name of a picture, seen a folder; name a file in it")
    if not place.parent.is_dir():
        raise ImageError(f"{path}: expected a folder to write to, seen no {place.parent}; make it or name another")
    if path.suffix.lower() not in FORMATS:
        raise ImageError(f"{path}: expected a name that ends in one of {', '.join(FORMATS)}, seen {path.suffix!r}")
    if not path.exists():
        return
    if not stat.S_ISREG(mode := path.stat().st_mode):
        raise ImageError(f"{path}: expected no file, or a picture to replace, seen {kind_of(mode)}; name another")
    is_input = any(given.exists() and given.samefile(path) for given in inputs)
    if not overwrite and (is_input or not is_ours(path)):
        raise ImageError(f"{path}: expected no file, seen one; name another, or replace it with --overwrite")
    for given in inputs:
        if given.exists() and given.samefile(path) and os.path.abspath(given) != os.path.abspath(path):  # noqa: PTH100 - as named
            raise ImageError(f"{path}: expected another file than the input, seen {given} itself; name another")


def _keep_owner_and_mode(descriptor: int, before: os.stat_result) -> None:
    now = os.fstat(descriptor)
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        with suppress(PermissionError):  # another's file in a folder of ours: replaced, with our owner
            os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


class PictureSource:
    """A picture as a stream of frames, each at its time."""

    def __init__(self, picture: Picture) -> None:
        times = np.cumsum([0, *picture.durations_ms])
        self._frames = iter(
            Timed(value=frame_of(pixels), index=index, time=Fraction(float(times[index])) / 1000)
            for index, pixels in enumerate(picture.pixels)
        )

    def read(self) -> Timed[Frame] | None:
        """Return the next frame, None at the end."""
        return next(self._frames, None)


class FrameList:
    """Keeps the frames of a stream.

    Attributes:
        frames: Those written so far.
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def write(self, frame: Timed[Frame]) -> None:
        """Keep a frame."""
        self.frames.append(frame.value)
