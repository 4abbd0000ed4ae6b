"""Whatever goes wrong on the way to the Hub, the publication is made whole, or not at all, with one line."""

import pytest

from morphstream.artifact.errors import FetchError, MorphstreamError
from stages.hub.client import prepare_client
from stages.hub.repository import Repository
from stages.publish.__main__ import publish
from stages.publish.local import WHAT, local
from tests.loopback.faults import Fault
from tests.loopback.repository import Repository as Served
from tests.loopback.server import Hub
from tests.stages.publications import NAME, Project, check_complete

PASSING = [
    pytest.param(Fault(kind="status", status=412, path="/commit/", times=3), id="412 three times"),
    pytest.param(Fault(kind="status", status=503, path="/commit/"), id="503 of the commit"),
    pytest.param(Fault(kind="status", status=503, path="/tree/"), id="503 of the listing"),
    pytest.param(Fault(kind="status", status=500, path="preupload"), id="500 before the upload"),
    pytest.param(Fault(kind="status", status=502, path="/lfs/objects/batch"), id="502 of large files"),
    pytest.param(Fault(kind="status", status=503, method="PUT"), id="503 of an upload"),
    pytest.param(Fault(kind="status", status=429, retry_after="0", times=2), id="429"),
    pytest.param(Fault(kind="status", status=429, retry_after="0", path="/commit/"), id="429 of the commit"),
    pytest.param(Fault(kind="status", status=404, code="EntryNotFound", path="/commit/"), id="deleted meanwhile"),
    pytest.param(Fault(kind="cut", method="PUT", at=100), id="an upload is cut"),
    pytest.param(Fault(kind="cut", path="/commit/", at=100), id="the commit is cut"),
    pytest.param(Fault(kind="lost", path="/commit/"), id="the commit's answer is lost"),
    pytest.param(Fault(kind="lost", method="PUT"), id="an upload's answer is lost"),
    pytest.param(Fault(kind="lost", path="/api/models/morphstream/models/revision"), id="the first answer is lost"),
    pytest.param(Fault(kind="cut", path="/resolve/", at=10), id="a manifest is cut"),
    pytest.param(Fault(kind="corrupt", path="/resolve/"), id="a manifest comes altered"),
    pytest.param(Fault(kind="drip", path="/resolve/", at=200, pause_s=0.001, times=None), id="a slow manifest"),
    pytest.param(Fault(kind="stale", path="/revision/", times=3), id="the tip is stale"),
    pytest.param(Fault(kind="stale", path="/tree/", times=2), id="the listing is stale"),
    pytest.param(Fault(kind="stale", path="/(tree|revision)/", times=4), id="both are stale"),
]
STAYING = [
    pytest.param(Fault(kind="status", status=401), "seen 401", id="401"),
    pytest.param(Fault(kind="status", status=403, path="preupload"), "seen 403", id="403"),
    pytest.param(
        Fault(kind="status", status=403, path="/commit/"), "use one with write access", id="403 of the commit"
    ),
    pytest.param(Fault(kind="status", status=404, code="RepoNotFound", times=None), "seen 404", id="no repository"),
    pytest.param(Fault(kind="status", status=404, code="RevisionNotFound"), "expected the revision", id="no revision"),
    pytest.param(Fault(kind="status", status=503, path="/commit/", times=None), "busy or down", id="503 always"),
    pytest.param(Fault(kind="status", status=429, retry_after="9999"), "seen 429", id="429 for hours"),
    pytest.param(Fault(kind="lost", path="/revision/", times=None), "expected an answer, seen none", id="silence"),
    pytest.param(Fault(kind="status", status=400, path="/commit/", is_echo=True), "seen 400", id="400 with the token"),
    pytest.param(Fault(kind="status", status=412, path="/commit/", times=None), "at its tip", id="412 always"),
    pytest.param(Fault(kind="corrupt", path="/resolve/", times=None), "expected ", id="an altered manifest"),
    pytest.param(Fault(kind="status", status=404, path="batch", code="RepoNotFound"), "seen 404", id="no large files"),
]


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """Two projects of one model each, their build/ filled."""
    prepare_client()
    first, second = (
        Project.filled(tmp_path_factory.mktemp("projects") / model, [model]) for model in ("fan_68_5", "xseg_1")
    )
    return first, second


def send(hub: Hub, project: Project) -> str:
    workspace, params = project.workspace, project.params
    repository = Repository(NAME, endpoint=hub.endpoint, pauses_s=(0.0,) * 4)
    return publish(workspace.build, params, local(workspace, params, WHAT), repository, "all").commit


@pytest.fixture
def served(hub: Hub, projects: tuple[Project, Project]) -> Served:
    """A repository in which another writer has published, twice, and deleted."""
    served = hub.create(NAME)
    send(hub, projects[0])
    served.commit(None, "Add", {"trt_cache/x86_64/ov2026.4/stale.engine": b"stale"})
    return served


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_does_no_harm(
    hub: Hub, served: Served, projects: tuple[Project, Project], fault: Fault
) -> None:
    before = served.commits()
    hub.faults.add(fault)
    commit = send(hub, projects[1])
    assert served.tip() == commit
    assert len(served.commits()) == len(before) + 1
    check_complete(served, commit)
    files = served.files(commit)
    assert {"models/fan_68_5.onnx", "models/xseg_1.onnx"} <= set(files)
    hub.faults.clear()
    assert send(hub, projects[1]) == commit


@pytest.mark.parametrize(("fault", "message"), STAYING)
def test_a_fault_that_stays_is_one_line_and_publishes_nothing(
    hub: Hub,
    served: Served,
    projects: tuple[Project, Project],
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    message: str,
) -> None:
    monkeypatch.setattr("stages.publish.send._OUTRUN_PAUSES_S", (0,))
    tip = served.tip()
    hub.faults.add(fault)
    with pytest.raises(MorphstreamError) as refused:
        send(hub, projects[1])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert hub.token not in str(refused.value)
    assert served.tip() == tip
    hub.faults.clear()
    check_complete(served, send(hub, projects[1]))


def test_what_was_uploaded_before_a_fault_is_not_uploaded_again(
    hub: Hub, served: Served, projects: tuple[Project, Project]
) -> None:
    hub.faults.add(Fault(kind="status", status=403, path="/commit/"))
    hub.requests.clear()
    with pytest.raises(FetchError):
        send(hub, projects[1])
    uploads = [asked.path for asked in hub.requests if asked.method == "PUT"]
    assert uploads
    send(hub, projects[1])
    assert [asked.path for asked in hub.requests if asked.method == "PUT"] == uploads
