"""Find the faces of a frame: by a first look, and by others where that finds none or what is in doubt.

SCRFD, looking at a face that is turned, misses it from about 60 degrees on, and puts its points out of place before:
upside down it sees an upright face. From 16 degrees on points are off by more than 0.05 of the distance of the eyes.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from morphstream.face.detect import DirectSCRFD
from morphstream.face.geometry import Rectangle, tilt_of, transform
from morphstream.face.look import Look
from morphstream.face.seen import LOW, Seen, are_one, common_turn, distinct, is_head, judged, mapped_back
from morphstream.face.types import Face, Person
from morphstream.face.views import FACE, NEAR_FACE, Cell, Size, View, again, closer, heads, part, upright, whole
from morphstream.frame import Frame, check_frame

_SIDES, _LOWS = (64, 110), (0.58, LOW)  # pixels of the canvas; score at the first look: small ones had less
_TINY = 11  # pixels of the canvas, of a face's box; others beside the largest may be missed
_CLEAR = 14  # pixels of the canvas, of a face's box, from which on points are good
_SMALL = 32  # pixels, of a picture
_BLURRED = 3.2  # times that a look enlarges a picture, from which on points are off as by a turn
_FAINT = 0.2  # score of what is no face, yet is named in a refusal
_MOST_SETTLED = 256  # faces that are looked at one by one, the largest first
_EXACT = 8  # degrees, from which on a face is looked at once more, for its points
_EDGE = 4  # pixels of a cell's border, where a face is cut and another cell shows it whole
_TURNS = tuple(range(0, 360, 45))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a search found.

    Attributes:
        faces: By falling score.
        looks: How often the detector looked: once, unless the first look found no face or one in doubt.
        faint: The greatest score of what is no face, 0 if there is nothing like one.
    """

    faces: Sequence[Face]
    looks: int
    faint: float

    def reason(self, frame: Frame, look: Look) -> str:
        """Return why there is no face in a frame, as far as it can be known, and what to do: "seen ...; use ..."."""
        height, width = frame.shape[:2]
        if is_plain(frame):
            return "seen one colour everywhere; use a picture that shows one"
        if max(height, width) < _SMALL:
            return f"seen {width} x {height} pixels; use a picture in which it is larger"
        if not look.angles:
            return "seen none in one look; look again, at angles such as 0, 90, 180 and 270"
        seen = f"seen none in {self.looks} looks"
        if self.faint > _FAINT:
            least = math.floor(self.faint * 20) / 20
            return (
                f"{seen}, and a place with a score of {self.faint:.2f}; use a sharper picture, or min-score {least:.2f}"
            )
        return f"{seen}; use a picture that shows one from the front, and not covered"


def find_faces(
    detector: DirectSCRFD,
    frame: Frame,
    look: Look,
    *,
    persons: Callable[[Frame], Sequence[Person]] | None = None,
    within: Rectangle | None = None,
) -> Finding:
    """Find the faces of a frame; errors as of `DirectSCRFD.detect`, and of what finds people.

    Args:
        detector: Looks once for each view.
        frame: ``(H, W, 3)`` uint8 BGR.
        look: Its angles, minimum score and size of the detector are used.
        persons: Finds people, whose heads are looked at closer where the first look finds no face; None for no more.
        within: A rectangle of the frame, to look once about there, on the detector's smallest canvas.
    """
    check_frame(frame)
    search = _Search(detector, frame, look.min_score, detector.sizes[-1] if within else detector.size)
    found = search.inside(within) if within else search.first(look.detector_size)
    if persons:
        found = search.heads(found, persons(frame))
    if look.angles and not within and (found or not is_plain(frame)):
        found = search.again(found, look.angles)
    faces = sorted((seen.face for seen in found), key=lambda face: -face.score)
    return Finding(faces=faces, looks=search.looks, faint=search.faint)


def find_near(detector: DirectSCRFD, frame: Frame, faces: Sequence[Face], min_score: float) -> list[Face | None]:
    """Look at faces upright, on the smallest canvas, where they are about; return each as seen there, or None."""
    search = _Search(detector, frame, min_score, detector.sizes[-1])
    places = dict(enumerate(Seen(face, tilt_of(face.points5), 0, is_odd=False) for face in faces))
    found = search.upright(places, (0,), NEAR_FACE)
    return [found[place].face if place in found else None for place in range(len(faces))]


def is_plain(frame: Frame) -> bool:
    """Return whether a frame has one colour everywhere."""
    return not np.ptp(frame[::16, ::16], axis=(0, 1)).any() and not np.ptp(frame, axis=(0, 1)).any()


class _Search:
    """The looks of a detector at a frame."""

    def __init__(self, detector: DirectSCRFD, frame: Frame, min_score: float, canvas: Size) -> None:
        self._detector, self._frame, self._min_score, self._canvas = detector, frame, min_score, canvas
        self.looks, self.faint = 0, 0.0
        self._size = (frame.shape[1], frame.shape[0])
        self._scale = max(canvas) / max(self._size)

    def inside(self, rectangle: Rectangle) -> list[Seen]:
        """Look at a rectangle of the frame."""
        return self._see([part(rectangle, self._canvas)])

    def first(self, detector_size: int | None) -> list[Seen]:
        """Look at the whole frame, its longer side in so many pixels: in tiles too, if more than the canvas has."""
        side = max(self._canvas)
        if (detector_size and detector_size < side) or self._canvas != self._detector.size:
            return self._see([whole(self._size, self._canvas, fill=min(1, (detector_size or side) / side))])
        self.looks += 1
        faces = self._detector.detect(self._frame, min(_FAINT, self._min_score))
        found = [judged(face, face, 0, self._low(face)) for face in self._likely(faces)]
        if detector_size and detector_size > side:
            return distinct(found + self._see(closer(self._size, self._canvas, detector_size)))
        return found

    def _low(self, face: Face) -> float:
        return float(np.interp(face.side * self._scale, _SIDES, _LOWS))

    def heads(self, first: list[Seen], persons: Sequence[Person]) -> list[Seen]:
        """Look closer at people whose face the first look misses or shows small; return all faces known then."""
        clear = [seen for seen in first if seen.face.side * self._scale >= _CLEAR]
        boxes = [person.box_xyxy for person in persons if not any(is_head(seen.face, person) for seen in clear)]
        found = self._see(heads(boxes, self._size, self._canvas))
        nearer = [seen for seen in found if not any(are_one(seen, other) for other in clear)]
        return nearer + [seen for seen in first if not any(are_one(seen, other) for other in nearer)]

    def again(self, first: list[Seen], angles: Sequence[float]) -> list[Seen]:
        """Look again for what the first look doubts or misses; return what is found by then."""
        doubtful = [seen for seen in first if seen.is_doubtful or self._scale > _BLURRED]
        settled, missed = self._settle(doubtful)
        known = distinct([*(seen for seen in first if seen not in doubtful), *settled]) if doubtful else first
        others: list[Seen] = []
        if (turn := common_turn(known)) is not None:
            others += self._others(known, [whole(self._size, self._canvas, turn)])
        if known and max(seen.face.side for seen in known) * self._scale < _TINY:
            others += self._others([*known, *others], closer(self._size, self._canvas))
        groups = again(self._size, self._canvas, angles)
        while not known and not others and (views := next(groups, None)) is not None:
            others = self._others([], views)
        return known + (others or [seen for seen in missed if not any(are_one(seen, other) for other in known)])

    def _settle(self, doubtful: Sequence[Seen]) -> tuple[list[Seen], list[Seen]]:
        """Look upright at faces; return them as they are seen there, and those that aren't found there."""
        near = dict(enumerate(sorted(doubtful, key=lambda seen: -seen.face.area)))
        far = [near.pop(place) for place in range(_MOST_SETTLED, len(near))]
        best = self.upright(near, (0,))
        odd = {place: seen for place, seen in near.items() if seen.is_odd and best.get(place, seen).is_odd}
        for place, seen in self.upright(odd, _TURNS).items():
            if place not in best or seen.face.score > best[place].face.score:
                best[place] = seen
        best |= self.upright({place: seen for place, seen in best.items() if abs(seen.tilt) > _EXACT}, (0,))
        return [*best.values(), *far], [seen for place, seen in near.items() if place not in best]

    def upright(self, faces: Mapping[int, Seen], turns: Sequence[float], side: float = FACE) -> dict[int, Seen]:
        """Look at faces in cells of their own, turned back, and by `turns` more; return the best there of each."""
        places = [
            (seen.face.middle, max(1.0, seen.face.side), seen.turn + turn) for seen in faces.values() for turn in turns
        ]
        best: dict[int, Seen] = {}
        views = upright(places, self._size, self._canvas, side)
        for seen in [seen for view in views for seen in self._look(view)]:
            for place, old in faces.items():
                is_there = np.hypot(*(seen.face.middle - old.face.middle)) < old.face.side / 2
                if is_there and (place not in best or seen.face.score > best[place].face.score):
                    best[place] = seen
        return best

    def _others(self, known: Sequence[Seen], views: Iterable[View]) -> list[Seen]:
        """Return the faces of views that aren't known."""
        found = [seen for seen in self._see(views) if not any(are_one(seen, other) for other in known)]
        return distinct(self._settle(found)[0])

    def _see(self, views: Iterable[View]) -> list[Seen]:
        """Look at views of the frame; return what is there, each face as it is seen best."""
        return distinct([seen for view in views for seen in self._look(view)])

    def _look(self, view: View) -> list[Seen]:
        self.looks += 1
        found = []
        for face in self._likely(
            self._detector.look(self._frame, view, min(_FAINT, self._min_score), size=self._canvas)
        ):
            x, y = face.middle
            for cell in view:
                left, top, right, bottom = cell.rectangle
                is_here = left <= x < right and top <= y < bottom
                if is_here and not self._is_cut(face.box_xyxy, cell):
                    turn = math.degrees(math.atan2(cell.affine[1, 0], cell.affine[0, 0]))
                    found.append(judged(mapped_back(face, cell.affine), face, turn))
        return found

    def _is_cut(self, box_xyxy: npt.NDArray[np.float64], cell: Cell) -> bool:
        """Return whether a box reaches a border of a cell beyond which the frame goes on."""
        corners = [(x - 0.5, y - 0.5) for x in (0, self._size[0]) for y in (0, self._size[1])]
        ends = transform(np.array(corners), cell.affine)
        first, last = np.array(cell.rectangle[:2]), np.array(cell.rectangle[2:])
        is_low = (box_xyxy[:2] < first + _EDGE) & (ends.min(0) < first - 1)
        is_high = (box_xyxy[2:] > last - _EDGE) & (ends.max(0) > last + 1)
        return bool((is_low | is_high).any())

    def _likely(self, faces: Sequence[Face]) -> list[Face]:
        """Return the faces with the minimum score, and note the greatest score below it."""
        self.faint = max([self.faint, *(face.score for face in faces if face.score < self._min_score)])
        return [face for face in faces if face.score >= self._min_score]
