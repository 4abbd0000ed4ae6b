"""Swap the faces of frames: cut, swap, mask, paste, restore."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial, reduce
from itertools import accumulate
from typing import TypeVar

import numpy as np

from morphstream.face import restore
from morphstream.face.geometry import cut_crops
from morphstream.face.look import DEFAULT_LOOK, OCCLUDERS, Look
from morphstream.face.mask import Occluder, Parser, SteadyMasks, box_mask, own_mask, select_regions, soften
from morphstream.face.paste import carry, paste_back
from morphstream.face.restore import Restorer
from morphstream.face.swap import TEMPLATE, Swapper
from morphstream.face.types import Affine, Crop, FoundFaces, Mask, Points
from morphstream.frame import Frame
from morphstream.session.session import Session
from morphstream.turns import Turns

T = TypeVar("T")
_RESTORED = 0.8  # of a restored face, the rest as it was. Source: FaceFusion


class FaceSwapper:
    """Swap model, masks' models and restorer; any thread may call it, and one runs at a time."""

    def __init__(self, open_model: Callable[[str], Session], swapper: Swapper, *, pool: Executor | None = None) -> None:
        """Start with a swap model.

        Args:
            open_model: Returns a model by name, opened once; the caller closes them.
            swapper: The swap model.
            pool: Threads to cut, mask and paste several faces on; None for the caller's thread alone.
        """
        self._open, self._pool, self._turns = open_model, pool, Turns("swapper")
        self.use(swapper)

    @property
    def side(self) -> int:
        """Side of the swap model's crops, pixels."""
        return self._swapper.side

    def use(self, swapper: Swapper) -> None:
        """Swap with another model from the next call on; returns when no call runs with the one before."""
        with self._turns:
            self._swapper = swapper

    def close(self) -> None:
        """Refuse further calls, once the present one has ended."""
        self._turns.close()

    def swap(
        self,
        found: FoundFaces,
        look: Look = DEFAULT_LOOK,
        steady: SteadyMasks | None = None,
        *,
        swapper: Swapper | None = None,
    ) -> Frame:
        """Return a new frame with faces swapped: each model runs once for all, and faces are pasted in their order.

        Args:
            found: The frame, its faces and who they become; not modified.
            look: How they are drawn; its models are opened if they aren't yet.
            steady: The masks of the frames before, of a stream whose faces have tracks; None to smooth no mask.
            swapper: Another swap model for this frame; None for the usual one.

        Raises:
            ValueError: A face's points are all one point, or the pixel boost is no multiple of the model's side.
            NoEngineError: The store lacks a model of the look.
            SessionError: An engine failed.
        """
        return self.swap_all([found], look, [steady], swapper=swapper)[0]

    def swap_all(
        self,
        founds: Sequence[FoundFaces],
        look: Look,
        steadies: Sequence[SteadyMasks | None],
        *,
        swapper: Swapper | None = None,
    ) -> list[Frame]:
        """Return new frames with faces swapped, as `swap` does one: each model runs once for all of them."""
        busy = [place for place, found in enumerate(founds) if found.assignment]
        for place, steady in enumerate(steadies):
            if steady and place not in busy:
                steady.clear()
        with self._turns:
            copies = [self._start(partial(np.array, found.frame, order="C")) for found in founds]
            draws = self._run([founds[place] for place in busy], look, swapper or self._swapper) if busy else []
            frames = [copied() for copied in copies]
            for place, draw in zip(busy, draws, strict=True):
                draw(frames[place], steadies[place])
        return frames

    def _run(
        self, founds: Sequence[FoundFaces], look: Look, swapper: Swapper
    ) -> list[Callable[[Frame, SteadyMasks | None], None]]:
        """Run the models for the faces of one frame or more; return what draws those of each into it."""
        opened = {name: self._open(name) for name in look.drawing_models}
        side, chosen = look.pixel_boost or swapper.side, [sorted(found.assignment) for found in founds]
        starts = [0, *accumulate(map(len, chosen))]
        points5 = [[found.faces[index].points5 for index in faces] for found, faces in zip(founds, chosen, strict=True)]
        cuts = [
            cut_crops(found.frame, points, TEMPLATE, side, each=self._each)
            for found, points in zip(founds, points5, strict=True)
        ]
        crops = np.concatenate([crops for crops, _ in cuts]) if len(cuts) > 1 else cuts[0][0]
        identities = [found.assignment[index] for found, faces in zip(founds, chosen, strict=True) for index in faces]
        new = swapper.swap(crops, [swapper.cached_latent(identity) for identity in identities])
        mask_of = self._masks_of(crops, new, look, opened)

        def draw(place: int, frame: Frame, steady: SteadyMasks | None) -> None:
            start, affines, tracks = starts[place], cuts[place][1], founds[place].tracks

            def own(index: int) -> Mask:
                return mask_of(start + index)

            mask = steady.smoothed(own, [tracks[index] for index in chosen[place]]) if steady and tracks else own
            paste_back(frame, new[start : starts[place + 1]], mask, affines, each=self._each)
            if look.restorer:
                self._restore(Restorer(opened[look.restorer]), frame, points5[place], mask, affines)

        return [partial(draw, place) for place in range(len(founds))]

    def _masks_of(self, crops: Crop, new: Crop, look: Look, opened: Mapping[str, Session]) -> Callable[[int], Mask]:
        """Run each mask's model once for all crops; return what makes the mask of one, the product of all."""
        occluders = [session for name, session in opened.items() if name in OCCLUDERS]
        visible = Occluder(*occluders).find_visible(crops, each=self._each) if occluders else None
        labels = Parser(opened[look.parser]).parse(crops, each=self._each) if look.regions else None
        side = crops.shape[1]

        def mask_of(index: int) -> Mask:
            factors = [box_mask(side, look.feather)]
            if visible is not None:
                factors.append(soften(visible[index], side))
            if labels is not None and look.regions:
                factors.append(soften(select_regions(labels[index], look.regions), side))
            if look.own and new.shape[3] == 4:
                factors.append(own_mask(new[index]))
            return reduce(np.multiply, factors)

        return mask_of

    def _restore(
        self,
        restorer: Restorer,
        frame: Frame,
        points5: Sequence[Points],
        mask_of: Callable[[int], Mask],
        affines: Sequence[Affine],
    ) -> None:
        """Restore faces of a frame, in place, where they were swapped."""
        side = restorer.side
        crops, own = cut_crops(frame, points5, restore.TEMPLATE, side, each=self._each)

        def carried(index: int) -> Mask:
            mask = carry(mask_of(index), affines[index], own[index], side)
            return mask * box_mask(side) * np.float32(_RESTORED)

        paste_back(frame, restorer.restore(crops), carried, own, each=self._each)

    def _each(self, work: Callable[[int], T], indices: Iterable[int]) -> Iterable[T]:
        """Apply a function to each index, side by side where there are several; results come in order."""
        indices = list(indices)
        return self._pool.map(work, indices) if self._pool and len(indices) > 1 else map(work, indices)

    def _start(self, work: Callable[[], T]) -> Callable[[], T]:
        """Start a function on another thread where there is one; return what gives its result."""
        return self._pool.submit(work).result if self._pool else work
