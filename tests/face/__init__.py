"""Tests of the face code, a session without an engine, and the photos."""

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.face.detect import STRIDES
from morphstream.face.geometry import align
from morphstream.face.swap import TEMPLATE
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame
from morphstream.session.session import Array
from stages.kit.mean_face import outline, place
from tests.kit import POINTS5, astronaut

CANVAS = 64  # side of what a played detector sees
ASTRONAUT = Face(box_xyxy=np.array([180.8, 55.7, 271.0, 178.4]), points5=POINTS5, score=0.821)
UPRIGHT = Face(box_xyxy=ASTRONAUT.box_xyxy, points5=TEMPLATE * 128 + [50, 60], score=1)  # its crop is unscaled
SWAP_SHAPES = {"crop": (1, 128, 128, 3), "source": (1, 512)}
MASK_SHAPES = {"crop": (1, 128, 128, 3)}

Detection = tuple[int, int, float, list[float]]  # stride, number of the anchor, score, four sides
Answer = Callable[[Mapping[str, Array]], Mapping[str, Array]]


class PlayedSession:
    """A session without an engine: it notes what it is given and answers with a function of it."""

    def __init__(
        self, input_shapes: Mapping[str, tuple[int, ...]], answer: Answer, sizes: Sequence[tuple[int, int]] = ()
    ) -> None:
        self._input_shapes = input_shapes
        self.sizes = sizes
        self._answer = answer
        self.given: list[Mapping[str, Array]] = []
        self.is_closed = False

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shapes it was made with."""
        return self._input_shapes

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Note the inputs and answer."""
        self.given.append({name: array.copy() for name, array in inputs.items()})
        return self._answer(inputs)

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True


def astronaut_bgr() -> Frame:
    """Return the photo, (512, 512, 3) BGR; its face is `ASTRONAUT`."""
    return np.ascontiguousarray(astronaut()[..., ::-1])


def scrfd_outputs(*detections: Detection, side: int = CANVAS) -> dict[str, Array]:
    """Return the detector's output for a square canvas, with detections in it."""
    strides = {stride: np.zeros((1, 2 * (side // stride) ** 2, 15), np.float32) for stride in STRIDES}
    for stride, anchor, score, sides in detections:
        strides[stride][0, anchor] = [score, *sides, *range(10)]
    return {"anchors": np.concatenate(list(strides.values()), axis=1)}


def identity_of(numbers: npt.ArrayLike) -> Identity:
    """Return an identity in the direction of the first of 512 numbers; the others are 0."""
    embedding = np.zeros(512, np.float32)
    embedding[: np.size(numbers)] = numbers
    return Identity(embedding=embedding / np.linalg.norm(embedding))


def found(frame: Frame, identity: Identity, *faces: Face) -> FoundFaces:
    """Return a frame whose given faces all become one identity."""
    return FoundFaces(frame=frame, faces=faces, assignment=dict.fromkeys(range(len(faces)), identity))


def changed(first: Frame, second: Frame) -> npt.NDArray[np.bool_]:
    """Return where two frames differ."""
    return np.asarray((first != second).any(axis=2))


def around(faces: Sequence[Face], frame: Frame) -> npt.NDArray[np.bool_]:
    """Return where the mean faces are, a quarter larger than they are, so that what is left is hair and all else."""
    canvas = np.zeros(frame.shape[:2], np.uint8)
    wider = outline().mean(0) + 1.25 * (outline() - outline().mean(0))
    for face in faces:
        inverse = np.asarray(cv2.invertAffineTransform(align(face.points5, TEMPLATE, 1)), np.float64)
        cv2.fillConvexPoly(canvas, np.rint(place(wider, inverse)).astype(np.int32), 1)
    return canvas > 0


def echo(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """Answer as a swap model that inverts colours."""
    return {"swapped": 255 - inputs["crop"]}


def visible(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """Answer as an occluder that sees nothing before a face."""
    return {"mask": np.ones((len(inputs["crop"]), 128, 128, 1), np.float32)}


def near(face: Face, found: list[Face]) -> Face:
    """Return the one of some faces that lies nearest to a face."""
    return min(found, key=lambda other: float(np.abs(other.points5 - face.points5).sum()))


def noise(height: int, width: int, seed: int = 0) -> Frame:
    """Return a frame of random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def waves(height: int, width: int) -> Frame:
    """Return a frame so smooth that looking at it twice between its pixels changes nothing."""
    y, x = np.mgrid[:height, :width]
    layers = [128 + 60 * np.sin((x + 2 * y) / 150), 128 + 60 * np.cos((y - x) / 100), 60 + 0.3 * x + 0.2 * y]
    return np.asarray(np.clip(np.stack(layers, axis=-1), 0, 255), np.uint8)


def enlarged(frame: Frame, scale: float) -> Frame:
    """Return a frame in another size."""
    return cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
