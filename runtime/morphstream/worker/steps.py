"""The two steps of streams: find the faces of a frame, and swap those of one frame or more; both may change."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from morphstream.artifact.errors import NoFaceError
from morphstream.face.assign import Wanted
from morphstream.face.follow import FaceTracker
from morphstream.face.look import Look
from morphstream.face.mask import SteadyMasks
from morphstream.face.track import Tracking
from morphstream.face.types import FoundFaces, Identity
from morphstream.frame import Frame
from morphstream.pipeline import SwapPipeline
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
    """Finds the faces of a stream, in one thread, and knows how they are drawn; any thread may change both.

    Attributes:
        masks: Of the faces of the frame before.
        model: The swap model, from the next frame that is drawn on.
        look: How faces are drawn, from the next frame that is found on.
    """

    def __init__(
        self, pipeline: SwapPipeline, model: OpenModel, wanted: Wanted, *, look: Look, tracking: Tracking
    ) -> None:
        """Begin before the first frame; errors as of `FaceTracker` and `check`."""
        self._pipeline, self.model, self.look = pipeline, model, look
        self.check(model, look)
        self._tracker = FaceTracker(pipeline.analyser, wanted, look=look, tracking=tracking)
        self.masks, self._change, self._lock = SteadyMasks(), _Change(), threading.Lock()
        self._last: FoundFaces | None = None
        self._time = self._tracked_time = Fraction(0)

    def check(self, model: OpenModel, look: Look) -> None:
        """Refuse a look that doesn't fit a swap model, by a ValueError."""
        side = (model.swapper or self._pipeline.swapper).side
        if look.pixel_boost and look.pixel_boost % side:
            expected = f"look: expected a pixel boost of a multiple of {side}, the side of {model.name}"
            raise ValueError(f"{expected}, seen {look.pixel_boost}; use another or none")

    def change(self, wanted: Wanted | None, look: Look | None) -> None:
        """Change who becomes whom, or how that is drawn, from the next frame on; None for no change."""
        with self._lock:
            if wanted is not None:
                self._change.wanted = wanted
            self._change.look = look or self._change.look

    def find(self, pushed: Pushed, *, is_idle: bool) -> Found:
        """Find the faces of a frame; `is_idle` says whether there is time to spare for it."""
        began_s, inference_s = time.monotonic(), engine_seconds()
        with self._lock:
            change, self._change = self._change, _Change()
        self._tracker.change(wanted=change.wanted, look=change.look)
        self.look = change.look or self.look
        faces = self._tracker.follow(pushed.given.value[0], self._next_time(pushed.given.time), is_idle=is_idle)
        self._last = faces
        return Found(
            pushed=pushed,
            faces=faces,
            look=self.look,
            began_s=began_s,
            found_s=time.monotonic() - began_s,
            inference_s=engine_seconds() - inference_s,
        )

    def identify(self, track: int) -> Identity:
        """Return who a track's face is, in the last frame; raises NoFaceError where it isn't there."""
        last = self._last
        if not last or track not in last.tracks:
            seen = f"tracks {', '.join(map(str, last.tracks)) or 'none'}" if last else "no frame yet"
            raise NoFaceError(f"expected a face of track {track}, seen {seen}; name one that is seen now")
        return self._pipeline.embed(last.frame, [last.faces[list(last.tracks).index(track)]])[0]

    def _next_time(self, time: Fraction) -> Fraction:
        """Return a time for the tracker, whose clock never goes back."""
        passed, self._time = time - self._time, time
        self._tracked_time += passed if passed > 0 else _LEAST_S
        return self._tracked_time


def draw_all(pipeline: SwapPipeline, work: Sequence[tuple[StreamSteps, Found]], model: OpenModel) -> list[Swapped]:
    """Swap the faces of frames of several streams, of one look, by one run of each model."""
    began_s, before_s = time.monotonic(), engine_seconds()
    founds, masks = [found.faces for _, found in work], [steps.masks for steps, _ in work]
    frames = pipeline.swapper.swap_all(founds, work[0][1].look, masks, swapper=model.swapper)
    drawn_s, inference_s = (time.monotonic() - began_s), (engine_seconds() - before_s) / len(work)
    return [
        _swapped(frame, found, began_s + drawn_s, drawn_s / len(work), inference_s)
        for frame, (_, found) in zip(frames, work, strict=True)
    ]


def _swapped(frame: Frame, found: Found, now_s: float, drawn_s: float, inference_s: float) -> Swapped:
    latency_s = now_s - found.pushed.at_s
    return Swapped(
        frame=frame,
        time=found.pushed.given.value[1],
        index=found.pushed.given.index,
        found=found.faces,
        waited_s=latency_s - found.found_s - drawn_s,
        found_s=found.found_s,
        drawn_s=drawn_s,
        latency_s=latency_s,
        inference_s=found.inference_s + inference_s,
    )
