"""Give frames to other programs as a camera, by pyvirtualcam, as a sink."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from morphstream.artifact.errors import VideoError
from morphstream.closing import Closing
from morphstream.media.live.items import LiveFrame, Sound
from morphstream.media.live.muxed import fitted

if TYPE_CHECKING:
    import pyvirtualcam

_RATE = 30.0


def check_virtual_camera() -> None:
    """Check that pyvirtualcam is there.

    Raises:
        VideoError: It isn't.
    """
    if find_spec("pyvirtualcam") is None:
        raise VideoError("virtual-camera: expected pyvirtualcam, seen none; run: pip install pyvirtualcam")


class VirtualCamera(Closing):
    """A camera of this machine that other programs read; opened at the first frame, whose size all later ones get."""

    def __init__(self) -> None:
        self._camera: pyvirtualcam.Camera | None = None

    def put(self, item: LiveFrame | Sound | None) -> bool:
        """Show a frame; sound is left out.

        Raises:
            VideoError: The system has no virtual camera.
        """
        if not isinstance(item, LiveFrame):
            return True
        if self._camera is None:
            self._camera = _opened(item)
        self._camera.send(fitted(item.frame, (self._camera.width, self._camera.height)))
        return True

    def close(self) -> None:
        """Close it."""
        if self._camera:
            self._camera.close()


def _opened(first: LiveFrame) -> "pyvirtualcam.Camera":
    import pyvirtualcam  # a package that few need

    height, width = (max(2, side - side % 2) for side in first.frame.shape[:2])
    try:
        return pyvirtualcam.Camera(width, height, _RATE, fmt=pyvirtualcam.PixelFormat.BGR)
    except RuntimeError as error:
        seen = " ".join(str(error).split())
        raise VideoError(f"virtual-camera: expected one, seen none ({seen}); run: modprobe v4l2loopback") from None
