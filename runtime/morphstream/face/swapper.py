"""Swap the faces of frames: the workers put together."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from morphstream.artifact.errors import NoFaceError
from morphstream.face.detect import DirectSCRFD
from morphstream.face.embed import DirectArcFace
from morphstream.face.geometry import align, cut_crop, paste_back
from morphstream.face.mask import Occluder, box_mask
from morphstream.face.swap import TEMPLATE, Swapper
from morphstream.face.types import Face, Frame, Identity, check_frame
from morphstream.session.load import load_emap, open_session
from morphstream.session.session import Session
from morphstream.store.machine import Machine, probe_machine
from morphstream.store.select import check_usable
from morphstream.store.store import Store

DETECTOR, EMBEDDER, OCCLUDER = "det_10g", "w600k_r50", "xseg_1"
SWAP_MODEL = "inswapper_128_fp16"  # the default preset of the model card


class FaceSwapper:
    """Detector, embedder, swapper and occluder of one store, opened; a context manager, for one thread.

    Attributes:
        swap_model: Name of the swap model.
    """

    def __init__(
        self,
        detector: DirectSCRFD,
        embedder: DirectArcFace,
        swapper: Swapper,
        occluder: Occluder,
        swap_model: str,
    ) -> None:
        self.swap_model = swap_model
        self._detector, self._embedder, self._swapper, self._occluder = detector, embedder, swapper, occluder
        self._stack = ExitStack()

    @classmethod
    def open(
        cls,
        store: Store | str | Path,
        *,
        swap_model: str = SWAP_MODEL,
        threshold: float = 0.5,
        threads: int = 0,
        machine: Machine | None = None,
    ) -> Self:
        """Open the engines of a booted store.

        Args:
            store: A store, or its folder.
            swap_model: The model that swaps, such as ``hyperswap_1a_256``.
            threshold: Least certainty of a face, 0..1.
            threads: Threads to run on; 0 lets the library choose.
            machine: What to run on; None for this one.

        Raises:
            NoEngineError: The store is empty or damaged, is for another machine, or lacks a model.
            SessionError: An engine can't be opened, or the model doesn't swap.
        """
        store = store if isinstance(store, Store) else Store(store)
        installed = store.current()
        check_usable(installed.cache_key, machine or probe_machine())
        with ExitStack() as stack:

            def opened(model: str) -> Session:
                session = open_session(installed, model, threads=threads)
                stack.callback(session.close)
                return session

            swapper = cls(
                DirectSCRFD(opened(DETECTOR), threshold=threshold),
                DirectArcFace(opened(EMBEDDER)),
                Swapper(opened(swap_model), load_emap(installed, swap_model)),
                Occluder(opened(OCCLUDER)),
                swap_model,
            )
            swapper._stack = stack.pop_all()
        return swapper

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every engine."""
        self._stack.close()

    def detect(self, frame: Frame) -> list[Face]:
        """Return the faces of a frame, the surest first.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``.
            SessionError: The engine failed.
        """
        return self._detector.detect(frame)

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
        return self._embedder.embed(frame, max(faces, key=lambda found: found.area))

    def swap(self, frame: Frame, identity: Identity | Mapping[int, Identity], faces: list[Face] | None = None) -> Frame:
        """Return a new frame with faces swapped.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            identity: Of every face, or by the face's place in `faces`; the others stay.
            faces: The frame's faces; None to detect them.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``.
            SessionError: An engine failed.
        """
        check_frame(frame)
        faces = self.detect(frame) if faces is None else faces
        wanted = identity if isinstance(identity, Mapping) else dict.fromkeys(range(len(faces)), identity)
        latents = {key: self._swapper.latent(key) for key in wanted.values()}
        swapped = frame.copy()
        for place, face in enumerate(faces):
            if place in wanted:
                self._swap_face(frame, swapped, face, latents[wanted[place]])
        return swapped

    def _swap_face(self, frame: Frame, swapped: Frame, face: Face, latent: npt.NDArray[np.float32]) -> None:
        side = self._swapper.side
        affine = align(face.points5, TEMPLATE, side)
        crop = cut_crop(frame, affine, side)
        new, model_mask = self._swapper.swap(crop, latent)
        mask = box_mask(side) * self._occluder.mask(crop)
        paste_back(swapped, new, mask if model_mask is None else mask * model_mask, affine)
