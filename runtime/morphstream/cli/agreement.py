"""Compare the answers of a store's engines with those of the CPU's, for the same inputs, each by what it is."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from morphstream.artifact.errors import MorphstreamError, SessionError, message_of
from morphstream.boot.boot import boot
from morphstream.face.geometry import cut_crops
from morphstream.face.swap import TEMPLATE
from morphstream.face.types import Face
from morphstream.frame import Frame
from morphstream.machine.probe import Machine
from morphstream.session.load import Engines
from morphstream.session.session import Array, Session
from morphstream.source.source import Source
from morphstream.store.store import Store

# The least that agrees in half precision: the cosine of any column, or of an embedding; the ratio of a crop to its
# error in dB; the share of equal labels.
_LEAST = {"cosine": 0.99, "psnr_db": 30.0, "equal": 0.98}
_EQUAL_DB = 100.0  # of equal crops, whose ratio is infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How near an engine's answers are to the CPU's.

    Attributes:
        model: Its name.
        kind: What is compared: ``cosine``, ``psnr_db`` or ``equal``; empty where nothing could be.
        least: The least of all rows, columns and outputs.
        error: Why there are no answers; empty where there are.
    """

    model: str
    kind: str = ""
    least: float = 0.0
    error: str = ""

    @property
    def is_close(self) -> bool:
        """Whether both say the same, as far as half precision can."""
        return not self.error and self.least >= _LEAST[self.kind]

    def __str__(self) -> str:
        if self.error:
            return f"{self.model:20}  {self.error}"
        least = f"{self.kind} {self.least:.5g}"
        return f"{self.model:20}  {least:18}  {'as the CPU' if self.is_close else f'OFF, expected {_LEAST[self.kind]}'}"


def agreements(
    store: Store, machine: Machine, sources: Sequence[Source], frame: Frame, face: Face
) -> Iterator[Agreement]:
    """Yield the agreement of each model that a store has, with the CPU's engines of the same publication.

    Args:
        store: A booted store of a GPU, or of a CPU in bfloat16.
        machine: This one.
        sources: Where the CPU's engines come from; they are installed in a folder that is removed.
        frame: What the engines get to see.
        face: One of its faces.

    Raises:
        MorphstreamError: No source has engines for the CPU.
    """
    with tempfile.TemporaryDirectory() as folder:
        boot(folder, target="cpu", source=sources, machine=machine)
        for model in store.current().models:
            try:
                with (
                    Engines(store, machine, threads=0, cuda_graph=False) as engines,
                    Engines(Store(folder), machine, threads=0, cuda_graph=False) as reference,
                ):
                    yield _compared(model, engines(model), reference(model), frame, face)
            except MorphstreamError as error:
                yield Agreement(model=model, error=message_of(error))


def inputs_of(session: Session, frame: Frame, face: Face) -> Iterator[Mapping[str, Array]]:
    """Yield inputs for an engine: a row and its mirror image, and one row at each of its further sizes.

    An input of three axes is an image, the whole frame or a crop of the face; one of 512 numbers is an identity; any
    other has points from 0 to 1. Such are those of prepared models.
    """
    for size in [None, *session.sizes]:
        random, arrays = np.random.default_rng(0), dict[str, Array]()
        for name, (_, *shape) in session.input_shapes.items():
            if len(shape) == 3:
                width, height = size or (shape[1], shape[0])
                image = frame if name == "frame" else cut_crops(frame, [face.points5], TEMPLATE, width)[0][0]
                image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
                arrays[name] = np.stack([image, image[:, ::-1]][: 1 if size else 2])
            elif len(shape) == 1:
                arrays[name] = np.stack([random.standard_normal(shape) / np.sqrt(shape[0])] * 2).astype(np.float32)
            else:
                arrays[name] = random.uniform(0.2, 0.8, (2, *shape)).astype(np.float32)
        yield arrays


def nearness(name: str, seen: Array, reference: Array) -> tuple[str, float]:
    """Return by what an output is compared, and the least of all rows and columns.

    Raises:
        SessionError: The outputs are of other shapes or types.
    """
    if (seen.shape, seen.dtype.kind) != (reference.shape, reference.dtype.kind):
        expected = f"{name}: expected {reference.dtype} of shape {reference.shape}"
        raise SessionError(f"{expected}, seen {seen.dtype} of shape {seen.shape}")
    if name == "labels":
        return "equal", float((seen == reference).mean())
    a, b = (array.astype(np.float64).reshape(len(array), -1, array.shape[-1]) for array in (seen, reference))
    if seen.dtype == np.uint8:
        error = ((a - b) ** 2).mean((1, 2)).max()
        return "psnr_db", float(min(_EQUAL_DB, 10 * np.log10(255**2 / error)) if error else _EQUAL_DB)
    axis = 1 if a.shape[1] > a.shape[2] else 2  # over the items of a column, which are more than columns
    both = (a * a).sum(axis) + (b * b).sum(axis)
    cosines = np.divide(2 * (a * b).sum(axis), both, out=np.ones_like(both), where=both > 1e-6)
    return "cosine", float(cosines.min())


def _compared(model: str, session: Session, reference: Session, frame: Frame, face: Face) -> Agreement:
    found = list[tuple[str, float]]()
    for inputs in inputs_of(reference, frame, face):
        expected, seen = reference.run(inputs), session.run(inputs)
        if not (names := expected.keys() & seen.keys()):  # OpenVINO has others beside, of its own
            raise SessionError(f"{model}: expected outputs {', '.join(expected)}, seen {', '.join(seen)}")
        found += [nearness(name, seen[name], expected[name]) for name in sorted(names)]
    kind, least = min(found, key=lambda pair: pair[1] - _LEAST[pair[0]])
    return Agreement(model=model, kind=kind, least=least)
