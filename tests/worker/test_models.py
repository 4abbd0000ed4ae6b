"""A stream switches to another swap model when that is open; until then, and if it can't be, it keeps its own."""

import threading
from pathlib import Path

import pytest

from morphstream.artifact.errors import NoEngineError
from morphstream.boot.boot import boot
from morphstream.boot.service import ModelDownloadService
from morphstream.face.look import Look
from morphstream.store.store import Store
from morphstream.worker.models import ModelSwitch, is_batch_cheaper
from morphstream.worker.stream import SwapStream
from morphstream.worker.worker import SwapWorker
from tests.boot.test_service import Slow
from tests.layouts import CPU, FILES, MACHINE, ON_DEMAND, publish
from tests.worker import ALONE, OTHER, OWN, SOMEBODY, WAIT_S, PlayedPipeline, picture, until


def swap_model_of(stream: SwapStream) -> str:
    """Swap one frame; return the model that did."""
    stream.push(picture(), 0)
    assert stream.pull(timeout_s=WAIT_S)
    return stream.stats.swap_model


def test_frames_keep_a_model_until_the_other_is_open(worker: SwapWorker, pipeline: PlayedPipeline) -> None:
    stream, may_open = worker.open("a", SOMEBODY, tracking=ALONE), threading.Event()
    pipeline.has = lambda _: may_open.wait(WAIT_S)
    switch = stream.switch(OTHER)
    assert swap_model_of(stream) == OWN
    assert (switch.state, switch.error) == ("opening", "")
    may_open.set()
    assert switch.wait(WAIT_S)
    assert swap_model_of(stream) == OTHER
    assert (switch.state, switch.done_bytes, switch.total_bytes) == ("done", 0, 0)
    assert pipeline.rows(OTHER)[-1] == 1


def test_a_switch_that_fails_says_why_and_frames_keep_the_model(worker: SwapWorker) -> None:
    stream = worker.open("a", SOMEBODY, tracking=ALONE, look=Look(pixel_boost=256, angles=()))
    switch = stream.switch("hyperswap_1z_256")
    assert not switch.wait(WAIT_S)
    assert (switch.state, switch.error) == ("failed", "hyperswap_1z_256: expected an engine, seen none; fetch it")
    assert swap_model_of(stream) == OWN


def test_a_model_that_a_look_does_not_fit_is_refused_and_closed(worker: SwapWorker, pipeline: PlayedPipeline) -> None:
    stream = worker.open("a", SOMEBODY, tracking=ALONE)
    stream.steps.look = Look(pixel_boost=300)
    switch = stream.switch(OTHER)
    assert not switch.wait(WAIT_S)
    assert switch.error.startswith(f"look: expected a pixel boost of a multiple of 128, the side of {OTHER}, seen 300")
    until(lambda: pipeline.sessions[OTHER].is_closed)


def test_of_two_switches_the_later_counts(worker: SwapWorker, pipeline: PlayedPipeline) -> None:
    stream, may_open = worker.open("a", SOMEBODY, tracking=ALONE), threading.Event()
    pipeline.has = lambda _: may_open.wait(WAIT_S)
    first, second, third = stream.switch(OTHER), stream.switch("hyperswap_1b_256"), stream.switch("hyperswap_1c_256")
    may_open.set()
    assert third.wait(WAIT_S)
    assert [switch.state for switch in (first, second)] == ["replaced", "replaced"]
    assert not first.wait()
    assert swap_model_of(stream) == "hyperswap_1c_256"
    assert "hyperswap_1b_256" not in pipeline.sessions  # which nobody wants any more


def test_a_model_is_opened_once_for_all_streams_and_closed_after_its_last_use(
    worker: SwapWorker, pipeline: PlayedPipeline
) -> None:
    first, second = (worker.open(name, SOMEBODY, tracking=ALONE, swap_model=OTHER) for name in "ab")
    session = pipeline.sessions[OTHER]
    assert [swap_model_of(stream) for stream in (first, second)] == [OTHER, OTHER]
    assert pipeline.sessions[OTHER] is session
    assert second.switch(OWN).wait(WAIT_S)
    assert not session.is_closed
    first.close()
    until(lambda: session.is_closed)
    assert swap_model_of(second) == OWN
    worker.open("c", SOMEBODY, swap_model=OTHER)
    assert pipeline.sessions[OTHER] is not session


def test_a_look_whose_model_cannot_be_opened_changes_nothing(worker: SwapWorker) -> None:
    stream = worker.open("a", SOMEBODY, tracking=ALONE)
    with pytest.raises(NoEngineError, match="xseg_2: expected an engine"):
        stream.change(look=Look(occluder="xseg_2"))
    assert swap_model_of(stream) == OWN
    with pytest.raises(NoEngineError, match="hyperswap_1z_256: expected an engine"):
        worker.open("b", SOMEBODY, swap_model="hyperswap_1z_256")


def test_a_model_that_is_not_in_the_store_is_fetched_while_frames_keep_the_one_before(
    store: Store, tmp_path: Path
) -> None:
    source = Slow(publish(tmp_path / "hub", CPU, files=(*FILES, *ON_DEMAND)))
    boot(store, source=source.root, machine=MACHINE, groups=["core"])
    pipeline = PlayedPipeline()
    pipeline.has = lambda name: name in store.current().models
    with (
        ModelDownloadService(store, source) as downloads,
        SwapWorker(pipeline, downloads=downloads, most_streams=1) as worker,
    ):
        stream = worker.open("a", SOMEBODY, tracking=ALONE)
        replaced, switch = stream.switch("hyperswap_1b_256"), stream.switch(OTHER)
        until(lambda: 0 < switch.done_bytes < switch.total_bytes)
        assert (replaced.state, switch.state) == ("replaced", "fetching")
        assert swap_model_of(stream) == OWN
        source.may_go.set()
        assert switch.wait(WAIT_S)
        assert swap_model_of(stream) == OTHER
        failed = stream.switch("hyperswap_1z_256")
        assert not failed.wait(WAIT_S)
        assert failed.error.startswith("hyperswap_1z_256: expected an engine for x86_64/ov2026.4 at")
    assert "hyperswap_1b_256" not in store.current().models


@pytest.mark.parametrize(
    ("second_row_s", "is_cheaper"), [(0.1, True), (0.9, False), (1.0, False)], ids=["a GPU", "a little", "a CPU"]
)
def test_a_batch_is_worth_it_where_the_second_row_costs_clearly_less(second_row_s: float, *, is_cheaper: bool) -> None:
    now_s = 0.0

    def run(rows: int) -> None:
        nonlocal now_s
        now_s += 1 + (rows - 1) * second_row_s

    assert is_batch_cheaper(run, lambda: now_s) == is_cheaper


def test_a_switch_that_is_over_stays_so() -> None:
    switch = ModelSwitch(OTHER)
    assert switch.become("replaced")
    assert not switch.become("done")
    assert switch.state == "replaced"
