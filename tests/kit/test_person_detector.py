"""The person detector keeps its contract and finds the one person of a photo, and none where no skin is."""

import cv2
import numpy as np
import pytest

from stages.kit.person_detector import yolov8n
from tests.kit import BOX, Array, astronaut, contract, cosine, half, planes, run, serialized

SCALE = 640 / 512


@pytest.fixture(scope="module", name="photo")
def enlarged_astronaut() -> Array:
    return planes(cv2.resize(astronaut(), (640, 640)) / 255)


def test_the_contract_is_the_real_model_s() -> None:
    assert contract(yolov8n()) == ({"images": [1, 3, 640, 640]}, {"output0": [1, 84, 8400]})


def test_two_builds_have_the_same_bytes() -> None:
    assert serialized(yolov8n()) == serialized(yolov8n())


def test_the_best_box_is_a_person_about_the_head(photo: Array) -> None:
    columns = run(yolov8n(), photo)[0][0]
    x, y, width, height, score = columns[:5, columns[4].argmax()]
    left, top, right, bottom = BOX * SCALE
    assert score > 0.8
    assert x - width / 2 < left < right < x + width / 2
    assert y - height / 2 < top < bottom < y + height / 2
    assert width < 4 * (right - left)
    assert height > 3 * (bottom - top)


def test_every_sure_box_is_that_person_s(photo: Array) -> None:
    columns = run(yolov8n(), photo)[0][0]
    best, sure = columns[:2, columns[4].argmax()], columns[:2, columns[4] > 0.5]
    assert np.abs(sure - best[:, None]).max() < 64


def test_boxes_are_inside_the_image_and_only_persons_have_scores(photo: Array) -> None:
    columns = run(yolov8n(), photo)[0][0]
    edges = [columns[:2] - columns[2:4] / 2, columns[:2] + columns[2:4] / 2]
    assert np.min(edges) >= 0
    assert np.max(edges) <= 640
    assert columns[4].min() >= 0
    assert columns[4].max() <= 1
    assert not columns[5:].any()


@pytest.mark.parametrize("rgb", [(0, 0, 0), (114, 114, 114), (255, 255, 255), (40, 90, 200)])
def test_nobody_is_found_without_skin(rgb: tuple[int, int, int]) -> None:
    image = np.broadcast_to(np.array(rgb, np.float32)[None, :, None, None] / 255, (1, 3, 640, 640))
    assert not run(yolov8n(), image)[0][0, 4:].any()


def test_half_precision_gives_the_same(photo: Array) -> None:
    single, halved = run(yolov8n(), photo)[0][0], run(half(yolov8n()), photo)[0][0]
    assert cosine(single, halved) > 0.999
    np.testing.assert_allclose(halved[4:], single[4:], atol=0.02)
