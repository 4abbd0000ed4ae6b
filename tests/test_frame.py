"""A frame that isn't one is refused, and so is a time or an index that can't be."""

from fractions import Fraction

import numpy as np
import pytest

from morphstream.frame import Timed, check_frame, numbered


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (np.zeros((2, 2, 3), np.float32), TypeError, "expected a frame of uint8, seen float32"),
        (None, TypeError, "expected a frame, seen NoneType"),
        (np.zeros((2, 2), np.uint8), ValueError, r"expected a BGR frame \(H, W, 3\), seen shape \(2, 2\)"),
        (np.zeros((2, 2, 4), np.uint8), ValueError, "seen shape"),
        (np.zeros((0, 2, 3), np.uint8), ValueError, "seen shape"),
    ],
    ids=["floats", "nothing", "grey", "with alpha", "no pixel"],
)
def test_what_is_no_frame_is_refused(frame: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_frame(frame)


def test_a_timed_frame_says_which_it_is() -> None:
    assert str(Timed(value="anything", index=30, time=Fraction(30 * 1001, 30000))) == "frame 30 (1.001 s)"
    assert str(Timed(value=None, index=0, time=Fraction(-1, 50))) == "frame 0 (-0.020 s)"  # before the origin


@pytest.mark.parametrize(
    ("index", "time", "error"),
    [(-1, Fraction(0), ValueError), (0, 0.04, TypeError), (0.0, Fraction(0), TypeError), (0, None, TypeError)],
    ids=["an index below 0", "a float for a time", "a float for an index", "no time"],
)
def test_an_index_or_a_time_that_cannot_be_is_refused(index: int, time: Fraction, error: type[Exception]) -> None:
    with pytest.raises(error, match="expected"):
        Timed(value=None, index=index, time=time)


@pytest.mark.parametrize("time", [1, 0.04, Fraction(1001, 30000), np.float32(0.3), np.int64(2)], ids=lambda t: str(t))
def test_a_pair_is_at_its_very_time(time: float) -> None:
    first, second = numbered([(np.zeros((1, 1, 3), np.uint8), 0), (np.zeros((1, 1, 3), np.uint8), time)])
    assert (first.index, first.time, second.index) == (0, Fraction(0), 1)
    assert second.time == Fraction(float(time)) if isinstance(time, np.floating) else second.time == time
    assert second.value[1] is time
