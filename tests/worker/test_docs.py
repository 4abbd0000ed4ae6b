"""The Python of docs/worker.md runs as it is written."""

import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from morphstream.frame import Frame
from morphstream.store.store import Store
from morphstream.worker.worker import SwapWorker
from tests.face import astronaut_bgr
from tests.health import number

TEXT = Path("docs/worker.md").read_text("utf-8")
THREADS, LOOP, CHANGES, METRICS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
FRAMES = [(np.roll(astronaut_bgr(), 2 * index, axis=1), index / 25) for index in range(3)]


@pytest.fixture
def names(booted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """What the programs name and don't define, in a folder with a store."""
    (tmp_path / "store").symlink_to(booted.path.absolute())
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:

        def start(target: Callable[[], None]) -> None:
            thread = threading.Thread(target=target)
            thread.start()
            stack.callback(thread.join)

        yield {"start": start, "camera": FRAMES, "alice_bgr": astronaut_bgr()}


def test_frames_of_a_thread_come_back_swapped(names: dict[str, object]) -> None:
    shown = list[float]()

    def show(frame: Frame, seconds: float, tracks: list[int]) -> None:
        shown.append(seconds)
        assert frame.shape == (512, 512, 3)
        assert tracks == [1]

    exec(THREADS, names | {"show": show})  # noqa: S102  # our own
    assert shown == sorted(shown)
    assert shown[-1] == FRAMES[-1][1]


def test_frames_of_a_loop_come_back_swapped_and_a_stream_is_changed(names: dict[str, object]) -> None:
    sent = list[float]()

    async def incoming() -> AsyncIterator[tuple[Frame, float]]:
        for frame in FRAMES:
            yield frame

    async def send(_frame: Frame, seconds: float) -> None:
        sent.append(seconds)

    exec(LOOP, names | {"incoming": incoming, "send": send})  # noqa: S102  # our own
    assert sent[-1] == FRAMES[-1][1]


def test_metrics_name_the_stream_that_is_changed(names: dict[str, object]) -> None:
    def serve(worker: SwapWorker) -> None:
        alice, bob = (worker.pipeline.identify(frame) for frame in (FRAMES[0][0], FRAMES[0][0][:, ::-1].copy()))
        with worker.open("page-1", alice) as stream:
            stream.push(*FRAMES[0])
            swapped = stream.pull()
            people = {"stream": stream, "swapped": swapped, "alice": alice, "bob": bob}
            exec(CHANGES.replace('"many"', '"xseg_1"'), program | people)  # noqa: S102  # our own
            stream.push(*FRAMES[1])
            swapped = stream.pull()
            assert swapped
            assert swapped.found.assignment == {0: alice}
            text = program["metrics"].text()  # type: ignore[attr-defined]
        assert number(text, "frame_seconds_count", "stream", "page-1") == 2
        assert number(text, "stream_waiting", "stream", "page-1") == 0
        assert number(text, "ready") == 1

    program = names | {"serve": serve}
    exec("import morphstream\n" + METRICS.replace("9300", "0"), program)  # noqa: S102  # our own
