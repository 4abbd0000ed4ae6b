"""No test of a run leaves a thread."""

import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fail a test after which there are threads that were not there before."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) - before == set()
