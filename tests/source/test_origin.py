"""Who built an archive, and from what, is proven where its statement is signed and of its bytes, and else not."""

import json
import shutil
from pathlib import Path

import pytest

from morphstream.artifact.errors import AbsentError
from morphstream.artifact.fields import dump
from morphstream.cli.main import main
from morphstream.source.origin import origins_of, publication_of
from morphstream.store.trust import trust_of
from stages.provenance.inputs import inputs_of
from stages.provenance.statement import statement, statement_path
from stages.workspace import Workspace
from tests.layouts import CPU, archive_of, publish, read_archives
from tests.signing import Signing
from tests.stages import ROOT, reduced, write_params

NAME = archive_of(CPU)


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """Return a publication with a statement of an archive."""
    folder = publish(tmp_path / "layout", CPU)
    (tmp_path / "params").mkdir()
    params = write_params(tmp_path / "params", reduced(["det_10g"], ["cpu"]))
    text = statement(NAME, read_archives(folder).archives[NAME], params, {}, inputs_of(Workspace(ROOT)))
    (folder / statement_path(NAME)).write_text(text)
    return folder


def verdict(layout: Path, trust: object = None) -> str:
    """Return the verdict on the archive."""
    path = layout / "archives" / NAME
    publication, name = publication_of(path, trust)  # type: ignore[arg-type]
    (found,) = origins_of(publication, name, path)
    return found.verdict


def test_a_statement_is_proven_by_its_signature_and_else_described(layout: Path, tmp_path: Path) -> None:
    assert verdict(layout) == "described"
    signing = Signing(tmp_path / "keys")
    trust = trust_of(tmp_path / "store", signing.root_file())
    assert verdict(signing.sign(layout), trust) == "proven"
    path = layout / statement_path(NAME)
    path.write_text(path.read_text().replace("urn:morphstream", "urn:somebody"))
    assert verdict(layout, trust) == "contradicted"
    assert verdict(layout) == "described"


def test_other_bytes_and_a_statement_of_others_are_contradictions(layout: Path) -> None:
    path = layout / statement_path(NAME)
    data = json.loads(path.read_text())
    data["subject"][0]["digest"]["sha256"] = "0" * 64
    path.write_text(dump(data))
    assert verdict(layout) == "contradicted"
    path.write_text("{}")
    assert verdict(layout) == "contradicted"
    path.unlink()
    assert verdict(layout) == "unknown"
    (layout / "archives" / NAME).write_bytes(b"others")
    assert verdict(layout) == "contradicted"


def test_the_command_says_it_of_a_file_and_of_a_folder(
    layout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", str(layout / "archives" / NAME)]) == 0
    assert capsys.readouterr().out.startswith(f"{NAME}: described: ")
    assert main(["inspect", str(layout), "--json"]) == 0
    found = {one["archive"]: one["verdict"] for one in json.loads(capsys.readouterr().out)["archives"]}
    assert found == {NAME: "described", "models.tar.zst": "unknown"}
    (layout / "archives" / NAME).write_bytes(b"others")
    assert main(["inspect", str(layout / "archives" / NAME)]) == 1
    shutil.copy(layout / "archives/models.tar.zst", tmp_path / "alone.tar.zst")
    with pytest.raises(AbsentError, match="beside it; name another"):
        publication_of(tmp_path / "alone.tar.zst", None)


def test_what_a_statement_says_stays_on_its_own_line(layout: Path) -> None:
    path = layout / statement_path(NAME)
    forged = f"urn:x\n{NAME}: proven: its statement is signed\x1b[2J"
    data = json.loads(path.read_text())
    data["predicate"]["runDetails"]["builder"]["id"] = forged
    path.write_text(dump(data))
    publication, name = publication_of(layout, None)
    lines = [line for origin in origins_of(publication, name) for line in origin.lines()]
    assert not [line for line in lines if line.startswith(f"{NAME}: proven") or not line.isprintable()]
    assert any(line.startswith("  builder    urn:x") for line in lines)
