"""The two steps of a stream: find the faces of a frame, swap them; both may change between two frames."""

import threading
import time
from dataclasses import dataclass
from fractions import Fraction

from morphstream.artifact.errors import NoFaceError
from morphstream.face.analyser import FaceAnalyser
from morphstream.face.assign import Wanted
from morphstream.face.follow import FaceTracker
from morphstream.face.look import Look
from morphstream.face.mask import SteadyMasks
from morphstream.face.swapper import FaceSwapper
from morphstream.face.track import Tracking
from morphstream.face.types import FoundFaces
from morphstream.session.guarded import engine_seconds
from morphstream.worker.models import OpenModel
from morphstream.worker.queues import Found, Pushed, Swapped

_LEAST_S = Fraction(1, 1000)  # from one frame to the next, where a clock jumped back


@dataclass(slots=True)
class _Change:
    """What is new from the next frame on; None for what stays."""

    wanted: Wanted | None = None
    look: Look | None = None


class StreamSteps:
    """Finds and draws the faces of a stream: each step in one thread, and any thread may change what they do.

    Attributes:
        model: The swap model, from the next frame that is drawn on.
        look: How faces are drawn, from the next frame that is found on.
    """

    def __init__(
        self,
        analyser: FaceAnalyser,
        swapper: FaceSwapper,
        model: OpenModel,
        wanted: Wanted,
        *,
        look: Look,
        tracking: Tracking,
    ) -> None:
        """Begin before the first frame; raises TypeError where `wanted` has something other than rules."""
        self._swapper, self.model, self.look = swapper, model, look
        self._tracker = FaceTracker(analyser, wanted, look=look, tracking=tracking)
        self._masks, self._change, self._lock = SteadyMasks(), _Change(), threading.Lock()
        self._last: FoundFaces | None = None
        self._time = self._tracked_time = Fraction(0)
        self._ended_s = self._took_s = 0.0  # of the last search

    def change(self, wanted: Wanted | None, look: Look | None) -> None:
        """Change who becomes whom, or how that is drawn, from the next frame on; None for no change."""
        with self._lock:
            if wanted is not None:
                self._change.wanted = wanted
            self._change.look = look or self._change.look

    def find(self, pushed: Pushed) -> Found:
        """Find the faces of a frame."""
        began_s, inference_s = time.monotonic(), engine_seconds()
        with self._lock:
            change, self._change = self._change, _Change()
        self._tracker.change(wanted=change.wanted, look=change.look)
        self.look = change.look or self.look
        is_idle = began_s - self._ended_s > self._took_s
        faces = self._tracker.follow(pushed.given.value[0], self._next_time(pushed.given.time), is_idle=is_idle)
        self._ended_s = time.monotonic()
        self._took_s = self._ended_s - began_s
        self._last = faces
        return Found(
            pushed=pushed,
            faces=faces,
            look=self.look,
            began_s=began_s,
            found_s=self._took_s,
            inference_s=engine_seconds() - inference_s,
        )

    def draw(self, found: Found, model: OpenModel) -> Swapped:
        """Swap the faces of a frame."""
        began_s, inference_s = time.monotonic(), engine_seconds()
        frame = self._swapper.swap(found.faces, found.look, self._masks, swapper=model.swapper)
        drawn_s = time.monotonic() - began_s
        latency_s = began_s + drawn_s - found.pushed.at_s
        return Swapped(
            frame=frame,
            time=found.pushed.given.value[1],
            index=found.pushed.given.index,
            found=found.faces,
            waited_s=latency_s - found.found_s - drawn_s,
            found_s=found.found_s,
            drawn_s=drawn_s,
            latency_s=latency_s,
            inference_s=found.inference_s + engine_seconds() - inference_s,
        )

    def last_face(self, track: int) -> tuple[FoundFaces, int]:
        """Return the last frame in which faces were found, and the place of a track's face among these.

        Raises:
            NoFaceError: It isn't there.
        """
        last = self._last
        if not last or track not in last.tracks:
            seen = f"tracks {', '.join(map(str, last.tracks)) or 'none'}" if last else "no frame yet"
            raise NoFaceError(f"expected a face of track {track}, seen {seen}; name one that is seen now")
        return last, list(last.tracks).index(track)

    def _next_time(self, time: Fraction) -> Fraction:
        """Return a time for the tracker, whose clock never goes back."""
        passed, self._time = time - self._time, time
        self._tracked_time += passed if passed > 0 else _LEAST_S
        return self._tracked_time
