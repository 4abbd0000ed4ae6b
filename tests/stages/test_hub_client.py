"""A refusal of the Hub is one line with what to do, and without any token."""

from email.utils import formatdate
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from morphstream.artifact.errors import FetchError
from morphstream.source.hub.attempt import AttemptError
from stages.hub.client import attempt, prepare_client
from stages.hub.repository import Repository
from tests.loopback.faults import Fault
from tests.loopback.server import WRITE_TOKEN, Hub

NAME = "org/name"


def fault_of(hub: Hub, fault: Fault) -> AttemptError:
    """Return the error for a fault."""
    prepare_client()
    hub.faults.add(fault)
    with pytest.raises(AttemptError) as raised, attempt():
        HfApi(hub.endpoint).repo_info(NAME)
    return raised.value


def test_an_echoed_token_is_in_no_refusal(hub: Hub) -> None:
    for status in (400, 401, 403, 404, 409, 429, 500):
        fault = fault_of(hub, Fault(kind="status", status=status, is_echo=True))
        with pytest.raises(FetchError) as refused:
            Repository(NAME, pauses_s=()).retry("publish").wait(fault)
        message = str(refused.value)
        assert str(status) in message
        assert WRITE_TOKEN not in message
        assert "***" in message
        assert "\n" not in message


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        pytest.param("7", 7, 7, id="seconds"),
        pytest.param(formatdate(usegmt=True), 0, 0, id="a date that is over"),
        pytest.param(formatdate(4102444800, usegmt=True), 1e4, 1e10, id="a date in the next century"),
        pytest.param("", 0, 0, id="nothing"),
        pytest.param("soon", 0, 0, id="no number"),
    ],
)
def test_the_hub_says_how_long_to_wait(hub: Hub, retry_after: str, least: float, most: float) -> None:
    wait = fault_of(hub, Fault(kind="status", status=429, retry_after=retry_after)).wait_s
    assert wait is not None
    assert least <= wait <= most


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 416, 501])
def test_waiting_does_not_help_against_a_refusal(hub: Hub, status: int) -> None:
    assert fault_of(hub, Fault(kind="status", status=status)).wait_s is None


def test_what_passes_is_asked_again_and_what_stays_is_refused() -> None:
    calls = []

    @attempt()
    def call() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise AttemptError("an answer", "none", "see the network", "timed out")
        return "done"

    assert Repository(NAME, pauses_s=(0.0, 0.0)).retry("what").call(call) == "done"
    calls.clear()
    with pytest.raises(FetchError, match=r"^what: expected an answer, seen none \(timed out\); see the network"):
        Repository(NAME, pauses_s=(0.0,)).retry("what").call(call)
    assert len(calls) == 2


def test_a_local_file_s_fault_is_no_fault_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), attempt():
        (tmp_path / "missing").read_bytes()


def test_an_answer_that_is_none_is_refused_in_one_line(hub: Hub) -> None:
    with pytest.raises(FetchError, match=r"^org/name@main: expected an answer of a Hub, seen one that can't be read"):
        Repository(NAME, endpoint=f"{hub.endpoint}/_faults?", pauses_s=()).look()


def test_nobody_there_is_refused_in_one_line() -> None:
    with pytest.raises(
        FetchError, match=r"^org/name@main: expected an answer, seen none .*; see the network and HF_EN"
    ):
        Repository(NAME, endpoint="http://localhost:9", pauses_s=()).look()
