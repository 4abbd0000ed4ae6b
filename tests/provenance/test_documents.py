"""Statements and bills of materials are valid by their own libraries, the same every time, and say what is there."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message

from morphstream.artifact.digest import digest_of, digest_of_file
from morphstream.artifact.manifest import ArchivesManifest, EngineManifest, ModelsManifest
from stages.licences import private_models
from stages.params import Params
from stages.provenance.documents import documents_of
from stages.provenance.inputs import Inputs, Library, inputs_of
from stages.workspace import Workspace
from tests.stages import ROOT, run_stage
from tests.stages.publications import CORE, KEY, MASKS, Project

INPUTS = Inputs(
    version="1.0",
    commit="0" * 40,
    is_modified=False,
    files={"params.yaml": digest_of(b"params"), "dvc.lock": digest_of(b"lock")},
    libraries=(
        Library(name="openvino", version="2026.4.1", licence="Apache-2.0"),
        Library(name="x", version="1", licence=""),
    ),
)


@pytest.fixture
def mine(tmp_path: Path) -> Project:
    """Return a project whose build/ is filled."""
    return Project.filled(tmp_path / "mine", [*CORE, *MASKS])


def documents(project: Project, inputs: Inputs = INPUTS, params: Params | None = None) -> dict[str, str]:
    """Return all documents of a project."""
    folder = project.workspace.manifests
    models = ModelsManifest.from_json((folder / "models.json").read_bytes())
    archives = ArchivesManifest.from_json((folder / "archives.json").read_bytes())
    cache = EngineManifest.from_json((project.workspace.caches / KEY / "manifest.json").read_bytes())
    made = dict.fromkeys(archives.archives)
    return documents_of(params or project.params, models, archives, {KEY: cache}, inputs, made)


def test_a_statement_is_one_by_in_totos_own_reading_and_names_what_is_there(mine: Project) -> None:
    texts = documents(mine)
    for name in mine.params.archive_names:
        text = texts[f"archives/{name.removesuffix('.tar.zst')}.intoto.json"]
        message = json_format.Parse(text, Message())
        Statement.copy_from_pb(message).validate()
        subject = {one["name"]: one["digest"]["sha256"] for one in json.loads(text)["subject"]}
        assert subject[f"archives/{name}"] == digest_of_file(mine.workspace.archives / name).sha256
    definition = json.loads(texts["archives/cpu-cache-x86_64.intoto.json"])["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["target"] == "cpu"
    found = {one["name"] for one in definition["resolvedDependencies"]}
    assert {
        "source",
        "params.yaml",
        "dvc.lock",
        "openvino",
        *(model.file for model in mine.params.models.values()),
    } <= found


def test_a_bill_of_materials_keeps_the_schema_and_has_every_model_and_licence(mine: Project) -> None:
    text = documents(mine)["archives/bom.cdx.json"]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = {one["bom-ref"]: one for one in json.loads(text)["components"]}
    for name, model in mine.params.models.items():
        assert components[f"model:{name}"]["licenses"] == [{"license": {"name": model.licence}}]
        assert components[f"model:{name}"]["modelCard"]["modelParameters"]["task"]
    (of_cache,) = (one for one in json.loads(text)["dependencies"] if one["ref"] == "archive:cpu-cache-x86_64.tar.zst")
    assert {f"model:{name}" for name in mine.params.models} <= set(of_cache["dependsOn"])


def test_the_same_inputs_give_the_same_bytes_and_others_others(mine: Project) -> None:
    first = documents(mine)
    assert first == documents(mine)
    changed = documents(mine, replace(INPUTS, commit="1" * 40))
    assert changed["archives/bom.cdx.json"] == first["archives/bom.cdx.json"]
    assert changed["archives/cpu-cache-x86_64.intoto.json"] != first["archives/cpu-cache-x86_64.intoto.json"]


def test_the_notice_has_each_models_licence_and_what_may_not_be_given_away(mine: Project) -> None:
    text = documents(mine)["NOTICE"]
    assert "det_10g (models/buffalo_l/det_10g.onnx): InsightFace, non-commercial research; may not be given" in text
    assert "openvino 2026.4.1: Apache-2.0" in text
    assert "stand-ins" in text
    assert private_models(mine.params) == {}
    real = replace(mine.params, origin="hub")
    assert private_models(real) == {"det_10g": "InsightFace, non-commercial research"}


def test_inputs_name_the_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.params.write_text("a: 1\n")
    assert inputs_of(workspace).commit is None
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    found = inputs_of(workspace)
    assert found.commit
    assert not found.is_modified
    workspace.params.write_text("a: 2\n")
    assert inputs_of(workspace).is_modified
    assert {one.name for one in inputs_of(Workspace(ROOT)).libraries} > {"openvino", "onnx", "zstandard"}


def test_the_program_writes_the_documents_into_build(mine: Project) -> None:
    done = run_stage(mine.workspace, "provenance", "--json")
    assert done.returncode == 0, done.stderr
    assert (mine.workspace.build / "NOTICE").is_file()
    assert sorted(json.loads(done.stdout)["documents"]) == [
        "NOTICE",
        "archives/bom.cdx.json",
        "archives/cpu-cache-x86_64.intoto.json",
        "archives/models-core-masks.intoto.json",
    ]
