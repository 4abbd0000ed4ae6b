"""Open what a user names as a live output: a window, a file, an address, a virtual camera."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from morphstream.artifact.errors import VideoError
from morphstream.media.credentials import FORMATS as SIGNED
from morphstream.media.credentials import Signing
from morphstream.media.live.address import check_address, is_address, shown
from morphstream.media.live.certificate import check_certificates
from morphstream.media.live.muxed import Destination
from morphstream.media.live.output import LiveOutput, Sink
from morphstream.media.live.recording import FORMATS, Recording, check_unfinished
from morphstream.media.live.sender import Sender
from morphstream.media.live.virtual_camera import VirtualCamera, check_virtual_camera
from morphstream.media.output import check_place
from morphstream.media.video.marks import WORDS

_log = logging.getLogger("morphstream.c2pa")
_RTMP, _WHIP = ("rtmp", "rtmps"), ("whip+http", "whip+https", "http", "https")
_X264 = {"preset": "veryfast", "tune": "zerolatency"}
_FLV = {"max_interleave_delta": "200000", "flvflags": "no_duration_filesize"}  # sound that pauses holds nothing back


def open_output(
    text: str, *, overwrite: bool = False, inputs: Sequence[Path] = (), signing: Signing | None = None
) -> LiveOutput:
    """Prepare a live output; what can be checked before the first frame is checked now.

    Args:
        text: ``window``; ``virtual-camera``; a file that ends in .mp4, .mov, .mkv or .webm; an address that begins with
            ``rtmp:``, or with ``https:`` or ``whip+https:`` for WHIP.
        overwrite: Whether a file that is there is replaced at the end.
        inputs: Files that aren't replaced.
        signing: What a file is signed with; None for nothing.

    Raises:
        VideoError: It can't be written to, or what that needs isn't installed.
    """
    if text == "window":
        from morphstream.media.live.window import Window, check_window  # Pillow's part for it takes a while to load

        check_window()
        return LiveOutput(text, lambda _: Window(), retries=False)
    if text == "virtual-camera":
        check_virtual_camera()
        return LiveOutput(text, lambda _: VirtualCamera(), retries=False)
    if is_address(text):
        check_address(text, (*_RTMP, *_WHIP), has_key=True)
        if urlsplit(text).scheme in _WHIP:
            check_certificates()
        target = _rtmp(text) if urlsplit(text).scheme in _RTMP else _whip(text)
        return LiveOutput(target.name, partial(_sending, target), retries=True)
    path = Path(text)
    check_place(path, what="a video", formats=FORMATS, refusal=VideoError, overwrite=overwrite, inputs=inputs)
    if path.exists() and not overwrite:  # ours, which in other runs can be had again
        raise VideoError(f"{path}: expected no file, seen one; name another, or replace it with --overwrite")
    check_unfinished(path)
    if signing and path.suffix.lower() not in SIGNED:
        _log.warning("%s isn't signed, as %s has no place for that", path, path.suffix.lower())
    return LiveOutput(text, lambda has_sound: Recording(path, has_sound=has_sound, signing=signing), retries=False)


def _sending(target: Destination, has_sound: bool) -> Sink:  # noqa: FBT001  # as `LiveOutput` calls it
    return Sender(target, has_sound=has_sound)


def _rtmp(address: str) -> Destination:
    return Destination(
        name=shown(address, has_key=True),
        url=address,
        container="flv",
        options=_FLV,
        encoder_options=_X264,
        is_sent=True,
        tags={"comment": WORDS},
    )


def _whip(address: str) -> Destination:
    """Return how frames are sent by WHIP; a user in the address is the token that the server asks for."""
    parts = urlsplit(address.removeprefix("whip+"))
    user, _, host = parts.netloc.rpartition("@")
    return Destination(
        name=shown(address, has_key=True),
        url=urlunsplit(parts._replace(netloc=host)),
        container="whip",
        options={"authorization": user} if user else {},
        encoder_options=_X264 | {"profile": "baseline"},
        is_sent=True,
        sound_encoder="libopus",
        tags={"comment": WORDS},
    )
