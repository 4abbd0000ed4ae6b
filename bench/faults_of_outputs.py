"""Faults of live outputs, and of the worker before them: each is shown, and the others go on."""

import http.server
import socket
import threading
import time

import av
import numpy as np

from bench.faults import MOST_S, Fault, Frames, Kept, Place, frame, lived, one_line, run, state
from morphstream.artifact.errors import MorphstreamError, UseError
from morphstream.media.live.input import LiveInput
from morphstream.media.live.output import LiveOutput
from morphstream.media.live.sink import open_output


def _a_disk_that_is_full_beside_another_output(place: Place) -> str:
    failing = LiveOutput("out.mkv", lambda _: Kept(fails_after=3), retries=False)
    report, states, kept = run(place, LiveInput("frames", lambda: Frames(40)), [failing])
    assert report.outputs[1].error, report
    assert len(kept.frames) > 3, len(kept.frames)
    return f"{state(states, 'failed')}; the other output took {len(kept.frames)} frames"


def _sent(place: Place, address: str, *words: str) -> str:
    """Send to an address that fails, beside a file, which has to be whole."""
    path = place.folder / f"beside-{len(list(place.folder.glob('beside*')))}.mkv"
    outputs = [open_output(address), open_output(str(path))]
    report, states, _ = run(place, LiveInput("frames", lambda: Frames(75)), outputs)
    assert report.outputs[1].reconnects, report
    with av.open(str(path)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == report.outputs[2].written, (frames, report.outputs[2])
    return f"{state(states, 'reconnecting', *words)}; a file beside it took {frames} frames"


def _rtmp_where_nobody_listens(place: Place) -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = _sent(place, f"rtmp://127.0.0.1:{port}/live/secret")
    assert "secret" not in line, line
    return line


def _rtmp_to_a_server_that_hangs_up(place: Place) -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=hang_up)
        thread.start()
        try:
            return _sent(place, f"rtmp://127.0.0.1:{server.getsockname()[1]}/live/key")
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _rtmp_to_a_server_that_reads_nothing(place: Place) -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        slow = open_output(f"rtmp://127.0.0.1:{server.getsockname()[1]}/live/key")
        begun = time.monotonic()
        report, _, kept = run(place, LiveInput("frames", lambda: Frames(50)), [slow])
    assert len(kept.frames) > 1, kept.frames
    return f"the other output took {lived(report).swapped} frames; over within {time.monotonic() - begun:.1f} s"


def _whip_to_a_server_that_refuses(place: Place) -> str:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(401)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        return _sent(place, f"whip+http://token@127.0.0.1:{server.server_port}/whip")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _one_stream_too_many(place: Place) -> str:
    streams = [place.worker.open(f"one-{number}", {}) for number in range(8)]
    try:
        place.worker.open("one more", {})
    except UseError as error:
        return one_line(str(error))
    finally:
        for stream in streams:
            stream.close()
    raise AssertionError("expected a refusal")


def _a_frame_that_is_none(place: Place) -> str:
    with place.worker.open("frames", {}) as stream:
        try:
            stream.push(np.zeros((10, 10), np.float32), 0.0)
        except (TypeError, ValueError, MorphstreamError) as error:
            line = one_line(str(error))
        else:
            raise AssertionError("expected a refusal")
        assert stream.push(frame().copy(), 0.04)
        assert stream.pull(timeout_s=MOST_S), "the next frame didn't come"
    return line


def _a_switch_to_a_model_whose_source_is_gone(place: Place) -> str:
    with place.worker.open("switch", place.identity) as stream:
        switch = stream.switch("none_256")
        assert not switch.wait(MOST_S)
        assert switch.state == "failed", switch.state
        stream.push(frame().copy(), 0.0)
        assert stream.pull(timeout_s=MOST_S), "the old model doesn't go on"
        assert stream.stats.swap_model == place.worker.pipeline.swap_model, stream.stats
        return one_line(switch.error)


def _a_stream_that_is_closed_while_frames_wait(place: Place) -> str:
    stream = place.worker.open("close", place.identity)
    pulled = list[object]()
    thread = threading.Thread(target=lambda: pulled.append(stream.pull()))
    thread.start()
    for index in range(5):
        stream.push(frame(index).copy(), index / 25)
    stream.close()
    thread.join(MOST_S)
    assert not thread.is_alive(), "who pulls still waits"
    assert not stream.push(frame().copy(), 9.0)
    return "who pulls goes on, and no more frames are taken"


FAULTS: tuple[Fault, ...] = (
    _a_disk_that_is_full_beside_another_output,
    _rtmp_where_nobody_listens,
    _rtmp_to_a_server_that_hangs_up,
    _rtmp_to_a_server_that_reads_nothing,
    _whip_to_a_server_that_refuses,
    _one_stream_too_many,
    _a_frame_that_is_none,
    _a_switch_to_a_model_whose_source_is_gone,
    _a_stream_that_is_closed_while_frames_wait,
)
