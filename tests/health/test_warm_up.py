"""Engines are warm once a frame with a face went through both steps, whatever was found in it."""

import pytest

from morphstream.artifact.errors import SessionError
from morphstream.face.types import FoundFaces
from morphstream.frame import Frame, check_frame
from morphstream.health.serve import open_warm, warm_up
from morphstream.store.store import Store


class PlayedSteps:
    """Finds no face; keeps the faces that it is to swap."""

    def __init__(self, error: SessionError | None = None) -> None:
        self._error = error
        self.found: list[FoundFaces] = []
        self.searched: list[Frame] = []

    def find(self, frame: Frame) -> FoundFaces:
        """Find no face."""
        self.searched.append(frame)
        return FoundFaces(frame=frame, faces=[], assignment={})

    def swap(self, found: FoundFaces) -> Frame:
        """Keep the faces, or fail."""
        self.found.append(found)
        if self._error:
            raise self._error
        return found.frame


def test_one_face_is_swapped_whatever_was_found() -> None:
    steps = PlayedSteps()
    warm_up((steps.find, steps.swap))
    (frame,), (found,) = steps.searched, steps.found
    check_frame(frame)
    assert found.frame is frame
    assert len(found.faces) == len(found.assignment) == 1


def test_an_engine_that_cannot_run_is_refused() -> None:
    steps = PlayedSteps(SessionError("engine: no"))
    with pytest.raises(SessionError, match=r"^engine: no$"):
        warm_up((steps.find, steps.swap))


@pytest.mark.parametrize("swap_model", ["inswapper_128_fp16", "hyperswap_1a_256"])
def test_a_real_pipeline_is_warmed_up(booted: Store, swap_model: str) -> None:
    with open_warm(booted.path, swap_model):
        pass
