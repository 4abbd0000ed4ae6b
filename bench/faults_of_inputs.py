"""Faults of live inputs: each is shown, and the run goes on or ends in one line."""

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from bench.faults import MOST_S, STEP_S, Fault, Frames, Place, frame, lived, run, state
from morphstream.artifact.errors import VideoError
from morphstream.media.live.camera import CameraFeed
from morphstream.media.live.input import Feed, LiveInput
from morphstream.media.live.sink import open_output
from morphstream.media.live.source import open_input


def _a_camera_is_unplugged_and_plugged_in_again(place: Place) -> str:
    class Capture:
        """A camera with 20 frames."""

        def __init__(self) -> None:
            self._left = 20

        def read(self) -> tuple[bool, object]:
            self._left -= 1
            time.sleep(STEP_S)
            return self._left >= 0, frame().copy()

        def set(self, key: int, value: float, /) -> bool:
            return bool(key and value)

        def release(self) -> None: ...

    source = LiveInput("camera", partial(CameraFeed, Path("/dev/video0"), opened=lambda _: Capture()))
    report, states, _ = run(place, source, seconds=4)
    assert report.reconnects, "expected that it was lost"
    return f"{state(states, 'plug the camera in')}; {lived(report, 30).frames} frames"


def _a_camera_that_opens_at_the_third_try(place: Place) -> str:
    tries = iter([VideoError("camera: busy"), VideoError("camera: busy"), None])

    def connect() -> Feed:
        if error := next(tries):
            raise error
        return Frames(25)

    report, states, _ = run(place, LiveInput("camera", connect))
    assert report.reconnects == 2, report
    return f"{state(states, 'busy')}; {lived(report).frames} frames"


@contextmanager
def serving(answers: Callable[[http.server.BaseHTTPRequestHandler], object], port: int = 0) -> Iterator[int]:
    """Answer GET requests by a function, and yield the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answers(self)
            except OSError:  # whoever asked is gone
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _send(data: bytes, kind: str, seconds: float, request: http.server.BaseHTTPRequestHandler) -> None:
    """Send data evenly over a time, as a live stream comes."""
    request.send_response(200)
    request.send_header("Content-Type", kind)
    request.end_headers()
    count = max(1, round(seconds / STEP_S))
    for part in range(count):
        request.wfile.write(data[part * len(data) // count : (part + 1) * len(data) // count])
        time.sleep(seconds / count)


def _an_address_where_nobody_listens_at_first(place: Place) -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    source = open_input(f"http://127.0.0.1:{port}/clip.ts")
    time.sleep(0.5)
    with serving(partial(_send, place.clip(".ts", 150).read_bytes(), "video/mp2t", 6.0), port):
        report, states, _ = run(place, source, seconds=12)
    return f"{state(states, 'reconnecting')}; {lived(report).frames} frames"


def _an_address_that_breaks_off_in_the_middle(place: Place) -> str:
    data = place.clip(".ts", 150).read_bytes()
    with serving(partial(_send, data[: len(data) // 2], "video/mp2t", 3.0)) as port:
        report, states, _ = run(place, open_input(f"http://127.0.0.1:{port}/clip.ts"), seconds=12)
    assert report.reconnects, report
    return f"{state(states, 'reconnecting')}; {lived(report, 30).frames} frames"


def _an_address_that_says_nothing(place: Place) -> str:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = open_input(f"http://127.0.0.1:{silent.getsockname()[1]}/clip.ts")
        begun = time.monotonic()
        report, states, _ = run(place, source, seconds=1.5)
        assert time.monotonic() - begun < 5, "it was waited for"
        assert not report.frames, report
        return f"left within {time.monotonic() - begun:.1f} s ({state(states, 'connecting')})"


def _an_address_with_a_web_page(place: Place) -> str:
    with serving(partial(_send, b"<html>no video</html>" * 100, "text/html", 0.0)) as port:
        _, states, _ = run(place, open_input(f"http://127.0.0.1:{port}/clip.ts"), seconds=1.5)
    return state(states, "reconnecting")


def _an_address_that_is_not_found(place: Place) -> str:
    with serving(lambda request: request.send_error(404)) as port:
        _, states, _ = run(place, open_input(f"http://127.0.0.1:{port}/clip.ts"), seconds=1.5)
    return state(states, "reconnecting", "404")


def _rtsp_from_what_is_no_rtsp_server(place: Place) -> str:
    with serving(lambda request: request.send_error(404)) as port:
        _, states, _ = run(place, open_input(f"rtsp://user:secret@127.0.0.1:{port}/x"), seconds=1.5)
    assert "secret" not in "".join(states), states
    return state(states, "reconnecting")


def _a_file_that_was_cut_off(place: Place) -> str:
    path = place.folder / "half.mkv"
    path.write_bytes(place.clip(".mkv").read_bytes()[:-9000])
    report, _, _ = run(place, open_input(str(path)))
    return f"{lived(report).frames} of 50 frames"


def _frames_of_another_size_in_mid_stream(place: Place) -> str:
    sizes = [(320, 240), (640, 360), (240, 320)]
    recording = open_output(str(place.folder / "sizes.mkv"))
    source = LiveInput("sizes", lambda: Frames(60, size_wh=lambda index: sizes[index // 20]))
    report, _, kept = run(place, source, [recording])
    seen = {one.frame.shape[1::-1] for one in kept.frames}
    assert seen == set(sizes), seen
    assert recording.written, recording.state
    return f"{lived(report).swapped} frames of {len(seen)} sizes; the file took {recording.written}"


def _frames_of_odd_and_tiny_sizes(place: Place) -> str:
    sizes = [(641, 361), (16, 16), (321, 17)]
    recording = open_output(str(place.folder / "odd.mp4"))
    report, _, _ = run(
        place, LiveInput("odd", lambda: Frames(30, size_wh=lambda index: sizes[index // 10])), [recording]
    )
    assert not recording.error, recording.error
    return f"{lived(report).swapped} frames; the file took {recording.written}"


def _steady(place: Place, clock: Callable[[int], float]) -> str:
    report, _, kept = run(place, LiveInput("clock", lambda: Frames(50, clock=clock)))
    times = [float(one.time) for one in kept.frames]
    gaps = np.diff(times)
    assert (gaps > 0).all(), "times went back"
    assert times[-1] < MOST_S, f"times ran away: {times[-1]} s"
    return f"{lived(report).swapped} frames, longest step {gaps.max():.2f} s"


def _a_clock_that_goes_back_an_hour(place: Place) -> str:
    return _steady(place, lambda index: 4000 + index * STEP_S - (3600 if index >= 25 else 0))


def _a_clock_that_goes_ahead_an_hour(place: Place) -> str:
    return _steady(place, lambda index: index * STEP_S + (3600 if index >= 25 else 0))


def _a_clock_that_stands_still(place: Place) -> str:
    return _steady(place, lambda index: min(index, 25) * STEP_S)


def _a_source_that_pauses(place: Place) -> str:
    source = LiveInput("pause", lambda: Frames(40, wait_s=lambda index: 2.0 if index == 20 else STEP_S))
    report, states, _ = run(place, source)
    assert [one for one in states if "live" in one], states
    return f"{state(states, 'paused')}; {lived(report, 40).frames} frames"


def _a_source_faster_than_the_swapper(place: Place) -> str:
    source = LiveInput("fast", lambda: Frames(600, clock=lambda index: index / 400, wait_s=lambda _: 0.0025))
    report, _, _ = run(place, source)
    assert report.dropped, report
    return f"{lived(report).dropped} of {report.frames} frames dropped, latency {1000 * report.p50_s:.0f} ms"


FAULTS: tuple[Fault, ...] = (
    _a_camera_is_unplugged_and_plugged_in_again,
    _a_camera_that_opens_at_the_third_try,
    _an_address_where_nobody_listens_at_first,
    _an_address_that_breaks_off_in_the_middle,
    _an_address_that_says_nothing,
    _an_address_with_a_web_page,
    _an_address_that_is_not_found,
    _rtsp_from_what_is_no_rtsp_server,
    _a_file_that_was_cut_off,
    _frames_of_another_size_in_mid_stream,
    _frames_of_odd_and_tiny_sizes,
    _a_clock_that_goes_back_an_hour,
    _a_clock_that_goes_ahead_an_hour,
    _a_clock_that_stands_still,
    _a_source_that_pauses,
    _a_source_faster_than_the_swapper,
)
