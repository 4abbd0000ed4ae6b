"""The Hub's client as its users have it, and not over the connections of the pipeline."""

import pytest
from huggingface_hub import close_session
from huggingface_hub.utils import _http


@pytest.fixture(autouse=True)
def plain_client(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)
    close_session()
    yield
    close_session()
