"""The detector finds real faces where they are, whatever the frame's form, and decodes SCRFD's outputs as written."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from morphstream.artifact.errors import SessionError
from morphstream.face.detect import STRIDES, DirectSCRFD
from morphstream.face.types import Face
from morphstream.face.views import whole
from morphstream.frame import Frame
from morphstream.session.onnxruntime import OnnxRuntimeSession
from morphstream.session.session import Array
from tests.face import ASTRONAUT, CANVAS, Detection, PlayedSession, near, noise, scrfd_outputs
from tests.stages import original


def player(answer: Mapping[str, Array]) -> PlayedSession:
    return PlayedSession({"frame": (1, CANVAS, CANVAS, 3)}, lambda _: answer)


def found(*detections: Detection, frame: Frame | None = None) -> list[Face]:
    frame = np.zeros((CANVAS, CANVAS, 3), np.uint8) if frame is None else frame
    return DirectSCRFD(player(scrfd_outputs(*detections))).detect(frame)


def scores(*detections: Detection) -> list[float]:
    return [round(face.score, 3) for face in found(*detections)]


def test_the_astronaut_is_found(detector: DirectSCRFD, astronaut: Frame) -> None:
    (face,) = detector.detect(astronaut)
    np.testing.assert_allclose(face.box_xyxy, ASTRONAUT.box_xyxy, atol=0.5)
    np.testing.assert_allclose(face.points5, ASTRONAUT.points5, atol=0.5)
    assert face.score == pytest.approx(ASTRONAUT.score, abs=1e-3)


def test_the_astronaut_is_found_on_the_small_canvas_in_a_quarter_of_the_pixels(
    detector: DirectSCRFD, astronaut: Frame
) -> None:
    usual, small = detector.sizes
    assert (usual, small) == ((640, 640), (320, 320))
    (face,) = detector.look(astronaut, whole((512, 512), small), size=small)
    scale = 512 / 320
    points = (face.points5 + 0.5) * scale - 0.5
    eyes = np.hypot(*(ASTRONAUT.points5[1] - ASTRONAUT.points5[0]))
    assert np.abs(points - ASTRONAUT.points5).max() < 0.06 * eyes
    assert face.score > 0.7


def test_29_people_are_found_in_the_group_the_surest_first(group_faces: list[Face]) -> None:
    assert len(group_faces) == 29
    assert [face.score for face in group_faces] == sorted((face.score for face in group_faces), reverse=True)
    for face in group_faces:
        (left, top, right, bottom), (x, y) = face.box_xyxy, face.points5.T
        assert left < x.min() < x.max() < right
        assert top < y.min() < y.max() < bottom
        assert face.area == pytest.approx((right - left) * (bottom - top))


@pytest.mark.parametrize(
    ("width", "height"),
    [(2000, 512), (2111, 600), (700, 512), (512, 2000), (601, 1903), (1333, 777)],
    ids=lambda side: str(side),
)
def test_a_face_in_a_wide_or_tall_frame_is_found_where_it_is(
    detector: DirectSCRFD, astronaut: Frame, width: int, height: int
) -> None:
    frame = np.full((height, width, 3), 127, np.uint8)
    frame[height - 512 :, width - 512 :] = astronaut
    face = near(ASTRONAUT, detector.detect(frame))
    offset = np.array([width - 512, height - 512])
    canvas_pixel = max(width, height) / 640
    rounded = max(width, height) / (640 * min(width, height) / max(width, height))  # the shorter side, to whole pixels
    middle = face.points5.mean(0) - offset
    np.testing.assert_allclose(middle, ASTRONAUT.points5.mean(0), atol=1 + canvas_pixel + rounded)


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (1, 4000), (4000, 1), (2, 3), (480, 640)],
    ids=["a pixel", "a row", "a column", "six pixels", "a usual one"],
)
def test_a_frame_without_a_face_has_none(detector: DirectSCRFD, shape: tuple[int, int]) -> None:
    assert detector.detect(np.full((*shape, 3), 90, np.uint8)) == []


@pytest.mark.parametrize("times", [1, 3, 5])
def test_a_frame_an_odd_number_of_times_the_canvas_is_sampled_as_linearly(times: int) -> None:
    frame = noise(times * CANVAS // 2, times * CANVAS)
    session = player(scrfd_outputs())
    DirectSCRFD(session).detect(frame)
    wanted = cv2.resize(frame, (CANVAS, CANVAS // 2), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(session.given[0]["frame"][0, : CANVAS // 2], wanted)


def test_a_frame_need_not_be_contiguous(detector: DirectSCRFD, astronaut: Frame) -> None:
    mirrored = astronaut[:, ::-1]
    (face,) = detector.detect(mirrored)
    (expected,) = detector.detect(np.ascontiguousarray(mirrored))
    np.testing.assert_array_equal(face.points5, expected.points5)
    assert face.points5[0, 0] < face.points5[1, 0]  # left is the frame's left


def test_nothing_of_the_frame_before_is_seen(detector: DirectSCRFD, astronaut: Frame) -> None:
    detector.detect(astronaut)
    assert detector.detect(np.full((100, 512, 3), 90, np.uint8)) == []


@pytest.mark.parametrize(("anchor", "x", "y"), [(0, 0, 0), (1, 0, 0), (2, 8, 0), (16, 0, 8), (53, 16, 24)])
def test_a_box_and_points_are_distances_from_the_anchor_in_strides(anchor: int, x: int, y: int) -> None:
    (face,) = found((8, anchor, 0.9, [1, 2, 3, 4]))
    np.testing.assert_allclose(face.box_xyxy, [x - 8, y - 16, x + 24, y + 32])
    np.testing.assert_allclose(face.points5, np.arange(10).reshape(5, 2) * 8 + [x, y])
    assert face.score == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("height", "width", "x", "y"),
    [(128, 128, 2, 2), (32, 32, 0.5, 0.5), (64, 128, 2, 2), (128, 64, 2, 2), (100, 300, 100 / 21, 100 / 21)],
    ids=["larger", "smaller", "wide", "tall", "rounded as InsightFace does"],
)
def test_what_is_found_is_given_in_the_frames_own_pixels(height: int, width: int, x: float, y: float) -> None:
    (face,) = found((16, 10, 0.9, [1, 1, 1, 1]), frame=np.zeros((height, width, 3), np.uint8))
    np.testing.assert_allclose(face.box_xyxy, [0, 0, 32 * x, 32 * y])
    np.testing.assert_allclose(face.points5, (np.arange(10).reshape(5, 2) + 1) * 16 * [x, y])


def test_of_boxes_that_overlap_the_surest_stays() -> None:
    assert scores((8, 18, 0.6, [2, 2, 2, 2]), (8, 20, 0.8, [2, 2, 2, 2]), (16, 10, 0.7, [1, 1, 1, 1])) == [0.8]


def test_boxes_that_hardly_overlap_all_stay() -> None:
    assert scores((8, 18, 0.6, [2, 2, 2, 2]), (8, 26, 0.8, [2, 2, 2, 2])) == [0.8, 0.6]


def test_a_box_that_only_a_covered_one_covers_stays() -> None:
    row = [(8, anchor, score, [2.0, 2, 2, 2]) for anchor, score in ((18, 0.9), (20, 0.8), (22, 0.7))]
    assert scores(*row) == [0.9, 0.7]


def test_of_equally_sure_boxes_the_first_stays() -> None:
    first, second = found((8, 18, 0.75, [2, 2, 2, 2]), (8, 19, 0.75, [1, 2, 2, 2]), (32, 7, 0.75, [1, 1, 1, 1]))
    np.testing.assert_allclose(first.box_xyxy, [8 - 16, 8 - 16, 8 + 16, 8 + 16])
    np.testing.assert_allclose(second.box_xyxy, [0, 0, 64, 64])


def test_equally_sure_faces_come_in_the_order_of_their_anchors() -> None:
    faces = found(*[(8, anchor, (0.75, 0.875)[anchor % 3 == 0], [0.1, 0.1, 0.1, 0.1]) for anchor in range(0, 128, 2)])
    order = [(-face.score, *face.box_xyxy[1::-1]) for face in faces]  # from top to bottom, from left to right
    assert len(order) == 64
    assert order == sorted(order)


def test_scores_below_the_threshold_are_no_faces() -> None:
    answer = scrfd_outputs((8, 0, 0.25, [1, 1, 1, 1]), (8, 60, 0.375, [1, 1, 1, 1]), (32, 7, 0.5, [1, 1, 1, 1]))
    frame = np.zeros((CANVAS, CANVAS, 3), np.uint8)
    counts = [len(DirectSCRFD(player(answer), threshold=least).detect(frame)) for least in (0.25, 0.375, 0.5, 0.6)]
    assert counts == [3, 2, 1, 0]


def test_the_faces_outlive_the_next_frame() -> None:
    session = player(answer := scrfd_outputs((8, 53, 0.9, [1, 2, 3, 4])))
    (face,) = DirectSCRFD(session).detect(np.zeros((CANVAS, CANVAS, 3), np.uint8))
    before = (face.box_xyxy.copy(), face.points5.copy(), face.score)
    for array in answer.values():
        array.fill(0)
    np.testing.assert_array_equal(face.box_xyxy, before[0])
    np.testing.assert_array_equal(face.points5, before[1])
    assert face.score == before[2]


def test_a_view_is_looked_at_on_the_canvas_that_is_asked_for() -> None:
    small = (CANVAS // 2, CANVAS // 2)
    answer = scrfd_outputs((16, 2, 0.9, [1, 1, 1, 1]), side=CANVAS // 2)
    session = PlayedSession({"frame": (-1, CANVAS, CANVAS, 3)}, lambda _: answer, sizes=[small])
    detector = DirectSCRFD(session)
    assert detector.sizes == ((CANVAS, CANVAS), small)
    (face,) = detector.look(np.full((CANVAS, CANVAS, 3), 90, np.uint8), whole((CANVAS, CANVAS), small), size=small)
    np.testing.assert_allclose(face.box_xyxy, [0, -16, 32, 16])  # at (16, 0)
    (given,) = session.given
    assert given["frame"].shape == (1, *small, 3)
    assert (given["frame"][0, 1:-1, 1:-1] == 90).all()


def test_a_canvas_that_the_engine_has_not_is_the_callers_mistake() -> None:
    detector = DirectSCRFD(player(scrfd_outputs()))
    assert detector.sizes == (detector.size,) == ((CANVAS, CANVAS),)
    with pytest.raises(ValueError, match=r"expected one of the sizes \(\(64, 64\),\), seen \(32, 32\)"):
        detector.look(noise(CANVAS, CANVAS), [], size=(32, 32))


def test_the_frame_is_fitted_into_the_top_left_and_the_rest_is_black() -> None:
    session = player(scrfd_outputs())
    detector = DirectSCRFD(session)
    wide = noise(CANVAS // 2, CANVAS)
    detector.detect(np.full((CANVAS, CANVAS, 3), 255, np.uint8))
    detector.detect(wide)
    canvas = session.given[-1]["frame"]
    assert canvas.shape == (1, CANVAS, CANVAS, 3)
    assert canvas.dtype == np.uint8
    np.testing.assert_array_equal(canvas[0, : CANVAS // 2], wide)
    assert not canvas[0, CANVAS // 2 :].any()


@pytest.mark.parametrize(
    ("frame", "error", "expected"),
    [
        pytest.param(np.zeros((9, 9, 3), np.float32), TypeError, "uint8, seen float32", id="floats"),
        pytest.param(np.zeros((9, 9), np.uint8), ValueError, r"seen shape \(9, 9\)", id="grey"),
        pytest.param(np.zeros((9, 9, 4), np.uint8), ValueError, r"seen shape \(9, 9, 4\)", id="with alpha"),
        pytest.param(np.zeros((1, 9, 9, 3), np.uint8), ValueError, "seen shape", id="a batch"),
        pytest.param(np.zeros((0, 9, 3), np.uint8), ValueError, r"seen shape \(0, 9, 3\)", id="no rows"),
        pytest.param(np.zeros((9, 0, 3), np.uint8), ValueError, r"seen shape \(9, 0, 3\)", id="no columns"),
    ],
)
def test_what_is_no_frame_is_refused(frame: Frame, error: type[Exception], expected: str) -> None:
    session = player(scrfd_outputs())
    with pytest.raises(error, match=expected):
        DirectSCRFD(session).detect(frame)
    assert session.given == []


EXPORT = ((8, 18, 0.9, [1.0, 1, 1, 1]), (16, 20, 0.6, [1.0, 2, 3, 4]))


def exported(*, ranks: int, order: int = 0) -> dict[str, Array]:
    """Return what an export gives for two faces: nine arrays, with a batch axis or without, in some order."""
    anchors = scrfd_outputs(*EXPORT)["anchors"][0]
    counts = [2 * (CANVAS // stride) ** 2 for stride in STRIDES]
    strides = np.split(anchors, np.cumsum(counts)[:-1])
    arrays = [rows[:, columns] for columns in (slice(1), slice(1, 5), slice(5, 15)) for rows in strides]
    arrays = [array[None] if ranks == 3 else array for array in arrays]
    numbers = np.random.default_rng(order).permutation(9) if order else range(9)
    return {str(number): arrays[number] for number in numbers}


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_any_export_is_decoded_by_its_arrays_shapes(ranks: int, order: int) -> None:
    session = PlayedSession({"input.1": (1, 3, -1, -1)}, lambda _: exported(ranks=ranks, order=order))
    frame = noise(CANVAS, CANVAS)
    faces = DirectSCRFD(session, side=CANVAS).detect(frame)
    for face, expected in zip(faces, found(*EXPORT, frame=frame), strict=True):
        np.testing.assert_array_equal(face.box_xyxy, expected.box_xyxy)
        np.testing.assert_array_equal(face.points5, expected.points5)
    given = session.given[0]["input.1"]
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, (frame[..., ::-1].transpose(2, 0, 1)[None] - 127.5) / 128, atol=1e-6)


def test_an_export_without_points_is_refused() -> None:
    session = PlayedSession({"input.1": (1, 3, CANVAS, CANVAS)}, lambda _: dict([*exported(ranks=2).items()][:6]))
    with pytest.raises(
        SessionError, match=r"expected a detector's scores, boxes and points, .*; use SCRFD with points"
    ):
        DirectSCRFD(session).detect(noise(9, 9))


def test_the_export_that_the_kit_is_made_of_finds_what_the_prepared_one_does(
    detector: DirectSCRFD, astronaut: Frame, tmp_path: Path
) -> None:
    (tmp_path / "scrfd.onnx").write_bytes(original("det_10g"))
    session = OnnxRuntimeSession(tmp_path / "scrfd.onnx", provider="CPUExecutionProvider", threads=1)
    (face,), (expected,) = DirectSCRFD(session).detect(astronaut), detector.detect(astronaut)
    np.testing.assert_allclose(face.box_xyxy, expected.box_xyxy, atol=1e-3)
    np.testing.assert_allclose(face.points5, expected.points5, atol=1e-3)
    assert face.score == pytest.approx(expected.score, abs=1e-5)
    session.close()


def test_a_model_that_takes_no_frames_is_no_detector() -> None:
    for shape in ((-1, 512), (1, 68, 2), (1, 640, 640, 4)):
        with pytest.raises(SessionError, match="expected a detector with frames as input, seen x"):
            DirectSCRFD(PlayedSession({"x": shape}, lambda _: {}))


def test_a_canvas_is_a_multiple_of_the_greatest_stride() -> None:
    with pytest.raises(ValueError, match="expected a multiple of 32 pixels, seen 300 x 300"):
        DirectSCRFD(PlayedSession({"x": (1, 3, -1, -1)}, lambda _: {}), side=300)
