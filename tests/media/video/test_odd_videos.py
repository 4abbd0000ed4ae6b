"""A damaged, odd or hostile video is read as far as it can be, or refused in one line."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from morphstream.artifact.errors import VideoError
from morphstream.media.video.read import VideoSource
from tests.media.video.odd import DAMAGED, HOSTILE, ODD, Odd


@pytest.mark.parametrize("odd", [pytest.param(odd, id=name) for name, odd in (DAMAGED | ODD | HOSTILE).items()])
def test_it_is_read_or_refused(tmp_path: Path, odd: Odd, capfd: pytest.CaptureFixture[str]) -> None:
    """`python -m bench.mutated_videos` measures their time and memory, and mutates them further."""
    path = odd.make(tmp_path)
    if odd.frames is None:
        with pytest.raises(VideoError, match=re.escape(odd.seen)) as caught:
            VideoSource(path, max_pixels=odd.max_pixels)
        assert str(caught.value).startswith(f"{path}: expected ")
        assert "\n" not in str(caught.value)
    else:
        with VideoSource(path) as source:
            times = []
            while frame := source.read():
                times.append(frame.time)
                assert frame.value.frame.shape[1::-1] == source.info.size_wh
                assert frame.value.picture.format.name == source.info.pixel_format
            assert len(times) == odd.frames
            assert times == sorted(set(times))
            assert bool(source.lost) == odd.is_lossy
            assert odd.seen in "; ".join(source.notes)
    assert capfd.readouterr() == ("", "")


def test_without_its_reader_a_video_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "morphstream.media.video")
    with pytest.raises(VideoError, match=r"expected PyAV, .* run: pip install 'morphstream\[video\]'"):
        import_module("morphstream.media.video")
