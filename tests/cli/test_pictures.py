"""What came of a picture is counted by its pixels."""

from pathlib import Path

import numpy as np
import pytest

from morphstream.cli.pictures import PictureSwapper, Writing
from morphstream.cli.targets import Job
from morphstream.face.types import Face, FoundFaces
from morphstream.frame import Frame
from morphstream.media.image import write_image
from tests.face import ASTRONAUT, UPRIGHT, astronaut_bgr, found, identity_of

EDGE = Face(box_xyxy=np.array([-20.0, -30.0, 5.0, 6.0]), points5=UPRIGHT.points5, score=0.9)


def find(frame: Frame) -> FoundFaces:
    return found(frame, identity_of(1), ASTRONAUT, EDGE)


def why(found: FoundFaces) -> str:
    return f"expected a face to swap, seen {len(found.faces)}"


def swap_the_first(found: FoundFaces) -> Frame:
    frame = found.frame.copy()
    frame[100, 200] ^= 1
    return frame


@pytest.mark.parametrize(
    ("swap", "swapped"), [(swap_the_first, 1), (lambda found: found.frame.copy(), 0)], ids=["a pixel", "none"]
)
def test_a_face_of_which_no_pixel_changed_counts_as_none_and_is_said(
    tmp_path: Path, swap: "object", swapped: int
) -> None:
    write_image(target := tmp_path / "in.png", astronaut_bgr())
    swapper = PictureSwapper(find, swap, Writing(max_pixels=10**6), why)  # type: ignore[arg-type]
    report = swapper.swap(Job(target=target, output=tmp_path / "out.png"))
    assert (report.faces, report.swapped) == (2, swapped)
    assert report.notes == [f"of {2 - swapped} faces no pixel changed; choose other --masks, --regions or --feather"]


def test_a_dry_run_counts_what_would_be_swapped(tmp_path: Path) -> None:
    write_image(target := tmp_path / "in.png", astronaut_bgr())
    report = PictureSwapper(find, swap_the_first, Writing(max_pixels=10**6, is_dry=True), why).swap(
        Job(target=target, output=tmp_path / "out.png")
    )
    assert (report.faces, report.swapped, report.notes) == (2, 2, [])
    assert list(tmp_path.iterdir()) == [target]
