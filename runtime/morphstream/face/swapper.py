"""Swap the faces of frames: the workers put together."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from morphstream.artifact.errors import NoFaceError
from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.face import restore
from morphstream.face.detect import DirectSCRFD
from morphstream.face.embed import DirectArcFace
from morphstream.face.geometry import cut_crops
from morphstream.face.landmark import DirectFan685, Landmark68Detector
from morphstream.face.mask import Masks, box_mask
from morphstream.face.paste import Paster, carry
from morphstream.face.restore import Restorer
from morphstream.face.swap import TEMPLATE, Swapper
from morphstream.face.types import Affine, Face, Identity, Mask, Points
from morphstream.frame import Frame, check_frame
from morphstream.machine.probe import Machine, probe_machine
from morphstream.session.load import Engines, load_emap, usable_cores
from morphstream.session.session import Session
from morphstream.store.store import Store

DETECTOR, EMBEDDER = "det_10g", "w600k_r50"
Landmarker = Literal["2dfan4", "fan_68_5"]
_RESTORED = 0.8  # of a restored face, the rest as it was. Source: FaceFusion


class FaceSwapper:
    """Detector, embedder, swapper and masks of one store, opened; a context manager, for one thread.

    Attributes:
        swap_model: Name of the swap model.
    """

    def __init__(
        self,
        open_model: Callable[[str], Session],
        swap_model: str,
        emap: npt.NDArray[np.float32] | None,
        *,
        masks: Masks | None = None,
        threshold: float = 0.5,
        landmarker: Landmarker | None = None,
        restorer: str | None = None,
        threads: int = 1,
    ) -> None:
        """Put workers together; `open` does it for a store.

        Args:
            open_model: Opens a model by name, each once; the swapper doesn't close what it opens.
            swap_model: The model that swaps.
            emap: As `Swapper` takes it.
            masks: As `open`.
            threshold: As `open`.
            landmarker: As `open`.
            restorer: As `open`.
            threads: Threads that several faces are cut and pasted on.

        Raises:
            NoEngineError: A model can't be had.
            SessionError: One can't be opened, or the swap model doesn't swap.
        """
        self.swap_model = swap_model
        self._detector = DirectSCRFD(open_model(DETECTOR), threshold=threshold)
        self._embedder = DirectArcFace(open_model(EMBEDDER))
        self._swapper = Swapper(open_model(swap_model), emap)
        self._fan = DirectFan685(open_model("fan_68_5")) if landmarker else None
        self._landmarker = (
            Landmark68Detector(open_model(landmarker), self._fan) if self._fan and landmarker == "2dfan4" else None
        )
        self._restorer = Restorer(open_model(restorer)) if restorer else None
        self._own: Engines | None = None
        self._engines: Callable[[], Engines] | None = None
        self._stack = ExitStack()
        self._paster = self._stack.enter_context(Paster(open_model, threads=threads))
        self._masks = masks or Masks()
        self._paster.open(self._masks)

    @classmethod
    def open(
        cls,
        store: Store | str | Path,
        *,
        swap_model: str = SWAP_MODEL,
        masks: Masks | None = None,
        threshold: float = 0.5,
        landmarker: Landmarker | None = None,
        restorer: str | None = None,
        threads: int = 0,
        cuda_graph: bool = False,
        machine: Machine | None = None,
    ) -> Self:
        """Open the engines of a booted store, each warmed up; their files stay until it is closed, whoever boots.

        Args:
            store: A store, or its folder.
            swap_model: The model that swaps, such as ``hyperswap_1a_256``.
            masks: What a swapped crop may cover where a call names no others; None for box, occluder xseg_1 and the
                model's own.
            threshold: Least certainty of a face, 0..1.
            landmarker: Finds 68 points of each detected face; ``2dfan4`` aligns the face by them, too.
            restorer: Sharpens faces after the swap, such as ``gfpgan``; not for real time.
            threads: Threads to run on; 0 for all that this process may use.
            cuda_graph: Whether a GPU replays runs as CUDA graphs; a CPU has none.
            machine: What to run on; None for this one.

        Raises:
            NoEngineError: The store is empty or damaged, is for another machine, or lacks a model.
            SessionError: An engine can't be opened, or the model doesn't swap.
            OSError: The store's volume has no locks.
        """
        store, threads = store if isinstance(store, Store) else Store(store), threads or usable_cores()
        engines = partial(Engines, store, machine or probe_machine(), threads=threads, cuda_graph=cuda_graph)
        with ExitStack() as on_error:
            others = on_error.enter_context(engines())
            own = on_error.enter_context(engines())  # of the swap model, which may change
            swapper = cls(
                lambda name: own(name) if name == swap_model else others(name),
                swap_model,
                load_emap(own.installed, swap_model),
                masks=masks,
                threshold=threshold,
                landmarker=landmarker,
                restorer=restorer,
                threads=threads,
            )
            on_error.pop_all()
        swapper._stack.push(others)
        swapper._own, swapper._engines = own, engines
        store.usage.touch(swap_model)
        return swapper

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every engine."""
        self._engines = None
        with self._stack:
            if self._own:
                self._own.close()

    def use(self, swap_model: str) -> None:
        """Swap with another model from now on; until its engine is open, and if it can't be, with the one before.

        It may have come to the store since `open`, as by a `ModelDownloadService`.

        Args:
            swap_model: Such as ``hyperswap_1b_256``.

        Raises:
            NoEngineError: The store lacks it.
            SessionError: Its engine can't be opened, or doesn't swap.
            RuntimeError: It wasn't `open` that put this together, or it is closed.
        """
        if self._engines is None:
            raise RuntimeError("use: expected a swapper open on a store, seen one closed, or put together otherwise")
        with ExitStack() as on_error:
            own = on_error.enter_context(self._engines())
            swapper = Swapper(own(swap_model), load_emap(own.installed, swap_model))
            on_error.pop_all()
        before, self._own = self._own, own
        self._swapper, self.swap_model = swapper, swap_model
        own.store.usage.touch(swap_model)
        if before:
            before.close()

    def detect(self, frame: Frame) -> list[Face]:
        """Return the faces of a frame, the surest first.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``.
            SessionError: An engine failed.
        """
        faces = self._detector.detect(frame)
        if self._landmarker:
            return self._landmarker.refine(frame, faces)
        return self._fan.refine(faces) if self._fan else faces

    def embed(self, frame: Frame, faces: Sequence[Face]) -> list[Identity]:
        """Return who faces are, in their order.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            faces: Of that frame.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``, or a face's points are none.
            SessionError: The engine failed, or sees nothing.
        """
        return self._embedder.embed(frame, faces)

    def identify(self, frame: Frame, face: Face | None = None) -> Identity:
        """Return who a face is.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            face: One of its faces; None for the largest.

        Raises:
            NoFaceError: There is none.
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``.
            SessionError: An engine failed.
        """
        check_frame(frame)
        faces = [face] if face else self.detect(frame)
        if not faces:
            raise NoFaceError(
                "expected a face to identify, seen none; use a picture that shows it larger, from the front"
            )
        return self.embed(frame, [max(faces, key=lambda found: found.area)])[0]

    def swap(
        self,
        frame: Frame,
        identity: Identity | Mapping[int, Identity],
        faces: Sequence[Face] | None = None,
        *,
        masks: Masks | None = None,
        pixel_boost: int | None = None,
    ) -> Frame:
        """Return a new frame with faces swapped: each model is called once for all of them, and pasted in order.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            identity: Of every face, or by the face's place in `faces`; the others stay.
            faces: The frame's faces; None to detect them.
            masks: What a swapped crop may cover; None for those of `open`. Their models are opened now if they aren't.
            pixel_boost: Side that faces are swapped at, pixels, a multiple of the model's; None for the model's.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``, a face's points are none, or the side is no multiple.
            NoEngineError: The store lacks a mask's model.
            SessionError: An engine failed.
        """
        check_frame(frame)
        faces = self.detect(frame) if faces is None else faces
        wanted = identity if isinstance(identity, Mapping) else dict.fromkeys(range(len(faces)), identity)
        chosen = [(face, wanted[place]) for place, face in enumerate(faces) if place in wanted]
        copied = self._paster.start(lambda: np.array(frame, order="C"))
        if not chosen:
            return copied()
        points5, masks = [face.points5 for face, _ in chosen], masks or self._masks
        latents = {key: self._swapper.latent(key) for _, key in chosen}
        crops, affines = cut_crops(frame, points5, TEMPLATE, pixel_boost or self._swapper.side, each=self._paster.each)
        new = self._swapper.swap(crops, [latents[key] for _, key in chosen])
        mask_of = self._paster.masks_of(crops, new, masks)
        swapped = copied()
        self._paster.paste(swapped, new, mask_of, affines)
        if self._restorer:
            self._restore(self._restorer, swapped, points5, mask_of, affines)
        return swapped

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
        crops, own = cut_crops(frame, points5, restore.TEMPLATE, side, each=self._paster.each)

        def carried(place: int) -> Mask:
            mask = carry(mask_of(place), affines[place], own[place], side)
            return mask * box_mask(side) * np.float32(_RESTORED)

        self._paster.paste(frame, restorer.restore(crops), carried, own)
