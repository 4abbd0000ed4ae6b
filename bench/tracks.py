"""Follow the faces of generated clips, and compare their points with the truth and with the detector on every frame.

Promised, at 720p: over pans, zooms, rolls of 45 degrees, blur and a board before 30 % of a face the median error of
tracked points is at most that of the detector on every frame, the 99th percentile 1.3 times that, and no face is lost;
three people who cross twice in 300 frames become who they should in every frame in which they are seen, by place and by
reference; a still head's points move by 0.3 pixels RMS at most; and no track goes on after a cut. Live, at 30 frames a
second, a face that comes, or comes back, is found within 200 ms of being visible.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.clips import CLIPS, RATE, Truth, clip
from morphstream.face.assign import Wanted, at, like
from morphstream.face.follow import FaceTracker
from morphstream.face.look import Look
from morphstream.face.track import LIVE_TRACKING
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame
from morphstream.pipeline import SwapPipeline

STORE = Path(__file__).resolve().parents[1] / "build/demo/store"
MOVED = ("pan", "zoom", "roll", "blur", "board", "mixed")
TIMES, JITTER, NEAR = 1.3, 0.3, 0.6
COMES, LIVE_RATE, PROMPT_S = 2, 30, 0.2  # a person of the clip
EVERYONE = Identity(embedding=np.eye(512, dtype=np.float32)[0])
BECOMES = [Identity(embedding=row) for row in np.eye(512, dtype=np.float32)[:3]]  # whom each of the clips' people does
Numbers = npt.NDArray[np.float64]
Find = Callable[[Frame, Fraction], FoundFaces]


class Seen(NamedTuple):
    """A face that a frame of a clip shows, by its number, and which of those found it is; None if it wasn't found."""

    number: int
    truth: Truth
    found: FoundFaces
    place: int | None

    def errors(self) -> Numbers:
        """Return how far off each of its points is, in distances of the eyes."""
        return error_of(self.found.faces[self.place or 0], self.truth)

    def is_(self, identity: Identity) -> bool:
        """Return whether it was found and becomes somebody."""
        return self.place is not None and self.found.assignment.get(self.place) == identity


def main() -> int:
    """Print the figures; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracks", description=__doc__)
    parser.add_argument("--height", type=int, default=720, help="of the clips, pixels (%(default)s)")
    height = parser.parse_args().height
    size = (round(height * 16 / 9), height)
    with SwapPipeline(STORE) as swap:
        failed = [name for name in MOVED if not follows(swap, name, size)]
        failed += [how for how in ("place", "reference") if not tells_apart(swap, how, size)]
        failed += [
            name for name, holds in (("still", is_still), ("cut", ends), ("live", is_prompt)) if not holds(swap, size)
        ]
    print(f"not as promised: {', '.join(failed)}" if failed else "all as promised")
    return int(bool(failed))


def tracked(swap: SwapPipeline, wanted: Wanted) -> Find:
    """Return what follows the faces of a clip."""
    return FaceTracker(swap.analyser, wanted).follow


def seen_in(find: Find, name: str, size: tuple[int, int]) -> tuple[list[Seen], str]:
    """Find the faces of a clip, but for those that are hidden; return them, and the processor's time and the looks."""
    made, spent, looks = clip(name, size), 0.0, 0
    seen = []
    for frame in made.frames():
        start = time.process_time()
        found = find(frame.value, frame.time)
        spent += time.process_time() - start
        looks += found.looks
        seen += [_seen(frame.index, truth, found) for truth in made.truth(frame.index) if not truth.is_hidden]
    return seen, f"{1000 * spent / made.count:.1f} ms of the processor a frame, {looks} looks in {made.count} frames"


def _seen(index: int, truth: Truth, found: FoundFaces) -> Seen:
    off = [error_of(face, truth).mean() for face in found.faces]
    nearest = int(np.argmin(off)) if off else 0
    return Seen(index, truth, found, nearest if off and off[nearest] < NEAR else None)


def error_of(face: Face, truth: Truth) -> Numbers:
    """Return how far off each of a face's points is, in distances of the eyes."""
    return np.asarray(np.linalg.norm(face.points5 - truth.points5, axis=1) / truth.eyes)


def follows(swap: SwapPipeline, name: str, size: tuple[int, int]) -> bool:
    """Compare tracked points with those of the detector on every frame."""
    look = Look(angles=())
    figures = {}
    ways: Mapping[str, Find] = {
        "detector": lambda frame, _: swap.analyser.find(frame, look),
        "tracks": tracked(swap, EVERYONE),
    }
    for way, find in ways.items():
        seen, cost = seen_in(find, name, size)
        errors = np.concatenate([face.errors() for face in seen if face.place is not None])
        lost = sum(face.place is None for face in seen)
        figures[way] = (float(np.median(errors)), float(np.percentile(errors, 99)), lost)
        print(f"{name}, {way}: median {figures[way][0]:.4f}, 99 % {figures[way][1]:.4f}, lost {lost}; {cost}")
    (median, most, _), (own_median, own_most, lost) = figures["detector"], figures["tracks"]
    return own_median <= median and own_most <= TIMES * most and not lost


def tells_apart(swap: SwapPipeline, how: str, size: tuple[int, int]) -> bool:
    """Return whether each of the people who cross becomes who is meant, wherever that one is seen."""
    made = clip("cross", size)
    first = [Face(box_xyxy=np.zeros(4), points5=face.points5, score=1) for face in made.truth(0)]
    people = [face.person for face in made.truth(0)]
    known = dict(zip(people, swap.embed(made.frame(0), first), strict=True))
    wanted: Wanted = {BECOMES[0]: at(1), BECOMES[2]: at(2), BECOMES[1]: at(3)}
    if how == "reference":
        wanted = {BECOMES[person]: like(identity) for person, identity in known.items()}
    seen, cost = seen_in(tracked(swap, wanted), "cross", size)
    wrong = [(face.number, face.truth.person) for face in seen if not face.is_(BECOMES[face.truth.person])]
    print(f"crossing, by {how}: {len(wrong)} of {len(seen)} faces wrong {wrong[:5]}; {cost}")
    return not wrong


def is_still(swap: SwapPipeline, size: tuple[int, int]) -> bool:
    """Return whether the points of a head that doesn't move, but for the camera's noise, stay where they are."""
    seen, cost = seen_in(tracked(swap, EVERYONE), "still", size)
    points = np.array([face.found.faces[0].points5 for face in seen])
    jitter = float(np.sqrt(((points - points.mean(0)) ** 2).sum(2).mean()))
    print(f"still: {jitter:.3f} pixels RMS; {cost}")
    return jitter <= JITTER


def ends(swap: SwapPipeline, size: tuple[int, int]) -> bool:
    """Return whether every scene has tracks of its own, from its first frame on."""
    seen, _ = seen_in(tracked(swap, EVERYONE), "scenes", size)
    scenes = [*_scenes_of(seen)]
    print(f"cuts: tracks {[sorted(tracks) for tracks in scenes]}")
    is_once = sum(len(tracks) for tracks in scenes) == len(set().union(*scenes))
    return is_once and all(face.place is not None for face in seen)


def is_prompt(swap: SwapPipeline, size: tuple[int, int]) -> bool:
    """Return whether who comes, again and again, is soon found in a live stream."""
    tracker, visits, last = FaceTracker(swap.analyser, EVERYONE, tracking=LIVE_TRACKING), list[list[Seen]](), 0
    seen, cost = seen_in(lambda frame, time: tracker.follow(frame, time * RATE / LIVE_RATE), "comes", size)
    for face in [face for face in seen if face.truth.person == COMES]:
        if face.number > last + 1:
            visits.append([])
        visits[-1].append(face)
        last = face.number
    waits = [next((n for n, face in enumerate(visit) if face.place is not None), len(visit)) for visit in visits]
    print(f"live: found {', '.join(f'{1000 * wait / LIVE_RATE:.0f}' for wait in waits)} ms after being visible; {cost}")
    return max(waits) / LIVE_RATE <= PROMPT_S


def _scenes_of(seen: Sequence[Seen]) -> Iterator[set[int]]:
    bounds = [0, *CLIPS["scenes"].scenes, CLIPS["scenes"].count]
    for first, last in pairwise(bounds):
        yield {track for face in seen if first <= face.number < last for track in face.found.tracks}


if __name__ == "__main__":
    sys.exit(main())
