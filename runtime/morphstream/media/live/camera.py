"""Read a camera by OpenCV's V4L2, as a feed."""

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import cv2

from morphstream.artifact.errors import VideoError
from morphstream.closing import Closing
from morphstream.frame import Frame
from morphstream.media.live.items import Picture, Sound, clock_time

_V4L2 = 81  # the major number of its devices; Linux, Documentation/admin-guide/devices.txt
_FOLDER = Path("/dev")


class Capture(Protocol):
    """What `cv2.VideoCapture` is."""

    def read(self) -> tuple[bool, object]:
        """Return whether a frame came, and the frame."""
        ...

    def set(self, key: int, value: float, /) -> bool:
        """Ask for a property."""
        ...

    def release(self) -> None:
        """Close it."""
        ...


def check_camera(device: Path) -> None:
    """Check that a camera is there, and that this user may read it.

    Raises:
        VideoError: It isn't.
    """
    if not device.exists():
        found = ", ".join(sorted(map(str, _FOLDER.glob("video[0-9]*"))))
        raise VideoError(f"{device}: expected a camera, seen none; {f'name {found}' if found else 'plug one in'}")
    if not device.is_char_device() or os.major(device.stat().st_rdev) != _V4L2:
        raise VideoError(f"{device}: expected a camera, seen something else; name one such as /dev/video0")
    if not os.access(device, os.R_OK | os.W_OK):
        raise VideoError(f"{device}: expected a camera, seen one closed to this user; add the user to its group")


def open_capture(device: Path) -> Capture:
    """Open a camera by OpenCV.

    Raises:
        VideoError: It can't be opened.
    """
    check_camera(device)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it prints; what failed is said in one line
    capture = cv2.VideoCapture(str(device), cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise VideoError(f"{device}: expected a camera, seen one that doesn't open; end what else uses it")
    return cast("Capture", capture)


class CameraFeed(Closing):
    """A camera's pictures, as a `morphstream.media.live.input.Feed`; it has no sound.

    Attributes:
        has_sound: False.
        is_paced: False.
        is_finite: False.
    """

    def __init__(
        self,
        device: Path,
        *,
        size_wh: tuple[int, int] | None = None,
        fps: Fraction | None = None,
        opened: Callable[[Path], Capture] = open_capture,
    ) -> None:
        """Open a camera.

        Args:
            device: Such as ``/dev/video0``.
            size_wh: That it is asked for; it may give another.
            fps: That it is asked for; it may give another.
            opened: Opens the device.

        Raises:
            VideoError: It can't be opened.
        """
        self.has_sound = self.is_paced = self.is_finite = False
        self._device, self._capture = device, opened(device)
        wanted: list[tuple[int, float]] = [(cv2.CAP_PROP_BUFFERSIZE, 1)]  # the newest
        if size_wh:  # over USB large pictures fit as JPEG alone
            wanted.append((cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")))
            wanted += [(cv2.CAP_PROP_FRAME_WIDTH, size_wh[0]), (cv2.CAP_PROP_FRAME_HEIGHT, size_wh[1])]
        if fps:
            wanted.append((cv2.CAP_PROP_FPS, float(fps)))
        for key, value in wanted:
            self._capture.set(key, value)

    def close(self) -> None:
        """Close the camera."""
        self._capture.release()

    def read(self) -> Picture | Sound | None:
        """Return the next picture.

        Raises:
            VideoError: None comes, as where the camera was unplugged.
        """
        is_there, frame = self._capture.read()
        if not is_there:
            raise VideoError(f"{self._device}: expected more pictures, seen none; plug the camera in again")
        return Picture(clock_time(), lambda: cast("Frame", frame))
