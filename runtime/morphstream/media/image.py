"""Read and write pictures; what is written says that it is synthetic."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from morphstream.artifact.errors import ImageError
from morphstream.artifact.regular_file import real_path
from morphstream.artifact.staged import staged_file
from morphstream.frame import Frame, Timed
from morphstream.media.credentials import Signing
from morphstream.media.encode import FORMATS, encode
from morphstream.media.output import check_place, keep_owner_and_mode
from morphstream.media.picture import Picture, frame_of
from morphstream.media.read import MAX_PIXELS, read_picture
from morphstream.stream.run import IterableSource


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Frame:
    """Return a picture, or an animation's first frame, as a frame; arguments and errors as of `read_picture`."""
    return frame_of(read_picture(path, max_pixels=max_pixels).pixels[0])


def write_image(
    path: Path, frame: Frame, *, overwrite: bool = False, is_synthetic: bool = True, signing: Signing | None = None
) -> None:
    """Write a frame; arguments and errors as of `write_picture`."""
    picture = Picture(pixels=[np.ascontiguousarray(frame)])
    frames: Sequence[Frame] = picture.pixels  # type: ignore[assignment]
    write_picture(path, picture, frames, overwrite=overwrite, is_synthetic=is_synthetic, signing=signing)


def write_picture(
    path: Path,
    picture: Picture,
    frames: Sequence[Frame],
    *,
    overwrite: bool = False,
    is_synthetic: bool = True,
    signing: Signing | None = None,
) -> list[str]:
    """Write a picture in the format of its suffix; never seen half-written.

    Args:
        path: Where a link is, what it leads to is written; what is replaced keeps its mode and owner.
        picture: As it was read.
        frames: Its frames, swapped.
        overwrite: Whether a file that is there is replaced, even if it isn't a picture with our mark.
        is_synthetic: Whether it is marked as synthetic.
        signing: What a synthetic one is signed with; None for nothing.

    Returns:
        What of the picture the format can't hold, in words.

    Raises:
        ImageError: As of `check_output` and `encode`.
        CredentialsError: It can't be signed; nothing is written.
        OSError: It can't be written.
    """
    check_output(path, overwrite=overwrite)
    try:
        data, notes = encode(path.suffix.lower(), picture, frames, is_synthetic=is_synthetic)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    if signing and is_synthetic:
        data = signing.sign_bytes(data, path.suffix.lower())
    place = real_path(path)
    with staged_file(place) as file:
        keep_owner_and_mode(file.fileno(), place)
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
    check_place(path, what="a picture", formats=FORMATS, refusal=ImageError, overwrite=overwrite, inputs=inputs)


class PictureSource(IterableSource[Frame]):
    """A picture as a stream of frames, each at its time."""

    def __init__(self, picture: Picture) -> None:
        times = np.cumsum([0, *picture.durations_ms])
        super().__init__(
            Timed(value=frame_of(pixels), index=index, time=Fraction(float(times[index])) / 1000)
            for index, pixels in enumerate(picture.pixels)
        )


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
