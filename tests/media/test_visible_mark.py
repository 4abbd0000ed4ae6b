"""Every frame of a live stream says in its own pixels that it is synthetic, whatever its size."""

import numpy as np
import pytest

from morphstream.frame import Frame
from morphstream.media.visible_mark import draw_visible_mark


def marked(width: int, height: int, grey: int = 128) -> Frame:
    frame: Frame = np.full((height, width, 3), grey, np.uint8)
    draw_visible_mark(frame)
    return frame


@pytest.mark.parametrize("grey", [0, 128, 255], ids=["black", "grey", "white"])
@pytest.mark.parametrize(
    ("width", "height", "line"),
    [
        pytest.param(320, 240, 8, id="a small frame"),
        pytest.param(640, 480, 11, id="a camera's"),
        pytest.param(360, 640, 8, id="a phone's"),
        pytest.param(3840, 2160, 50, id="a large one"),
    ],
)
def test_the_words_are_white_on_dark_and_high_enough_to_read(width: int, height: int, line: int, grey: int) -> None:
    frame = marked(width, height, grey)
    rows, columns = np.nonzero((frame != grey).any(2))
    plate = frame[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, 0]
    ink = np.nonzero(plate > 200)
    assert (rows.min() > height * 0.88, columns.max() < width / 2) == (True, True)
    assert np.ptp(ink[0]) >= line
    assert len(ink[0]) > line * line
    assert plate.min() < 100


def test_the_rest_of_the_frame_stays() -> None:
    frame = marked(640, 480)
    changed = np.nonzero((frame != 128).any(2))
    assert (changed[0].min() > 440, changed[1].min(), changed[1].max() < 220) == (True, 0, True)


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (5, 300), (300, 5)], ids=str)
def test_a_frame_that_is_too_small_for_the_words_gets_smaller_ones(size: tuple[int, int]) -> None:
    frame = marked(*size)
    assert frame.shape == (size[1], size[0], 3)
    assert (frame != 128).any()


def test_part_of_a_larger_array_is_marked_in_place() -> None:
    whole: Frame = np.full((480, 1280, 3), 128, np.uint8)
    draw_visible_mark(whole[:, 640:])
    assert (whole[:, :640] == 128).all()
    assert (whole[:, 640:] == marked(640, 480)).all()
