"""No encoder changes how the threads of this process are scheduled."""

import os
import threading
from pathlib import Path

import pytest

from morphstream.media.video.encoders import Encoding
from morphstream.media.video.scheduling import usual_scheduling
from morphstream.media.video.swap_video import VideoOptions, swap_video
from tests.media.video.films import painting, write_film


def policies() -> set[int]:
    return {os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
def test_an_av1_encoder_leaves_every_thread_its_scheduling(tmp_path: Path) -> None:
    seen = list[set[int]]()

    def note(_: object) -> None:
        seen.append(policies())

    before = policies()
    options = VideoOptions(encoding=Encoding("libsvtav1"))
    swap_video(painting(), write_film(tmp_path / "in.mp4", count=3), tmp_path / "out.mkv", options, note)
    assert before == policies() == {os.SCHED_OTHER}
    assert set.union(*seen) == {os.SCHED_OTHER}


@pytest.mark.skipif(not hasattr(os, "sched_setscheduler") or os.geteuid() != 0, reason="needs Linux and root")
def test_a_thread_that_began_with_another_scheduling_keeps_it() -> None:
    may_end, has_begun = threading.Event(), threading.Event()

    def wait() -> None:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        has_begun.set()
        may_end.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    has_begun.wait()
    with usual_scheduling():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        assert os.sched_getscheduler(0) == os.SCHED_OTHER
        assert os.sched_getscheduler(thread.native_id or 0) == os.SCHED_BATCH
    finally:
        may_end.set()
        thread.join()
