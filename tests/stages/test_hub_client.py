"""A refusal of the Hub is one line with what to do, and without any token."""

import errno
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi, close_session, set_client_factory

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import FetchError
from morphstream.source.hub import HubSource
from morphstream.source.hub.attempt import AttemptError
from stages.hub.client import attempt, prepare_client
from stages.hub.repository import Content, Repository
from stages.hub.transport import HubTransport
from tests.loopback.faults import Fault
from tests.loopback.server import WRITE_TOKEN, Hub
from tests.source.hub.answering import Answer, answering
from tests.source.hub.proxying import HOST, proxying

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


def test_equal_files_are_uploaded_once(hub: Hub) -> None:
    served = hub.create(NAME)
    same, other = (Content(digest_of(data), data) for data in (b"\0same" * 1000, b"\0other" * 1000))
    files = {f"{number}.onnx": same for number in range(8)} | {"other.onnx": other}
    Repository(NAME, endpoint=hub.endpoint).commit(served.tip(), "Add", files, (), ())
    assert [asked.method for asked in hub.requests].count("PUT") == 2
    held = served.files(served.tip())
    assert {path: held[path].sha256 for path in files} == {path: file.digest.sha256 for path, file in files.items()}


def test_a_server_without_a_part_that_is_written_to_is_named_for_it(hub: Hub) -> None:
    served = hub.create(NAME)
    hub.faults.add(Fault(kind="status", status=404, path="validate-yaml", times=None))
    card = Content.of_text("---\nlicense: mit\n---\n")
    with pytest.raises(AttemptError) as refused:
        Repository(NAME, endpoint=hub.endpoint).commit(served.tip(), "Add", {"README.md": card}, (), ())
    assert refused.value.expected == "the Hub's POST /api/validate-yaml"
    assert refused.value.remedy == "see HF_ENDPOINT, whose server lacks it"


def test_a_proxy_is_refused_as_by_the_runtime(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    close_session()
    with proxying(9, 407) as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:word@{proxy.address}")
        for ask in (
            lambda: Repository(NAME, endpoint=f"http://{HOST}").look(),
            lambda: HubSource(NAME, endpoint=f"http://{HOST}").read("a"),
        ):
            with pytest.raises(FetchError) as refused:
                ask()
            assert str(refused.value).partition(": ")[2] == (
                f"expected an answer through the proxy {proxy.address}, seen 407; name its user and password there, "
                "see http_proxy, https_proxy and no_proxy"
            )
        assert len(proxy.asked) == 2


def test_a_file_that_can_not_be_read_while_it_is_uploaded_is_no_fault_of_the_hub(hub: Hub) -> None:
    class Spoilt(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"some"
            raise OSError(errno.EIO, "Input/output error", "a.onnx")

    request = httpx2.Request("PUT", f"{hub.endpoint}/{NAME}", headers={"content-length": "1000"}, stream=Spoilt())
    with pytest.raises(OSError, match="Input/output error"):
        HubTransport().handle_request(request)


def test_a_listing_without_an_end_is_refused() -> None:
    def answer(path: str, _: object) -> Answer:
        return 200, {"Link": f'<{server.endpoint}{path}>; rel="next"', "Content-Type": "application/json"}, b"[]"

    with answering(answer) as server, pytest.raises(FetchError, match="expected 1000 pages of a listing at most"):
        Repository(NAME, endpoint=server.endpoint, pauses_s=()).files("0" * 40)


def test_redirects_have_one_time_out_together() -> None:
    def answer(path: str, _: object) -> Answer:
        time.sleep(0.1)
        return 307, {"Location": f"{path}x"}, b""

    set_client_factory(lambda: httpx2.Client(follow_redirects=True, transport=HubTransport(0.6, 0.6)))
    try:
        with (
            answering(answer) as server,
            pytest.raises(FetchError, match=r"expected an answer( in 0\.6 s)?, seen none"),
        ):
            Repository(NAME, endpoint=server.endpoint, pauses_s=()).look()
        assert len(server.asked) <= 4
    finally:
        prepare_client.cache_clear()
        prepare_client()
