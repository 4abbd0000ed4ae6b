"""Follow the faces of a video or a stream, frame by frame."""

from fractions import Fraction

from morphstream.face.analyser import FaceAnalyser
from morphstream.face.assign import Wanted
from morphstream.face.look import DEFAULT_LOOK, Look
from morphstream.face.track import DEFAULT_TRACKING, Tracking
from morphstream.face.types import FoundFaces
from morphstream.frame import Frame


class FaceTracker:
    """Finds faces of one stream's frames, gives each a track, and assigns who its track becomes; for one thread."""

    def __init__(
        self,
        analyser: FaceAnalyser,
        wanted: Wanted,
        *,
        look: Look = DEFAULT_LOOK,
        tracking: Tracking = DEFAULT_TRACKING,
    ) -> None:
        """Begin before the first frame.

        Args:
            analyser: Finds and embeds faces; other trackers may share it.
            wanted: Who becomes whom, as in `assign`; rules by position and size are decided when a track begins.
            look: How faces are looked for, as in `FaceAnalyser.find`, but for its angles: a frame is looked at once,
                as the next one comes.
            tracking: How often, and how smooth.
        """
        self._analyser, self._wanted, self._look, self._tracking = analyser, wanted, look, tracking

    def follow(self, frame: Frame, time: Fraction) -> FoundFaces:
        """Return the next frame with its faces, their tracks and who they become; errors as in `FaceAnalyser.analyse`.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR; kept, not copied.
            time: When it is shown, seconds; later than the frame before.
        """
        return self._analyser.analyse(frame, self._wanted, look=self._look)

    def save(self) -> bytes:
        """Return all that the next frames depend on, as JSON; and look at the whole next frame.

        What follows is the same, bit for bit, here and after `restore` in another process.
        """
        return b"{}"

    def restore(self, data: bytes) -> None:
        """Go on where a tracker with the same arguments was saved.

        Raises:
            ValueError: It is no such state.
        """
