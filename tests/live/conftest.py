"""A page whose streams mirror frames; it serves all tests of a file, and each opens a session of its own."""

from collections.abc import Iterator

import pytest

from morphstream.live.options import PageOptions
from morphstream.live.server import PageServer
from tests.live import TOKEN, MirroringWorker, PlayedInput, halves

OPTIONS = PageOptions(port=0, token=TOKEN, visible_mark=False, most_sessions=3, names=["live.test"])


@pytest.fixture(scope="module")
def worker() -> MirroringWorker:
    """A worker without engines."""
    return MirroringWorker()


@pytest.fixture(scope="module")
def server_input() -> PlayedInput:
    """An input of the program."""
    return PlayedInput(halves(40, 200))


@pytest.fixture(scope="module")
def page(worker: MirroringWorker, server_input: PlayedInput) -> Iterator[PageServer]:
    """A page of that worker."""
    models = {"mirror": True, "other": False}
    with PageServer(worker, OPTIONS, server_input=server_input, swap_models=lambda: models) as page:
        yield page


@pytest.fixture
def reset(worker: MirroringWorker, server_input: PlayedInput) -> None:
    """Have what is played as it was."""
    worker.most, worker.pipeline.played.faces, server_input.state = 100, 1, "live"
    worker.pipeline.played.asked.clear()
