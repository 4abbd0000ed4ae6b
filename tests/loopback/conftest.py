"""The Hub's client as its users have it, and not over the connections of the pipeline."""

from collections.abc import Iterator

import pytest
from huggingface_hub import close_session
from huggingface_hub.utils import _http


@pytest.fixture(autouse=True)
def plain_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test a client of its own, and the tests after it the one that was there."""
    monkeypatch.setattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)
    close_session()
    yield
    close_session()
