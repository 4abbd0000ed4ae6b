"""Names on the command line are sources and targets by what the output is, and files are videos by what they hold."""

from pathlib import Path

import pytest

from morphstream.artifact.errors import ImageError
from morphstream.cli.options import Parser, UsageError
from morphstream.cli.targets import is_clip, jobs_of, split_paths

MP4 = b"\0\0\0\x20ftypisom" + bytes(500)


@pytest.mark.parametrize(
    ("names", "output", "has_sources", "expected"),
    [
        ("a.jpg b.jpg", "out.png", False, "a.jpg / b.jpg"),
        ("a.jpg b.jpg c.mp4", "out.mp4", False, "a.jpg b.jpg / c.mp4"),
        ("a.jpg b.jpg c.mp4", "out", False, "a.jpg / b.jpg c.mp4"),
        ("a.jpg b.jpg c.mp4", "folder.mp4", False, "a.jpg / b.jpg c.mp4"),
        ("a.jpg b.jpg c.mp4", "new.2026", False, "a.jpg / b.jpg c.mp4"),
        ("b.jpg c.mp4", "out", True, "/ b.jpg c.mp4"),
        ("c.mp4", "out.mp4", True, "/ c.mp4"),
    ],
    ids=["a file", "a video", "a folder", "a folder with a file's name", "a folder with a dot", "sources", "a source"],
)
def test_what_is_a_source_and_what_a_target(
    tmp_path: Path, names: str, output: str, has_sources: bool, expected: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    sources, targets = split_paths([*map(Path, names.split())], tmp_path / output, has_sources=has_sources)
    assert " ".join([*map(str, sources), "/", *map(str, targets)]) == expected


@pytest.mark.parametrize("names", ["", "a.jpg"])
@pytest.mark.parametrize("output", ["out.png", "out"])
def test_what_is_missing_is_said(names: str, output: str) -> None:
    expected = "target" if names else "source, target"
    with pytest.raises(UsageError, match=f"required: {expected}$"):
        split_paths([*map(Path, names.split())], Path(output), has_sources=False)
    if not names:
        with pytest.raises(UsageError, match=r"required: target$"):
            split_paths([], Path(output), has_sources=True)


@pytest.mark.parametrize("words", ["a -o x b c", "-o x a b c", "a b -o x c", "a b c -o x", "-o x -- a b c"])
def test_names_stand_before_between_and_after_options(words: str) -> None:
    parser = Parser()
    parser.add_argument("paths", type=Path, nargs="*")
    parser.add_argument("-o")
    assert parser.parse_args(words.split()).paths == [Path("a"), Path("b"), Path("c")]


def test_a_video_is_one_by_its_content(tmp_path: Path) -> None:
    for name, data in (
        ("a.png", MP4), ("b.mp4", b"\x89PNG\r\n\x1a\n"), ("c.gif", b"GIF89a"), ("d.mp4", b"text"), ("e.txt", b"text"),
        ("f.mkv", b"\x1a\x45\xdf\xa3"), ("g.avif", b"\0\0\0\x20ftypavif"), ("h.mp4", b""),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(data)
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_clip(path)] == [
        "a.png", "d.mp4", "f.mkv", "h.mp4",
    ]  # fmt: skip
    assert is_clip(tmp_path / "c.gif", Path("out.webm"))
    assert not is_clip(tmp_path / "b.mp4", Path("out.webm"))
    assert not is_clip(tmp_path / "e.txt", Path("out.png"))
    assert is_clip(tmp_path / "e.txt", Path("out.mp4"))  # and refused as none
    assert is_clip(tmp_path / "missing.mp4")


def test_a_folder_has_pictures_and_videos_and_each_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, data in (("a.mp4", MP4), ("b.png", b""), ("c.avi", b"RIFF1234AVI "), ("d.bmp", b""), ("e.txt", b"")):
        (tmp_path / "in" / name).write_bytes(data)
    jobs, is_folder = jobs_of([], [tmp_path / "in"], tmp_path / "out")
    assert is_folder
    assert [(job.target.name, job.output.name, job.is_clip) for job in jobs] == [
        ("a.mp4", "a.mp4", True), ("b.png", "b.png", False), ("c.avi", "c.mkv", True), ("d.bmp", "d.png", False),
    ]  # fmt: skip
    with pytest.raises(ImageError, match="expected a folder for 4 pictures, seen a video's name; name a folder"):
        jobs_of([], [tmp_path / "in"], tmp_path / "out.mp4")
