"""A swapped video is signed last, keeps its pictures and sound, and says where its container has no place for that."""

import json
from pathlib import Path

import c2pa
import pytest

from morphstream.artifact.digest import digest_of_file
from morphstream.media.credentials import Signing
from morphstream.media.inspect import inspect
from morphstream.media.video.swap_video import VideoOptions, swap_video
from tests.media.certificates import make_certificates
from tests.media.video.films import content_of, painting, write_film


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv"])
def test_a_video_is_signed_and_else_the_same(tmp_path: Path, suffix: str) -> None:
    signing = Signing.read(*make_certificates(tmp_path / "keys")[:2], "1.0")
    source, plain, out = write_film(tmp_path / "in.mp4"), tmp_path / f"plain{suffix}", tmp_path / f"out{suffix}"
    swap_video(painting(), source, plain, VideoOptions(part_frames=10))
    report = swap_video(painting(), source, out, VideoOptions(part_frames=10, signing=signing))
    assert content_of(out) == content_of(plain)
    assert inspect(out).is_synthetic
    if suffix == ".mkv":
        assert "it isn't signed, as .mkv has no place for that" in report.notes
        return
    with c2pa.Reader(str(out)) as reader:
        found = json.loads(reader.json())
    assert found["validation_state"] == "Valid"
    assert f"sha256:{digest_of_file(source).sha256}" in json.dumps(found)
    assert "thumbnail" not in json.dumps(found)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
