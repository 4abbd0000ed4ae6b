"""The page of workers shows each that was named as it is now, and says of one that doesn't answer that it doesn't."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from morphstream.health.metrics import Metrics
from morphstream.health.server import HealthServer
from stages.admin.admin import Admin
from stages.admin.server import AdminServer
from stages.admin.workers import Frames, health_of
from stages.workspace import Workspace
from tests.admin.browsing import Browser


@pytest.fixture
def metrics() -> Metrics:
    """What a worker serves that has swapped 20 frames of a stream and one of none."""
    found = Metrics(read_gpus=tuple)
    found.set_boot_step("open <all>", 1.5)
    found.count_fallback("rtx portable")
    for _ in range(19):
        found.count_frame(0.03, 1, 'a "stream"\\n')
    found.count_frame(0.43, 1, 'a "stream"\\n')
    found.count_frame(3.0, 1)
    return found


@pytest.fixture
def worker(metrics: Metrics) -> Iterator[str]:
    """The address of a worker."""
    with closing(HealthServer(metrics, port=0)) as served:
        yield served.url


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of what never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_worker_is_shown_as_its_metrics_say(metrics: Metrics, worker: str) -> None:
    metrics.set_ready()
    health = asyncio.run(health_of(f"{worker}/"))
    assert (health.is_there, health.unready) == (True, "")
    assert health.boot_s == {"open <all>": 1.5}
    assert health.fallbacks == {"rtx portable": 1}
    unnamed, named = sorted(health.frames, key=lambda frames: frames.count)
    assert unnamed == Frames(stream="", count=1, mean_s=3.0, usual_s=float("inf"))
    assert (named.stream, named.count, named.usual_s) == ('a "stream"\\n', 20, 0.0334)
    assert named.mean_s == pytest.approx(0.05)


def test_a_worker_says_why_it_is_not_ready(metrics: Metrics, worker: str) -> None:
    metrics.set_unready("no engine fits")
    assert asyncio.run(health_of(worker)).unready == "no engine fits"


def test_one_that_does_not_answer_in_time_is_unreachable(silent: str) -> None:
    health = asyncio.run(health_of(silent, timeout_s=0.1))
    assert (health.is_there, "expected an answer within 0.1 s" in health.unready) == (False, True)


@pytest.mark.parametrize("url", ["127.0.0.1:9300", "file:///etc/passwd", "http://a:b@host", "http://host:x", "http://"])
def test_what_is_no_address_is_said(url: str) -> None:
    health = asyncio.run(health_of(url))
    assert (health.is_there, "expected an address such as" in health.unready) == (False, True)


def test_the_page_shows_the_workers_that_were_named_alone(workspace: Workspace, worker: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        gone = f"http://127.0.0.1:{listening.getsockname()[1]}"
    admin = Admin(workspace, workers=[worker, gone], interpreter=("/bin/sh", "farm"))
    with AdminServer(admin, port=0) as server, Browser(server.url).opened(server.new_link()) as browser:
        page = browser.get("/workers?worker=http://127.0.0.1:1").text
    assert "<strong>Not ready</strong>: nothing is open yet" in page
    assert "<strong>Unreachable</strong>: expected an answer, seen: Connection refused; is it" in page
    assert "open &lt;all&gt;" in page
    assert page.count("<h2>") == len(admin.workers)


def test_without_workers_the_page_says_how_to_name_one(browser: Browser) -> None:
    assert "--worker http://127.0.0.1:9300" in browser.get("/workers").text
