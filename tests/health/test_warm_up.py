"""A process is ready once a frame with a face went through both steps, in the threads that frames will have."""

import threading
from collections.abc import Callable

import pytest

from morphstream.artifact.errors import FrameError, SessionError
from morphstream.face.types import Identity
from morphstream.frame import Frame, check_frame
from morphstream.health.before import FoundFaces, open_pipeline
from morphstream.health.warm_up import warm_up
from morphstream.store.store import Store


class PlayedPipeline:
    """Finds no face; notes the faces that it is to swap, and the threads."""

    def __init__(self, error: SessionError | None = None) -> None:
        self._error = error
        self.found: list[FoundFaces] = []
        self.notes: list[str] = []

    def steps(self, wanted: Identity) -> tuple[Callable[[Frame], FoundFaces], Callable[[FoundFaces], Frame]]:
        """Return what finds no face, and what swaps none."""
        self.notes.append(f"steps of {len(wanted.embedding)} numbers")
        return self._find, self._swap

    def _find(self, frame: Frame) -> FoundFaces:
        self.notes.append(threading.current_thread().name)
        return FoundFaces(frame=frame, faces=[], assignment={})

    def _swap(self, found: FoundFaces) -> Frame:
        self.notes.append(threading.current_thread().name)
        self.found.append(found)
        if self._error:
            raise self._error
        return found.frame


def test_one_face_is_swapped_whatever_was_found() -> None:
    pipeline, counted = PlayedPipeline(), list[tuple[float, int]]()
    warm_up(pipeline, lambda seconds, faces: counted.append((seconds, faces)))
    (found,) = pipeline.found
    check_frame(found.frame)
    assert len(found.faces) == len(found.assignment) == 1
    assert pipeline.notes == ["steps of 512 numbers", "morphstream-step-1", "morphstream-step-2"]
    ((seconds, faces),) = counted
    assert seconds > 0
    assert faces == 1


def test_an_engine_that_cannot_run_is_refused() -> None:
    with pytest.raises(FrameError, match=r"^frame 0 \(0\.000 s\): engine: no$"):
        warm_up(PlayedPipeline(SessionError("engine: no")), lambda *_: None)


def test_a_real_pipeline_is_warmed_up(booted: Store) -> None:
    counted: list[int] = []
    with open_pipeline(booted.path, swap_model="hyperswap_1a_256") as pipeline:
        warm_up(pipeline, lambda _, faces: counted.append(faces))
    assert counted == [1]
