"""Files and addresses are read as they are to be shown, and what can't be read is refused in one line."""

import socket
import threading
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from morphstream.artifact.errors import VideoError
from morphstream.media.live.camera import CameraFeed
from morphstream.media.live.feeds import MediaFeed, open_address, open_file
from morphstream.media.live.items import Picture, Sound
from morphstream.media.live.source import open_input
from tests.media.live.counted import number_of, write_clip
from tests.media.live.fakes import grey


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mkv", seconds=1)


@pytest.fixture
def address(clip: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(clip.parent))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _read(feed: MediaFeed) -> tuple[list[tuple[int, Fraction]], list[Sound]]:
    pictures, pieces = list[tuple[int, Fraction]](), list[Sound]()
    with feed:
        while item := feed.read():
            if isinstance(item, Picture):
                pictures.append((number_of(item.to_frame()), item.time))
            else:
                pieces.append(item)
    return pictures, pieces


def test_a_file_gives_every_picture_and_its_sound(clip: Path) -> None:
    feed = open_file(clip)
    assert (feed.has_sound, feed.is_paced, feed.is_finite) == (True, True, True)
    pictures, pieces = _read(feed)
    assert pictures == [(number, Fraction(number, 25)) for number in range(25)]
    assert sum(len(piece.samples) for piece in pieces) == 48_000
    assert pieces[-1].end == 1
    assert np.abs(np.concatenate([piece.samples for piece in pieces])[:9600]).max() == 12_000


def test_fewer_frames_a_second_and_smaller_ones_can_be_asked_for(clip: Path) -> None:
    pictures, _ = _read(open_file(clip, fps=Fraction(5)))
    assert [number for number, _ in pictures] == [0, 5, 10, 15, 20]
    assert len(_read(open_file(clip, fps=Fraction(25)))[0]) == 25
    with open_file(clip, size_wh=(80, 80)) as feed:
        item = feed.read()
        while not isinstance(item, Picture):
            item = feed.read()
        assert item.to_frame().shape == (60, 80, 3)


def test_a_file_is_shown_at_its_own_speed_and_ends(clip: Path) -> None:
    with open_input(str(clip)) as source:
        frames = []
        while frame := source.read():
            frames.append(frame)
    lasted = frames[-1].arrived - frames[0].arrived
    assert lasted >= float(frames[-1].time - frames[0].time) - 0.1
    assert (source.has_ended, source.frames) == (True, 25)


def test_a_turned_video_is_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.set_display_rotation(90)
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(grey(9, (64, 32)), "bgr24")))
        file.mux(stream.encode(None))
    with open_file(path, size_wh=(16, 640)) as feed:
        item = feed.read()
        assert isinstance(item, Picture)
        assert item.to_frame().shape == (32, 16, 3)


def test_an_address_is_read_as_a_file_is(address: str) -> None:
    pictures, _ = _read(open_address(f"{address}/clip.mkv"))
    assert [number for number, _ in pictures] == list(range(25))


def test_a_file_that_needs_ranges_of_a_server_without_them_says_so(address: str, clip: Path) -> None:
    with av.open(str(clip.parent / "index_at_end.mp4"), "w") as container:
        noise = container.add_stream(
            "mjpeg", rate=25, width=640, height=480, pix_fmt="yuvj420p", options={"qmin": "1", "q": "1"}
        )
        for seed in range(10):
            pixels = np.random.default_rng(seed).integers(0, 256, (480, 640, 3), np.uint8)
            container.mux(noise.encode(av.VideoFrame.from_ndarray(pixels, "bgr24")))
        container.mux(noise.encode())
    with pytest.raises(VideoError) as refusal:
        _read(open_address(f"{address}/index_at_end.mp4"))
    assert str(refusal.value).endswith("; an MP4 with its index at the end needs a server that answers ranges")


def test_a_playlist_names_no_file_of_this_machine(address: str, clip: Path) -> None:
    (clip.parent / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n")
    with pytest.raises(VideoError, match="expected a stream, seen"):
        open_address(f"{address}/list.m3u8")


def test_an_address_that_refuses_is_tried_again_and_shows_no_password() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with open_input(f"rtsp://user:secret@127.0.0.1:{port}/camera?key=secret") as source:
            while not source.reconnects:
                source.read(0.01)
            name = f"rtsp://127.0.0.1:{port}/camera"
            assert source.name == name
            assert source.state == (
                f"reconnecting in 1 s: {name}: expected a stream, seen Connection refused; see to it that it is sent"
            )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("srt://host:9000", "srt://host:9000: expected an address that begins with rtsp, .* seen srt, which isn't"),
        ("rtsp:///path", "expected the name of a host, seen none; write rtsp://HOST/PATH"),
        ("rtsp://[::1/path", "expected an address, seen .*; write it anew"),
        ("rtsp://host:port/path", "expected an address, seen .*; write it anew"),
        ("camera:99", "/dev/video99: expected a camera, seen none; "),
        ("/dev/null", "/dev/null: expected a camera, seen something else; "),
        ("no-such.mp4", "no-such.mp4: expected a video, seen No such file or directory"),
        (__file__, "expected a video, seen a file that is none"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(text: str, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        open_input(text)


class _Capture:
    """A camera with two frames, which notes what it is asked for."""

    def __init__(self, _: Path) -> None:
        self.left, self.asked, self.is_released = [grey(1), grey(2)], dict[int, float](), False

    def read(self) -> tuple[bool, object]:
        """Return the next frame."""
        return (True, self.left.pop(0)) if self.left else (False, None)

    def set(self, key: int, value: float, /) -> bool:
        """Note a property."""
        self.asked[key] = value
        return True

    def release(self) -> None:
        """Note it."""
        self.is_released = True


def test_a_camera_is_asked_for_a_size_and_one_that_is_unplugged_says_so() -> None:
    captures = list[_Capture]()

    def opened(device: Path) -> _Capture:
        captures.append(_Capture(device))
        return captures[-1]

    with CameraFeed(Path("/dev/video0"), size_wh=(1280, 720), fps=Fraction(30), opened=opened) as feed:
        pictures = [feed.read(), feed.read()]
        assert [item.to_frame()[0, 0, 0] for item in pictures if isinstance(item, Picture)] == [1, 2]
        with pytest.raises(VideoError, match="/dev/video0: expected more pictures, seen none; plug the camera in"):
            feed.read()
    assert {1280.0, 720.0, 30.0} < set(captures[0].asked.values())
    assert captures[0].is_released
