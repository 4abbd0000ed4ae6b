"""A process is ready once a frame with a face went through both steps, in the threads that frames will have."""

import threading

import pytest

from morphstream.artifact.errors import FrameError, SessionError
from morphstream.frame import Frame, check_frame
from morphstream.health.before import FoundFaces, open_pipeline
from morphstream.health.warm_up import warm_up
from morphstream.store.store import Store


class PlayedSteps:
    """Finds no face; keeps the faces that it is to swap, and the names of the threads."""

    def __init__(self, error: SessionError | None = None) -> None:
        self._error = error
        self.found: list[FoundFaces] = []
        self.threads: list[str] = []

    def find(self, frame: Frame) -> FoundFaces:
        """Find no face."""
        self.threads.append(threading.current_thread().name)
        return FoundFaces(frame=frame, faces=[], assignment={})

    def swap(self, found: FoundFaces) -> Frame:
        """Keep the faces, or fail."""
        self.threads.append(threading.current_thread().name)
        self.found.append(found)
        if self._error:
            raise self._error
        return found.frame


def test_one_face_is_swapped_whatever_was_found() -> None:
    steps, counted = PlayedSteps(), list[tuple[float, int]]()
    warm_up((steps.find, steps.swap), lambda seconds, faces: counted.append((seconds, faces)))
    (found,) = steps.found
    check_frame(found.frame)
    assert len(found.faces) == len(found.assignment) == 1
    assert steps.threads == ["morphstream-step-1", "morphstream-step-2"]
    ((seconds, faces),) = counted
    assert seconds > 0
    assert faces == 1


def test_an_engine_that_cannot_run_is_refused() -> None:
    steps = PlayedSteps(SessionError("engine: no"))
    with pytest.raises(FrameError, match=r"^frame 0 \(0\.000 s\): engine: no$"):
        warm_up((steps.find, steps.swap), lambda *_: None)


def test_a_real_pipeline_is_warmed_up(booted: Store) -> None:
    counted: list[int] = []
    with open_pipeline(booted.path, swap_model="hyperswap_1a_256") as pipeline:
        warm_up(pipeline.steps({}), lambda _, faces: counted.append(faces))
    assert counted == [1]
