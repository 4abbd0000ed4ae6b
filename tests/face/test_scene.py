"""A cut of the scene is told from what moves, turns, comes nearer or flashes."""

from collections.abc import Callable

import pytest

from bench.clips import clip
from morphstream.face.scene import changed, glimpse_of, is_cut
from morphstream.frame import Frame
from tests.face import noise

SIZE = (320, 180)


def shot(name: str, index: int) -> Frame:
    return clip(name, SIZE).frame(index)


@pytest.mark.parametrize("name", ["pan", "zoom", "roll", "blur", "board", "cross"])
def test_what_moves_is_no_cut(name: str) -> None:
    glimpses = [glimpse_of(shot(name, index)) for index in (14, 15)]
    assert not is_cut(*glimpses)
    assert changed(*glimpses) < 1


@pytest.mark.parametrize("index", [15, 30, 45])
def test_another_scene_is_a_cut(index: int) -> None:
    before, first, second = (glimpse_of(shot("scenes", at)) for at in (index - 1, index, index + 1))
    assert is_cut(before, first)
    assert not is_cut(first, second)
    assert changed(before, first) > 0.8
    assert changed(first, second) == 0


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(lambda frame: frame // 2 + 110, id="a flash"),
        pytest.param(lambda frame: frame // 4, id="the light goes out"),
    ],
)
def test_another_brightness_is_no_cut(how: Callable[[Frame], Frame]) -> None:
    frame = shot("still", 0)
    old, new = glimpse_of(frame), glimpse_of(how(frame))
    assert not is_cut(old, new)
    assert changed(old, new) > 0.5


def test_what_only_moved_is_not_new() -> None:
    frame = noise(9, 16).repeat(40, 0).repeat(40, 1)
    before = glimpse_of(frame[:, :-16])
    assert changed(before, glimpse_of(frame[:, 16:])) < 0.02
    frame[160:240, 320:400] = 255
    assert changed(before, glimpse_of(frame[:, :-16])) > 0.01


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (17, 31), (2160, 3840)])
def test_a_frame_of_any_size_has_a_glimpse(size: tuple[int, int]) -> None:
    frame = noise(*size)
    assert glimpse_of(frame).shape == (18, 32, 3)
    assert not is_cut(glimpse_of(frame), glimpse_of(frame))
