"""What is not valid, here or there, is not published, and what is there stays as it was."""

from collections.abc import Callable
from pathlib import Path

import pytest

from morphstream.artifact.errors import ManifestError, MorphstreamError
from stages.hub.repository import Repository
from stages.publish.__main__ import publish
from stages.publish.compose import IncompleteError
from stages.publish.local import WHAT, local
from tests.loopback.repository import Repository as Served
from tests.loopback.server import Hub
from tests.stages.publications import CORE, FOLDER, MASKS, NAME, Project, check_complete, send


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("models/xseg_1.onnx", id="model"),
        pytest.param(f"{FOLDER}/*_xseg_1.engine", id="engine"),
        pytest.param("archives/cpu-cache-x86_64.tar.zst", id="archive"),
        pytest.param("manifests/models.json", id="manifest"),
    ],
)
def test_what_validate_does_not_pass_is_not_published(
    hub: Hub, served: Served, project: Callable[..., Project], path: str
) -> None:
    mine = project(*MASKS)
    (file,) = mine.workspace.build.glob(path)
    spoil(file)
    tip = served.tip()
    with pytest.raises(MorphstreamError):
        send(hub, mine)
    assert served.tip() == tip
    assert hub.requests == []


def test_a_file_that_is_altered_after_it_was_validated_is_not_published(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    mine = project(*MASKS)
    found = local(mine.workspace, mine.params, WHAT)
    spoil(mine.workspace.build / "models/xseg_1.onnx")
    repository = Repository(NAME, endpoint=hub.endpoint, pauses_s=())
    tip = served.tip()
    with pytest.raises(MorphstreamError, match=r"models/xseg_1\.onnx: expected sha256 "):
        publish(mine.workspace.build, mine.params, found, repository, "all")
    assert served.tip() == tip


def test_a_published_manifest_that_names_what_is_not_there_is_refused(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    send(hub, project(*MASKS))
    (gone,) = (path for path in served.files(served.tip()) if path.endswith("_xseg_1.engine"))
    tip = served.commit(None, "Break", {}, [gone])
    core = project(*CORE)
    with pytest.raises(IncompleteError, match=r"_xseg_1\.engine with .*, seen none; publish it, or remove its model"):
        send(hub, core)
    assert served.tip() == tip
    send(hub, core, dropped=("xseg_1",))
    check_complete(served, served.tip())


@pytest.mark.parametrize("path", [f"{FOLDER}/manifest.json", "manifests/models.json", "manifests/archives.json"])
def test_a_published_manifest_that_is_broken_is_named_and_nothing_published(
    hub: Hub, served: Served, project: Callable[..., Project], path: str
) -> None:
    send(hub, project(*MASKS))
    tip = served.commit(None, "Break", {path: b'{"format_version": 9}'})
    with pytest.raises(ManifestError, match=f"published {path}: expected .*, seen 9; correct it in the repository"):
        send(hub, project(*CORE))
    assert served.tip() == tip


def test_a_gitignore_of_the_repository_leaves_nothing_out(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    served.commit(None, "Ignore", {".gitignore": b"*.engine\nmodels/\n"})
    send(hub, project(*CORE))
    assert {"models/fan_68_5.onnx", ".gitignore"} <= set(served.files(served.tip()))
    check_complete(served, served.tip())
