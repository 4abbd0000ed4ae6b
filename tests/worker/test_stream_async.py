"""A stream is used from an event loop, which it never blocks."""

import asyncio

import pytest

from morphstream.artifact.errors import FrameError
from morphstream.worker.worker import SwapWorker
from tests.worker import ALONE, SOMEBODY, WAIT_S, PlayedPipeline, picture


async def swap_all(worker: SwapWorker, name: str, count: int) -> list[int]:
    """Push frames of a stream as there is room, and pull them."""
    with worker.open(name, SOMEBODY, tracking=ALONE, late="wait") as stream:

        async def push() -> None:
            for index in range(count):
                assert await stream.apush(picture(index), index / 25)
            stream.end()

        pushing = asyncio.create_task(push())
        got = [one.index async for one in stream]
        await pushing
    return got


def test_streams_of_one_loop_come_back_in_order(worker: SwapWorker) -> None:
    async def both() -> list[list[int]]:
        return [*await asyncio.gather(swap_all(worker, "a", 20), swap_all(worker, "b", 20))]

    assert asyncio.run(both()) == [list(range(20))] * 2


def test_the_loop_goes_on_while_a_frame_is_swapped(worker: SwapWorker, pipeline: PlayedPipeline) -> None:
    async def main() -> None:
        stream = worker.open("a", SOMEBODY, tracking=ALONE, late="wait")
        pipeline.may_swap.clear()
        assert await stream.apush(picture(), 0)
        assert await stream.apull(timeout_s=0.01) is None
        assert not stream.has_ended
        while await stream.apush(picture(), 1, timeout_s=0.01):  # until every queue is full
            pass
        pulling = asyncio.create_task(stream.apull(timeout_s=WAIT_S))
        await asyncio.sleep(0)
        pipeline.may_swap.set()
        swapped = await pulling
        assert swapped
        assert swapped.index == 0

    asyncio.run(main())


def test_what_waits_is_cancelled_and_leaves_nothing(worker: SwapWorker) -> None:
    async def main() -> None:
        stream = worker.open("a", SOMEBODY, tracking=ALONE)
        pulling = asyncio.create_task(stream.apull())
        await asyncio.sleep(0)
        pulling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pulling
        closed = asyncio.create_task(stream.apull())
        await asyncio.sleep(0)
        stream.close()
        assert await closed is None

    asyncio.run(main())


def test_a_loop_that_ended_keeps_no_frame_from_coming(worker: SwapWorker) -> None:
    stream = worker.open("a", SOMEBODY, tracking=ALONE)
    loop = asyncio.new_event_loop()
    pulling = loop.create_task(stream.apull())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()  # without a look at what waits there
    assert stream.push(picture(), 0)
    assert stream.pull(timeout_s=WAIT_S)
    assert not pulling.done()
    pulling.get_coro().close()


def test_an_error_is_raised_where_the_frame_is_pulled(worker: SwapWorker, pipeline: PlayedPipeline) -> None:
    async def main() -> None:
        stream = worker.open("a", SOMEBODY, tracking=ALONE)
        pipeline.is_broken = True
        await stream.apush(picture(), 0)
        with pytest.raises(FrameError, match="frame 0"):
            await stream.apull()

    asyncio.run(main())
