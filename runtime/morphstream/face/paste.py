"""Paste new crops into a frame, through the masks that are asked for."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from itertools import combinations
from types import TracebackType
from typing import Self, TypeVar

import cv2
import numpy as np

from morphstream.face.geometry import Warped, layer_of, put, rectangle_of, warp_in
from morphstream.face.mask import Masks, Occluder, Parser, box_mask, own_mask, select_regions, soften
from morphstream.face.types import Affine, Crop, Mask
from morphstream.frame import Frame
from morphstream.session.session import Session

T = TypeVar("T")


class Paster:
    """The masks' models, opened when they are first asked for, and the threads that faces are shared among."""

    def __init__(self, open_model: Callable[[str], Session], *, threads: int) -> None:
        self._open_model = open_model
        self._sessions: dict[str, Session] = {}
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown()

    def each(self, work: Callable[[int], T], places: Iterable[int]) -> Iterable[T]:
        """Call a function with each number, side by side where there are several; results come in order."""
        places = list(places)
        return self._pool.map(work, places) if self._pool and len(places) > 1 else map(work, places)

    def start(self, work: Callable[[], T]) -> Callable[[], T]:
        """Start a function beside what is done next, where there is a thread for it; call what is returned to wait."""
        return self._pool.submit(work).result if self._pool else work

    def open(self, masks: Masks) -> tuple[Occluder | None, Parser | None]:
        """Return the models of masks, opened once.

        Raises:
            NoEngineError: The store lacks one.
            SessionError: One can't be opened.
        """
        for name in masks.models:
            if name not in self._sessions:
                self._sessions[name] = self._open_model(name)
        occluders = [self._sessions[name] for name in masks.models if name != masks.parser]
        parser = Parser(self._sessions[masks.parser]) if masks.regions else None
        return Occluder(*occluders) if occluders else None, parser

    def masks_of(self, crops: Crop, new: Crop, masks: Masks) -> Callable[[int], Mask]:
        """Call each mask's model once for all crops, and return what makes the mask of one.

        Args:
            crops: ``(N, side, side, 3)`` uint8, as they were cut from the frame.
            new: ``(N, side, side, 3 or 4)`` uint8; a fourth channel is the swap model's own mask.
            masks: Whose product it is.

        Raises:
            NoEngineError: The store lacks a mask's model.
            SessionError: An engine failed.
        """
        occluder, parser = self.open(masks)
        seen = occluder.look(crops, each=self.each) if occluder else None
        labels = parser.parse(crops, each=self.each) if parser else None
        side = crops.shape[1]

        def mask_of(place: int) -> Mask:
            factors = [box_mask(side, masks.feather)]
            if seen is not None:
                factors.append(soften(seen[place], side))
            if labels is not None and masks.regions is not None:
                factors.append(soften(select_regions(labels[place], masks.regions), side))
            if masks.own and new.shape[3] == 4:
                factors.append(own_mask(new[place]))
            return reduce(np.multiply, factors)

        return mask_of

    def paste(self, frame: Frame, new: Crop, mask_of: Callable[[int], Mask], affines: Sequence[Affine]) -> None:
        """Paste crops into a frame, in place, one over the other.

        Args:
            frame: ``(H, W, 3)`` uint8, modified.
            new: ``(N, side, side, 3 or 4)`` uint8; a fourth channel is not read.
            mask_of: Returns the mask of each, ``(side, side)``.
            affines: Frame to crop, of each.
        """

        def warped(place: int) -> Warped:
            return warp_in(frame, layer_of(new[place], mask_of(place)), affines[place])

        places = range(len(new))
        if _are_apart([rectangle_of(frame, affine, new.shape[1]) for affine in affines]):
            list(self.each(lambda place: put(frame, warped(place)), places))
        else:
            for layer in list(self.each(warped, places)):
                put(frame, layer)


def _are_apart(rectangles: Sequence[tuple[int, int, int, int]]) -> bool:
    """Return whether no two rectangles share a pixel."""
    return not any(
        max(left, other_left) < min(right, other_right) and max(top, other_top) < min(bottom, other_bottom)
        for (left, top, right, bottom), (other_left, other_top, other_right, other_bottom) in combinations(
            rectangles, 2
        )
    )


def carry(mask: Mask, old: Affine, new: Affine, side: int) -> Mask:
    """Return a mask of one crop as it lies in another, ``(side, side)``; 0 outside.

    Args:
        mask: Of the first crop.
        old: Frame to that crop.
        new: Frame to the other.
        side: Of the other.
    """
    onward = np.vstack([new, [0, 0, 1]]) @ np.linalg.inv(np.vstack([old, [0, 0, 1]]))
    return cv2.warpAffine(mask, onward[:2], (side, side), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]
