"""Each fault of the loopback hub is what a client meets on a bad day: it can be switched on, counted, and off."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from tests.loopback.faults import KINDS, Fault, Faults
from tests.loopback.server import WRITE_TOKEN, Hub

REPO = "org/name"
DATA = bytes(range(256)) * 400


@pytest.fixture
def api(hub: Hub) -> HfApi:
    """A client of a hub with one large file and one small one."""
    hub.create(REPO)
    api = HfApi(hub.endpoint, token=WRITE_TOKEN)
    added = [CommitOperationAdd("a.onnx", DATA), CommitOperationAdd("b.txt", b"small")]
    api.create_commit(REPO, added, commit_message="Add")
    hub.requests.clear()
    return api


def got(hub: Hub, path: str, begin: int = 0) -> bytes:
    headers = {"Authorization": f"Bearer {WRITE_TOKEN}"} | ({"Range": f"bytes={begin}-"} if begin else {})
    answer = httpx2.get(f"{hub.endpoint}/{REPO}/resolve/main/{path}", headers=headers, follow_redirects=True)
    return answer.raise_for_status().content


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(Fault(kind="status", status=401), HfHubHTTPError, id="401"),
        pytest.param(Fault(kind="status", status=403), HfHubHTTPError, id="403"),
        pytest.param(
            Fault(kind="status", status=404, code="RepoNotFound"), RepositoryNotFoundError, id="no repository"
        ),
        pytest.param(
            Fault(kind="status", status=404, code="RevisionNotFound"), RevisionNotFoundError, id="no revision"
        ),
        pytest.param(Fault(kind="status", status=404, code="EntryNotFound"), EntryNotFoundError, id="no file"),
        pytest.param(Fault(kind="status", status=429, retry_after="7"), HfHubHTTPError, id="429"),
        pytest.param(Fault(kind="status", status=503), HfHubHTTPError, id="503"),
    ],
)
def test_a_refusal_comes_once_with_its_words(hub: Hub, api: HfApi, fault: Fault, error: type[HfHubHTTPError]) -> None:
    hub.faults.add(fault)
    with pytest.raises(error) as refused:
        api.repo_info(REPO)
    assert refused.value.response.status_code == fault.status
    assert refused.value.response.headers.get("Retry-After", "") == fault.retry_after
    assert fault.message in str(refused.value)
    assert api.repo_info(REPO).private


def test_a_fault_waits_for_its_turn_and_hits_its_own_requests_alone(hub: Hub, api: HfApi) -> None:
    hub.faults.add(Fault(kind="status", path="/tree/", after=1, times=2))
    assert api.repo_info(REPO).sha
    list(api.list_repo_tree(REPO))
    headers = {"Authorization": f"Bearer {WRITE_TOKEN}"}
    tree = f"{hub.endpoint}/api/models/{REPO}/tree/main"
    assert [httpx2.get(tree, headers=headers).status_code for _ in range(3)] == [503, 503, 200]


def test_a_download_is_cut_where_it_was_asked_to_be_and_continues_behind(hub: Hub, api: HfApi) -> None:
    hub.faults.add(Fault(kind="cut", path="^/lfs/", at=1000))
    with pytest.raises(httpx2.TransportError):
        got(hub, "a.onnx")
    assert got(hub, "a.onnx", 1000) == DATA[1000:]


def test_an_upload_that_is_cut_leaves_nothing(hub: Hub, api: HfApi) -> None:
    tip = hub.repository(REPO).tip()
    hub.faults.add(Fault(kind="cut", method="POST", path="/commit/", at=10))
    with pytest.raises(httpx2.TransportError):
        api.create_commit(REPO, [CommitOperationAdd("c.txt", b"c")], commit_message="Cut")
    assert hub.repository(REPO).tip() == tip


def test_a_commit_is_made_though_its_answer_is_lost(hub: Hub, api: HfApi) -> None:
    tip = hub.repository(REPO).tip()
    hub.faults.add(Fault(kind="lost", path="/commit/"))
    with pytest.raises(httpx2.TransportError):
        api.create_commit(REPO, [CommitOperationAdd("c.txt", b"c")], commit_message="Lost")
    assert hub.repository(REPO).tip() != tip
    assert "c.txt" in hub.repository(REPO).files(hub.repository(REPO).tip())


@pytest.mark.parametrize("path", ["a.onnx", "b.txt"])
def test_a_corrupt_answer_has_the_right_size_and_one_other_byte(hub: Hub, api: HfApi, path: str) -> None:
    right = got(hub, path)
    hub.faults.add(Fault(kind="corrupt", path=r"^/lfs/|b\.txt"))
    wrong = got(hub, path)
    assert len(wrong) == len(right)
    assert sum(a != b for a, b in zip(wrong, right, strict=True)) == 1
    assert got(hub, path) == right


def test_the_client_itself_accepts_a_corrupt_file(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    hub.faults.add(Fault(kind="corrupt", path="^/lfs/"))
    options: dict[str, Any] = {"local_dir": tmp_path, "endpoint": hub.endpoint, "token": WRITE_TOKEN}
    assert Path(hf_hub_download(REPO, "a.onnx", **options)).read_bytes() != DATA  # so we verify what it brings


def test_a_short_answer_ends_well_and_too_early(hub: Hub, api: HfApi) -> None:
    hub.faults.add(Fault(kind="short", path="^/lfs/", at=123))
    assert got(hub, "a.onnx") == DATA[:123]


def test_a_slow_answer_is_whole(hub: Hub, api: HfApi) -> None:
    hub.faults.add(Fault(kind="drip", path="^/lfs/", at=50_000, pause_s=0.01))
    assert got(hub, "a.onnx") == DATA


def test_a_stale_answer_is_that_of_the_commit_before(hub: Hub, api: HfApi) -> None:
    before, tip = hub.repository(REPO).commits()[1], hub.repository(REPO).tip()
    hub.faults.add(Fault(kind="stale", times=2))
    assert api.repo_info(REPO).sha == before
    assert [entry.path for entry in api.list_repo_tree(REPO, revision=tip)] == [".gitattributes"]
    assert api.repo_info(REPO).sha == tip


def test_a_refusal_may_repeat_the_token(hub: Hub, api: HfApi) -> None:
    hub.faults.add(Fault(kind="status", status=403, is_echo=True))
    with pytest.raises(HfHubHTTPError, match=WRITE_TOKEN):
        api.repo_info(REPO)


def test_faults_can_be_switched_by_another_process(hub: Hub, api: HfApi) -> None:
    address = f"{hub.endpoint}/_faults"
    (fault,) = httpx2.post(address, json={"kind": "status", "path": "/tree/", "times": None}).json()
    assert Fault(**fault) == Fault(kind="status", path="/tree/", times=None)
    assert httpx2.get(address).json() == [fault]
    assert httpx2.delete(address).json() == []
    assert httpx2.post(address, json={"kind": "flood"}).status_code == 400


@pytest.mark.parametrize(
    "text", ["{}", '{"kind": "flood"}', '{"kind": "cut", "bytes": 1}', '{"kind": "status", "status": 200}']
)
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|kind|bytes"):
        Faults.from_json(text)


def test_every_kind_has_a_name() -> None:
    assert [Fault(kind=kind).kind for kind in KINDS] == list(KINDS)


def test_no_token_is_on_record(hub: Hub, api: HfApi) -> None:
    api.repo_info(REPO)
    assert hub.requests
    assert WRITE_TOKEN not in repr(hub.requests)
