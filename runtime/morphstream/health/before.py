"""The steps of a `FaceSwapper`, until `SwapPipeline` has them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from morphstream.face.swapper import FaceSwapper
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundFaces:
    """A frame, its faces, and who becomes whom."""

    frame: Frame
    faces: Sequence[Face]
    assignment: Mapping[int, Identity]


class SwapperSteps:
    """A swapper's two steps."""

    def __init__(self, swapper: FaceSwapper) -> None:
        self._swapper = swapper

    def steps(
        self, wanted: Identity | Mapping[int, Identity]
    ) -> tuple[Callable[[Frame], FoundFaces], Callable[[FoundFaces], Frame]]:
        """Return what finds the faces of a frame, and what gives each of them an identity."""

        def find(frame: Frame) -> FoundFaces:
            faces = self._swapper.detect(frame)
            given = dict.fromkeys(range(len(faces)), wanted) if isinstance(wanted, Identity) else wanted
            return FoundFaces(frame=frame, faces=faces, assignment=given)

        def swap(found: FoundFaces) -> Frame:
            return self._swapper.swap(found.frame, found.assignment, found.faces)

        return find, swap


@contextmanager
def open_pipeline(store: Path, *, swap_model: str) -> Iterator[SwapperSteps]:
    """Open the engines of a store."""
    with FaceSwapper.open(store, swap_model=swap_model) as swapper:
        yield SwapperSteps(swapper)
