"""Streams go to servers with sound, and a server that refuses or doesn't answer holds nothing up."""

import socket
import time
from collections.abc import Iterator
from fractions import Fraction

import pytest

from morphstream.artifact.errors import VideoError
from morphstream.media.live.items import LiveFrame, Sound
from morphstream.media.live.muxed import Destination
from morphstream.media.live.sender import Sender
from morphstream.media.live.sink import open_output
from tests.media.live.counted import RATE, beep, counted_frame
from tests.media.live.fakes import grey
from tests.media.live.whip import whip_server


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def _target(port: int) -> Destination:
    address = f"rtmp://127.0.0.1:{port}/live/key"
    return Destination(
        name="rtmp", url=address, container="flv", encoder_options={"preset": "ultrafast"}, is_sent=True, tags={}
    )


def _frame(number: int) -> LiveFrame:
    return LiveFrame(frame=counted_frame(number), time=Fraction(number, RATE), arrived=0)


def test_a_server_of_whip_gets_pictures_and_sound_and_their_end() -> None:
    with whip_server() as server:
        output = open_output(f"http://secret@{server.address}")
        assert "secret" not in output.name
        with output:
            output.start(has_sound=True)
            number = 0
            while not server.numbers or server.numbers[-1] < 10:
                output.write(counted_frame(number), Fraction(number, RATE))
                output.write_sound(Sound(samples=beep(number), time=Fraction(number, RATE)))
                number += 1
                time.sleep(1 / RATE)
                assert output.error is None
        assert output.error is None
        assert (server.tokens, server.ended) == (["Bearer secret"], 1)
        assert server.kinds["audio"] > 10
        assert server.numbers == sorted(server.numbers)


def test_a_server_that_is_not_there_is_one_line(listening: socket.socket) -> None:
    target = _target(listening.getsockname()[1])
    listening.close()
    with pytest.raises(VideoError, match="rtmp: expected it to take the stream, seen Connection refused; look"):
        _send(target, most_wait_s=10)


def test_a_server_that_does_not_answer_is_given_up(listening: socket.socket) -> None:
    with pytest.raises(VideoError, match="rtmp: expected it to take what is sent, seen it take nothing for "):
        _send(_target(listening.getsockname()[1]), most_wait_s=0.3)


def _send(target: Destination, *, most_wait_s: float) -> None:
    with Sender(target, has_sound=False, most_wait_s=most_wait_s) as sender:
        for number in range(1000):
            sender.put(_frame(number))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rtmp://", "expected the name of a host, seen none; write rtmp://HOST/PATH"),
        ("srt://host/key", "srt://host/...: expected an address that begins with rtmp, .* seen srt, which isn't"),
        ("no-such-folder/take.mkv", "expected a folder to write to, seen no "),
        ("take.avi", "take.avi: expected a name that ends in one of .mp4, .* seen '.avi'"),
        ("take", "take: expected a name that ends in one of .mp4, .* seen ''"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(text: str, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        open_output(text)


def test_a_key_in_an_address_is_not_shown() -> None:
    assert open_output("rtmp://user:secret@host/live/secret?key=secret").name == "rtmp://host/live/..."


def test_a_window_without_a_display_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(VideoError, match="window: expected a display, seen no DISPLAY"):
        open_output("window")
    monkeypatch.setenv("DISPLAY", "none")  # which is found out once it is opened
    with open_output("window") as output:
        output.start(has_sound=False)
    assert output.state.startswith("failed: window: expected a display, seen none (")


def test_a_system_without_a_virtual_camera_is_one_line() -> None:
    pytest.importorskip("pyvirtualcam")
    with open_output("virtual-camera") as output:
        output.start(has_sound=False)
        output.write(grey(1, (32, 32)), Fraction(0))
    if output.error is None:
        pytest.skip("needs a system without a virtual camera")
    assert output.state.startswith("failed: virtual-camera: expected one, seen none (")
