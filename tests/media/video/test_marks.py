"""A video says that it is synthetic: in words, which stay when its container changes, and as XMP where readers look."""

from collections.abc import Callable
from pathlib import Path

import pytest

from morphstream.media.image import write_image
from morphstream.media.inspect import inspect
from morphstream.media.provenance import MARK, SOURCE_TYPE, is_ours, mark_with
from morphstream.media.video.marks import WORDS, mark_file, mark_of, marked, read_xmp
from tests.face import noise

av = pytest.importorskip("av", reason="PyAV isn't installed")
OWN_XMP = MARK.replace(b'xmlns:xmp="', b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:creator="Ada" xmlns:xmp="')


def write(path: Path, tags: dict[str, str], movflags: str = "") -> Path:
    """Write a video of three pictures with these tags, as FFmpeg does."""
    codec = {".webm": "libvpx-vp9", ".gif": "gif"}.get(path.suffix, "libx264")
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        container.metadata.update(tags)
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8" if path.suffix == ".gif" else "yuv420p"
        for seed in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise(48, 64, seed), "bgr24")))
        container.mux(stream.encode())
    return path


def tags_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return {name.lower(): text for name, text in container.metadata.items()}


def remuxed(path: Path, suffix: str) -> Path:
    """Copy a video's packets and tags into another container, as ``ffmpeg -c copy`` does."""
    copy = path.with_name(f"copy{suffix}")
    with av.open(str(path)) as old, av.open(str(copy), "w") as new:
        new.metadata.update(old.metadata)
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    return copy


@pytest.fixture(params=[".mp4", ".mov", ".mkv", ".webm", ".mov at its start"])
def video(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A marked video of each container; of MOV also with what says where things are at the file's start."""
    suffix, _, place = str(request.param).partition(" ")
    path = write(tmp_path / f"video{suffix}", marked({"title": "Two people"}), "faststart" if place else "")
    mark_file(path)
    return path


def test_a_marked_video_says_in_xmp_and_in_words_that_it_is_synthetic(video: Path) -> None:
    found = inspect(video)
    assert found.is_synthetic
    assert is_ours(video)
    said = [(mark.place, mark.text, mark.is_synthetic) for mark in found.marks]
    assert said[:2] == [("XMP", f"source type {SOURCE_TYPE}", True), ("XMP", "made with morphstream", False)]
    assert ("comment", WORDS, True) in said
    assert tags_of(video)["title"] == "Two people"


def test_a_marked_video_plays_as_before(video: Path) -> None:
    with av.open(str(video)) as container:
        assert len(list(container.decode(video=0))) == 3


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_the_words_stay_when_the_packets_go_into_another_container(tmp_path: Path, suffix: str) -> None:
    for container in (".mp4", ".mkv", ".mov"):
        path = write(tmp_path / f"video{container}", marked({}))
        mark_file(path)
        assert WORDS in tags_of(remuxed(path, suffix))["comment"]
        assert inspect(remuxed(path, suffix)).is_synthetic


def test_the_users_own_words_stay_before_the_marks_which_are_said_once() -> None:
    tags = marked(marked({"COMMENT": "Our holiday", "artist": "Ada"}))
    assert tags["comment"] == f"Our holiday\n{WORDS}"
    assert tags["description"] == WORDS
    assert tags["artist"] == "Ada"
    assert sorted(name.lower() for name in tags) == ["artist", "comment", "description", "xmp"]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_what_a_sources_xmp_says_of_its_author_stays_in_the_mark(tmp_path: Path, suffix: str) -> None:
    source = write(tmp_path / f"source{suffix}", {"xmp": OWN_XMP.decode()})
    mark_file(source, OWN_XMP)
    assert mark_of(source) == mark_with(OWN_XMP)
    assert b"Ada" in mark_of(source)


def test_the_mark_of_a_source_without_xmp_or_with_a_damaged_one_is_the_plain_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "source.mp4", {})
    assert mark_of(path) == MARK
    mark_file(path, b"<no")
    assert mark_of(path) == MARK
    assert inspect(path).notes[0].startswith("its XMP can't be read")


def test_a_gif_is_marked_at_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "video.gif", {})
    mark_file(path)
    assert inspect(path).is_synthetic
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == 3


def test_the_box_of_an_mp4_has_another_behind_it_for_readers_that_read_on(tmp_path: Path) -> None:
    path = write(tmp_path / "video.mp4", {})
    mark_file(path)
    assert path.read_bytes().endswith(MARK + b"\0\0\0\x18free" + bytes(16))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-300], id="cut short"),
        pytest.param(lambda data: data[:20], id="cut after its first box"),
        pytest.param(lambda data: data + b"\0\0\0\3uuid", id="a box smaller than its head"),
        pytest.param(lambda data: data + b"\0\0\0\1uuid" + b"\xff" * 8, id="a box of 2**64 bytes"),
        pytest.param(lambda data: data + b"\0\0\0\1uuid", id="a box without its size"),
    ],
)
def test_a_damaged_mp4_has_no_xmp(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path / "video.mp4", {})
    path.write_bytes(damage(path.read_bytes()))
    assert read_xmp(path) is None


def test_a_picture_is_inspected_as_a_video_is(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".webp", ".avif", ".tiff", ".gif"):
        write_image(tmp_path / f"marked{suffix}", noise(40, 60))
        write_image(tmp_path / f"plain{suffix}", noise(40, 60), is_synthetic=False)
        assert inspect(tmp_path / f"marked{suffix}").is_synthetic
        assert not inspect(tmp_path / f"plain{suffix}").marks
