"""A hub that limits requests is waited for as it asks, within a bound and with a word; else its wait is named."""

import logging
import time

import pytest

from morphstream.artifact.errors import FetchError
from morphstream.source.hub.refusals import refused
from tests.source.hub.answering import DATA, Answer, answering, at, ranged

LIMITED = '"api";r=0;t={}'


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        pytest.param({"RateLimit": LIMITED.format(25)}, 25, id="the Hub's"),
        pytest.param({"RateLimit": '"a";r=5;t=99, "b";r=0;t=7, "c" ; r=0 ; t=8'}, 8, id="two of three"),
        pytest.param({"RateLimit": "limit=100, remaining=0, reset=50"}, 50, id="an older draft"),
        pytest.param({"RateLimit": '"api";r=3;t=55'}, 0, id="a limit that wasn't reached"),
        pytest.param({"RateLimit": LIMITED.format(0)}, 0, id="over"),
        pytest.param({"RateLimit": "soon"}, 0, id="words"),
        pytest.param({"RateLimit": LIMITED.format("9" * 400)}, 0, id="no number of seconds"),
        pytest.param({"Retry-After": "3", "RateLimit": LIMITED.format(5)}, 5, id="both"),
        pytest.param({"Retry-After": "-3"}, 0, id="the past"),
        pytest.param({}, 0, id="nothing"),
    ],
)
def test_how_long_it_asks_to_wait_is_read(headers: dict[str, str], wait_s: float) -> None:
    assert refused(429, headers, has_token=False).wait_s == wait_s


def test_only_a_refusal_for_too_many_requests_is_one() -> None:
    assert refused(503, {"RateLimit": LIMITED.format(25)}, has_token=False).wait_s == 0
    assert refused(503, {"Retry-After": "25"}, has_token=False).wait_s == 25


def test_it_is_waited_for_with_a_word_and_no_attempt_is_used_up(caplog: pytest.LogCaptureFixture) -> None:
    def answer(_: str, wanted: tuple[int, int] | None) -> Answer:
        if len(server.asked) < 3:
            return 429, {"RateLimit": LIMITED.format(1)}, b""
        return ranged(DATA, wanted)

    start = time.monotonic()
    with caplog.at_level(logging.WARNING), answering(answer) as server:
        assert at(server, pauses_s=(), timeout_s=1.5).read("a") == DATA
    assert time.monotonic() - start >= 2
    (word,) = caplog.messages
    assert word.endswith(" a: seen 429, waiting 1 s as it asks")


@pytest.mark.parametrize("asked", ["301", "9999"])
def test_a_longer_wait_is_refused_at_once_and_named(asked: str) -> None:
    line = f"expected an answer, seen 429; it asks to wait {asked} s, run it again then$"
    with answering(lambda *_: (429, {"Retry-After": asked}, b"")) as server:
        with pytest.raises(FetchError, match=line):
            at(server).read("a")
        assert len(server.asked) == 1
