"""A request is split into batches that an engine is for, whole and in order, and what is no number is refused."""

import numpy as np
import pytest

from morphstream.artifact.errors import SessionError
from morphstream.session.session import Array, check_numbers, parts


@pytest.mark.parametrize(
    ("rows", "batches", "expected"),
    [
        pytest.param(0, (1, 2), [], id="no rows"),
        pytest.param(1, (1, 2, 4), [(0, 1, 1)], id="the least"),
        pytest.param(3, (1, 2, 4), [(0, 3, 4)], id="filled up"),
        pytest.param(4, (4, 1, 2), [(0, 4, 4)], id="the greatest"),
        pytest.param(7, (1, 2, 4), [(0, 4, 4), (4, 7, 4)], id="split, the rest filled up"),
        pytest.param(9, (1, 2, 4), [(0, 4, 4), (4, 8, 4), (8, 9, 1)], id="split, the rest in the least"),
        pytest.param(2, (4,), [(0, 2, 4)], id="less than the only one"),
        pytest.param(5, (), [(0, 5, 5)], id="any size"),
        pytest.param(0, (), [], id="no rows of any size"),
    ],
)
def test_rows_are_split_into_batches(rows: int, batches: tuple[int, ...], expected: list[tuple[int, int, int]]) -> None:
    assert parts(rows, batches) == expected


def test_every_row_is_in_one_part_and_no_part_is_larger_than_its_batch() -> None:
    for rows in range(40):
        split = parts(rows, (1, 3, 8))
        assert [row for start, stop, _ in split for row in range(start, stop)] == list(range(rows))
        assert all(0 < stop - start <= size for start, stop, size in split)


@pytest.mark.parametrize(("rows", "batches"), [(-1, (1,)), (-1, ()), (1, (0, 1))], ids=["rows", "any", "a size"])
def test_numbers_that_are_none_are_refused(rows: int, batches: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected 0 rows or more in batches of 1 or more, seen "):
        parts(rows, batches)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_with_its_output(dtype: type[np.floating], value: float) -> None:
    outputs = {"fine": np.ones(2, dtype), "odd": np.array([1, value], dtype)}
    with pytest.raises(SessionError, match=r"^m\.xml: expected numbers in odd, seen NaN or infinity$"):
        check_numbers("m.xml", outputs)


def test_whole_numbers_are_numbers_and_so_is_nothing() -> None:
    """Beside them one that is none is still found."""
    outputs: dict[str, Array] = {"labels": np.zeros(2, np.uint8), "mask": np.zeros((0, 2), np.float32)}
    check_numbers("m.xml", outputs)
    with pytest.raises(SessionError, match="expected numbers in odd"):
        check_numbers("m.xml", {**outputs, "odd": np.array([np.nan], np.float32)})
