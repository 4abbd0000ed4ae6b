"""A live run carries frames and their sound from an input to outputs, and ends in order."""

import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from morphstream.artifact.errors import FrameError, VideoError
from morphstream.face.types import FoundFaces
from morphstream.frame import Frame
from morphstream.live.run import LiveReport, run_live
from morphstream.media.live.input import Feed, LiveInput
from morphstream.media.live.items import LiveFrame, Sound
from morphstream.media.live.output import LiveOutput
from morphstream.worker.queues import Swapped
from tests.live import swapped_of
from tests.media.live.counted import seen_in, write_clip
from tests.media.live.fakes import FakeFeed, FakeSink, Given, connections, picture, sound


class EchoStream:
    """Returns each frame in turn as it came, or refuses it."""

    def __init__(self, error: Exception | None = None, on_push: Callable[[], object] = bool) -> None:
        self._frames, self._changed, self._is_over = deque[Swapped](), threading.Condition(), False
        self._error, self._on_push = error, on_push

    @property
    def has_ended(self) -> bool:
        """Whether all came back."""
        return self._is_over and not self._frames

    def push(self, frame: Frame, time: Fraction) -> bool:
        """Keep a frame."""
        with self._changed:
            self._frames.append(swapped_of(frame, FoundFaces(frame=frame, faces=[], assignment={}), time))
            self._changed.notify()
        self._on_push()
        return True

    def pull(self, *, timeout_s: float | None = None) -> Swapped | None:
        """Return the next frame."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._is_over, timeout_s)
            if self._error and self._frames:
                raise self._error
            return self._frames.popleft() if self._frames else None

    def end(self) -> None:
        """Note it."""
        with self._changed:
            self._is_over = True
            self._changed.notify()


def _opens(sink: FakeSink) -> Callable[[bool], FakeSink]:
    return lambda _: sink


def _run(
    feed: Callable[[], Feed],
    *sinks: FakeSink,
    stream: EchoStream | None = None,
    mark: Callable[[Frame], object] | None = None,
) -> tuple[LiveReport, list[str]]:
    states = list[str]()
    outputs = [LiveOutput(f"output-{place}", _opens(sink), retries=False) for place, sink in enumerate(sinks)]
    source = LiveInput("input", feed, retries=False)
    return run_live(source, stream or EchoStream(), outputs, mark=mark, on_state=states.append), states


def _in_step(stream: EchoStream, items: list[Given]) -> list[Given]:
    """Have a feed wait until each of its pictures was pushed, so that none is dropped."""
    pushed = threading.Semaphore(0)
    stream._on_push = pushed.release
    return [one for item in items for one in ([item, pushed.acquire] if not isinstance(item, Sound) else [item])]


def test_every_frame_and_its_sound_reach_every_output() -> None:
    stream, sinks = EchoStream(), (FakeSink(), FakeSink())
    items = _in_step(stream, [sound(0), picture(1, 0), sound(0.5), picture(2, 1), sound(1.5), picture(3, 2)])
    report, states = _run(lambda: FakeFeed(items, has_sound=True), *sinks, stream=stream)
    for sink in sinks:
        frames = [(int(item.frame[0, 0, 0]), item.time) for item in sink.items if isinstance(item, LiveFrame)]
        assert frames[-1] == (3, Fraction(2))
        assert [item.time for item in sink.items if isinstance(item, Sound)] == [0, Fraction(1, 2), Fraction(3, 2)]
    assert (report.frames, report.swapped, report.dropped, report.stopped_by) == (3, 3, 0, None)
    assert [output.written + output.dropped for output in report.outputs] == [3, 3]
    assert 0 <= report.p50_s <= report.p95_s <= report.p99_s
    assert {"input: ended", "output-0: ended", "output-1: ended"} <= set(states)


def test_sound_is_held_back_until_its_frame_is_shown() -> None:
    stream, sink, is_heard = EchoStream(), FakeSink(), threading.Event()
    items = _in_step(stream, [sound(0), sound(0.5), sound(1), picture(1, 0), picture(2, 1)])
    _run(lambda: FakeFeed([*items, is_heard.set], has_sound=True), sink, stream=stream)
    order = [(type(item).__name__, item.time) for item in sink.items]
    assert order.index(("Sound", Fraction(1))) > order.index(("LiveFrame", Fraction(1)))


def test_sound_goes_on_where_frames_pause() -> None:
    stream, sink, heard = EchoStream(), FakeSink(), threading.Event()
    pieces = [sound(second, 48_000) for second in range(9)]

    def wait() -> None:
        while not any(isinstance(item, Sound) for item in sink.items):
            heard.wait(0.01)

    items = [*_in_step(stream, [picture(1, 0)]), *pieces, wait, picture(2, 9)]
    _run(lambda: FakeFeed(items, has_sound=True), sink, stream=stream)
    assert sum(isinstance(item, Sound) for item in sink.items) == 9


def test_the_mark_is_drawn_on_what_goes_out() -> None:
    sink = FakeSink()
    _run(lambda: FakeFeed([picture(1, 0)]), sink, mark=lambda frame: frame.fill(77))
    assert sink.levels == [77]


def test_an_output_that_fails_leaves_the_others_alone() -> None:
    stream, sink = EchoStream(), FakeSink()
    items = _in_step(stream, [picture(level, level) for level in range(5)])
    report, _ = _run(
        lambda: FakeFeed(items), FakeSink(error=OSError(28, "No space left", "a.mkv")), sink, stream=stream
    )
    assert report.outputs[0].error == (
        "a.mkv: expected room to write, seen No space left; make room there, or name another place"
    )
    assert report.outputs[1].error is None
    assert sink.levels[-1] == 4


def test_it_ends_where_the_last_output_does() -> None:
    def endless() -> Feed:
        waits = threading.Event()
        return FakeFeed([one for place in range(10_000) for one in (picture(1, place), lambda: waits.wait(0.001))])

    report, _ = _run(endless, FakeSink(most=3))
    assert report.outputs[0].error is None
    with pytest.raises(VideoError, match="gone"):
        _run(endless, FakeSink(error=VideoError("gone")))


def test_what_ends_the_input_or_the_stream_is_raised() -> None:
    with pytest.raises(VideoError, match="unplugged"):
        _run(connections(FakeFeed([picture(1, 0), VideoError("unplugged")])), FakeSink())
    with pytest.raises(FrameError, match="frame 3"):
        _run(lambda: FakeFeed([picture(1, 0)]), FakeSink(), stream=EchoStream(FrameError("frame 3: no")))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("morphstream")]


_PROGRAM = """
import sys, signal
from morphstream.live.run import run_live
from morphstream.media.live.sink import open_output
from morphstream.media.live.source import open_input
from tests.live.test_run import EchoStream

source, output = open_input(sys.argv[1], loop=True), open_output(sys.argv[2])
report = run_live(source, EchoStream(), [output], on_state=lambda line: print(line, flush=True))
print(signal.Signals(report.stopped_by).name, report.outputs[0].error)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_the_recording_is_complete(tmp_path: Path, number: signal.Signals) -> None:
    clip, path = write_clip(tmp_path / "clip.mkv", seconds=0.4), tmp_path / "take.mp4"
    command = [sys.executable, "-c", _PROGRAM, str(clip), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        next(line for line in process.stdout if line == f"{path}: live\n")
        process.send_signal(number)
        rest = process.stdout.read()
    assert rest.endswith(f"{number.name} None\n")
    with av.open(str(path)) as file:
        assert seen_in(file).frames
