"""A repository of the Hub with a published layout; no thread of a download outlives a test."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.repository import Repository
from tests.loopback.server import Hub
from tests.source.hub.answering import ARCHIVE, DATA, NAME, put


@pytest.fixture
def served(hub: Hub, layout: Path) -> Repository:
    """A private repository with a published layout, and an archive of a million bytes."""
    (layout / "archives" / ARCHIVE).write_bytes(DATA)
    repository = hub.create(NAME)
    put(repository, layout)
    hub.requests.clear()
    return repository


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Whatever a test did, no thread of a download outlives it."""
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("morphstream-hub")] == []
