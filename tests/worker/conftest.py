"""A worker without engines."""

from collections.abc import Iterator

import pytest

from morphstream.worker.worker import SwapWorker
from tests.worker import PlayedPipeline


@pytest.fixture
def pipeline() -> PlayedPipeline:
    """A pipeline without engines."""
    return PlayedPipeline()


@pytest.fixture
def worker(pipeline: PlayedPipeline) -> Iterator[SwapWorker]:
    """A worker of it."""
    with SwapWorker(pipeline) as worker:
        yield worker
        pipeline.may_swap.set()
