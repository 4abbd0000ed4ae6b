"""Open what a user names as a live output: a window, a file, an address, a virtual camera."""

from collections.abc import Sequence
from pathlib import Path

from morphstream.media.live.output import LiveOutput


def open_output(text: str, *, overwrite: bool = False, inputs: Sequence[Path] = ()) -> LiveOutput:
    """Prepare a live output; what can be checked before the first frame is checked now.

    Args:
        text: ``window``; ``virtual-camera``; a file that ends in .mp4, .mov, .mkv or .webm; an address that begins with
            ``rtmp:``; or for WHIP one that begins with ``whip+https:``, or ends in ``/whip``.
        overwrite: Whether a file that is there is replaced, even if it isn't ours.
        inputs: Files that aren't replaced.

    Raises:
        VideoError: It can't be written to, or what that needs isn't installed.
    """
    raise NotImplementedError(text, overwrite, inputs)
