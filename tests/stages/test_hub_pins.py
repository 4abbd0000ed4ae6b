"""Pinning writes what a revision holds into params.yaml, nothing else, and shows it."""

import pytest

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import FetchError
from stages.hub.pins import pin
from stages.hub.repository import Repository
from stages.params import load_params
from stages.workspace import Workspace
from tests.loopback.repository import Large
from tests.loopback.repository import Repository as Served
from tests.loopback.server import Hub
from tests.stages import ROOT

LARGE = "xseg_1"  # the others are small enough for Git


def publish(workspace: Workspace, hub: Hub) -> Served:
    """Publish bytes for every model of params.yaml."""
    served = hub.create("morphstream/models")
    files: dict[str, bytes | Large] = {}
    for name, model in load_params(workspace.params).models.items():
        data = f"the model {name}".encode()
        files[model.file] = Large(digest_of(data).sha256, len(data)) if name == LARGE else data
    served.commit(None, "Publish", files)
    return served


def pinned(workspace: Workspace, hub: Hub, revision: str = "main") -> str:
    repository = Repository("morphstream/models", endpoint=hub.endpoint, pauses_s=())
    return pin(load_params(workspace.params), workspace.params, revision, repository)


@pytest.fixture
def params(workspace: Workspace) -> str:
    """Enter a workspace with the project's own params.yaml, comments and all, and return its text."""
    text = (ROOT / "params.yaml").read_text("utf-8")
    workspace.params.write_text(text, "utf-8")
    return text


def test_every_pin_is_written_and_every_other_line_stays(workspace: Workspace, hub: Hub, params: str) -> None:
    tip = publish(workspace, hub).tip()
    diff = pinned(workspace, hub)
    assert load_params(workspace.params).hub.revision == tip
    for name, model in load_params(workspace.params).models.items():
        assert (model.sha256, model.bytes) == (digest_of(f"the model {name}".encode()).sha256, len(f"the model {name}"))
    before, after = params.splitlines(), workspace.params.read_text("utf-8").splitlines()
    assert len(before) == len(after)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {old.split()[0] for old, _ in changed} == {"revision:", "sha256:", "bytes:"}
    assert [old.partition("#")[2] for old, _ in changed] == [new.partition("#")[2] for _, new in changed]
    lines = diff.splitlines()
    assert [line[1:] for line in lines if line.startswith("-") and not line.startswith("---")] == [
        o for o, _ in changed
    ]
    assert [line[1:] for line in lines if line.startswith("+") and not line.startswith("+++")] == [
        n for _, n in changed
    ]


def test_pinning_again_changes_nothing(workspace: Workspace, hub: Hub, params: str) -> None:
    publish(workspace, hub)
    pinned(workspace, hub)
    before = workspace.params.read_bytes()
    assert pinned(workspace, hub).startswith("params.yaml: the pins are those of morphstream/models@")
    assert workspace.params.read_bytes() == before


def test_an_older_revision_can_be_pinned(workspace: Workspace, hub: Hub, params: str) -> None:
    served = publish(workspace, hub)
    old = served.tip()
    served.commit(None, "Change", {load_params(workspace.params).models["fan_68_5"].file: b"another"})
    pinned(workspace, hub)
    assert load_params(workspace.params).models["fan_68_5"].bytes == len(b"another")
    assert f"+  revision: {old}" in pinned(workspace, hub, old)
    assert load_params(workspace.params).models["fan_68_5"].bytes == len(b"the model fan_68_5")


def test_a_model_that_is_not_there_is_named_and_nothing_written(workspace: Workspace, hub: Hub, params: str) -> None:
    served = publish(workspace, hub)
    served.commit(None, "Delete", {}, [load_params(workspace.params).models["gfpgan"].file])
    with pytest.raises(FetchError, match=r"expected gfpgan/gfpgan\.onnx there, seen none"):
        pinned(workspace, hub)
    assert workspace.params.read_text("utf-8") == params


def test_a_missing_repository_and_a_missing_revision_are_refused(workspace: Workspace, hub: Hub, params: str) -> None:
    with pytest.raises(FetchError, match="seen no repository that the token in use may see"):
        pinned(workspace, hub)
    publish(workspace, hub)
    with pytest.raises(FetchError, match="expected the revision, seen 404"):
        pinned(workspace, hub, "0" * 40)
    assert workspace.params.read_text("utf-8") == params


def test_somebody_s_own_files_keep_their_pins(workspace: Workspace, hub: Hub, params: str) -> None:
    served = publish(workspace, hub)
    served.commit(None, "Delete", {}, [load_params(workspace.params).models["xseg_1"].file])
    text = params.replace("    file: models/xseg_1.onnx\n", "    file: models/xseg_1.onnx\n    origin: folder\n")
    workspace.params.write_text(text, "utf-8")
    before = load_params(workspace.params).model("xseg_1")
    pinned(workspace, hub)
    assert load_params(workspace.params).model("xseg_1") == before
    assert load_params(workspace.params).model("xseg_2").pin == digest_of(b"the model xseg_2")
