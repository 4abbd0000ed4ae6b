"""A picture that something went wrong with is read, or refused in one line: never a traceback, never much memory."""

from pathlib import Path

import pytest

from morphstream.artifact.errors import ImageError
from morphstream.media.read import read_picture
from tests.media.mutations import mutated_pictures, whole_pictures


@pytest.mark.parametrize(("kind", "data"), whole_pictures().items(), ids=whole_pictures())
def test_a_whole_picture_of_each_kind_is_read(tmp_path: Path, kind: str, data: bytes) -> None:
    (path := tmp_path / "picture").write_bytes(data)
    picture = read_picture(path)
    assert {pixels.shape[:2] for pixels in picture.pixels} == {(120, 160)}
    assert len(picture.pixels) == (3 if kind.startswith(".a") and kind != ".avif" else 1)


def test_a_mutated_picture_is_read_or_refused_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A sample; `python -m bench.mutated_pictures` reads 500 and measures time and memory."""
    path, refusals = tmp_path / "picture", list[str]()
    for _, data in mutated_pictures(60, seed=0):
        path.write_bytes(data)
        try:
            read_picture(path)
        except ImageError as error:
            refusals.append(str(error))
    assert 0 < len(refusals) < 60
    for refusal in refusals:
        assert refusal.startswith(f"{path}: expected ")
        assert len(refusal.splitlines()) == 1
    capfd.readouterr()  # what libraries print of damage
