"""However an answer to the Hub's client is spoilt: what is read is right, what is written whole, or it is one line."""

import os
from collections.abc import Iterator
from contextlib import suppress

import httpx2
import pytest
from huggingface_hub import set_client_factory

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import MorphstreamError
from morphstream.source.hub.attempt import AttemptError
from stages.hub.client import prepare_client
from stages.hub.repository import Content, Repository
from stages.hub.transport import HubTransport
from tests.loopback.relay import Relay, Spoilt
from tests.loopback.server import Hub

EXAMPLES = int(os.environ.get("MORPHSTREAM_EXAMPLES", "20"))
NAME, TIMEOUT_S = "org/name", 0.2
TEXTS = {"a.onnx": b"\0weights" * 1000, "b.onnx": b"\0weights" * 1000, "c.txt": b"words"}
FILES = {path: Content(digest_of(data), data) for path, data in TEXTS.items()}


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Let the client wait less than it does."""
    prepare_client()
    set_client_factory(lambda: httpx2.Client(follow_redirects=True, transport=HubTransport(TIMEOUT_S, TIMEOUT_S)))
    yield
    prepare_client.cache_clear()
    prepare_client()


def at(relay: Relay) -> Repository:
    return Repository(NAME, endpoint=relay.endpoint, timeout_s=TIMEOUT_S)


def check_line(error: MorphstreamError, seed: int) -> None:
    line = str(error)
    assert ": expected " in line, f"seed {seed}"
    assert "\n" not in line, f"seed {seed}"
    assert len(line) <= 500, f"seed {seed}"


def test_what_is_read_is_right_or_refused(hub: Hub) -> None:
    served = hub.create(NAME)
    served.commit(None, "Add", TEXTS)
    for seed in range(EXAMPLES):
        with Relay(hub, Spoilt.of(seed, pause_s=TIMEOUT_S / 50)) as relay:
            try:
                commit = at(relay).commit_of("main")
                if held := at(relay).files(commit).get("c.txt"):  # whose name may be another
                    data = at(relay).read("c.txt", commit, held)
                    assert held.is_same(Content(digest_of(data), data)), f"seed {seed}"
            except MorphstreamError as error:
                check_line(error, seed)


def test_what_is_written_is_whole_or_not_there(hub: Hub) -> None:
    served = hub.create(NAME)
    first = served.tip()
    for seed in range(EXAMPLES):
        tip = served.tip()
        with Relay(hub, Spoilt.of(seed, pause_s=TIMEOUT_S / 50)) as relay, suppress(AttemptError):
            try:
                at(relay).commit(tip, "Add", FILES, (), ())
            except MorphstreamError as error:
                check_line(error, seed)
        files = served.files(served.tip())
        assert {path for path in files if path != ".gitattributes"} in (set(), set(TEXTS)), f"seed {seed}"
        assert all(served.read(files[path]) == data for path, data in TEXTS.items() if path in files)
        served.commit(None, "Delete", {}, [path for path in files if path in TEXTS])
    assert first in served.commits()
