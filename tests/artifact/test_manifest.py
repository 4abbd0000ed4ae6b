"""A manifest is read as its format says, and refused at its fault otherwise; reader and schema agree.

The corpus: ``good`` holds manifests, ``bad`` ones that schema and reader refuse, ``inconsistent`` ones whose
fault a schema has no words for. Each has one fault, named by its file; ``expected.json`` has its path.
"""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from morphstream.artifact import vocabulary
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.manifest import (
    ArchivesManifest,
    EngineFile,
    EngineManifest,
    ModelsManifest,
)
from morphstream.artifact.target import KEY_LIBRARIES, CacheKey

CORPUS = Path(__file__).parents[1] / "corpus" / "manifests"
SCHEMAS = Path(__file__).parents[2] / "manifests" / "schema"
FORMATS: dict[str, type[EngineManifest | ModelsManifest | ArchivesManifest]] = {
    "engine-manifest": EngineManifest,
    "models": ModelsManifest,
    "archives": ArchivesManifest,
}
EXPECTED: dict[str, str] = json.loads((CORPUS / "expected.json").read_text())
GOOD = sorted(path.name for path in (CORPUS / "good").iterdir())
PUBLISHED = "engine-manifest.published.json"


def schema_of(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
    return schema


def errors_of(kind: str, document: object) -> list[ValidationError]:
    return list(Draft202012Validator(schema_of(kind)).iter_errors(document))


def good(name: str) -> tuple[str, str]:
    """Return the kind and the text of a good manifest."""
    return name.split(".")[0], (CORPUS / "good" / name).read_text()


def is_at(error: ValidationError, where: str) -> bool:
    """Say whether a schema's error lies at a path, or at the object that lacks or misspells its key."""
    if error.json_path == f"$.{where}".removesuffix("."):
        return True
    last = re.search(r"\.(\w+)$|\[('[^']*')\]$", where)
    if not last:
        return error.json_path == "$" and repr(where) in error.message
    above = f"$.{where[: last.start()]}".removesuffix(".")
    return error.json_path == above and (last[2] or repr(last[1])) in error.message


@pytest.mark.parametrize("name", GOOD)
def test_every_good_manifest_is_accepted_by_reader_and_schema(name: str) -> None:
    kind, text = good(name)
    assert errors_of(kind, json.loads(text)) == []
    assert FORMATS[kind].from_json(text) == FORMATS[kind].from_json(text.encode())


@pytest.mark.parametrize("name", [name for name in GOOD if name != PUBLISHED])
def test_a_full_manifest_is_written_back_byte_for_byte(name: str) -> None:
    kind, text = good(name)
    assert FORMATS[kind].from_json(text).to_json() == text


def test_the_published_example_is_written_back_with_its_builder_added() -> None:
    kind, text = good(PUBLISHED)
    written = FORMATS[kind].from_json(text).to_json()
    assert json.loads(written) == json.loads(text) | {"builder": "tensorrt"}


def test_entries_are_written_in_the_order_of_their_names_whatever_order_they_were_given_in() -> None:
    files = {name: EngineFile(group="core", onnx_model="det_10g") for name in ("b.xml", "é.xml", "a.xml")}
    manifest = EngineManifest(cache_key=CacheKey.parse("x86_64/ov2026.4"), engine_files=files)
    assert (
        manifest.to_json()
        == """\
{
  "cache_key": "x86_64/ov2026.4",
  "format_version": 2,
  "gpu_arch": "x86_64",
  "trt_version": null,
  "ort_version": null,
  "builder": "openvino",
  "engine_files": {
    "a.xml": {
      "group": "core",
      "onnx_model": "det_10g"
    },
    "b.xml": {
      "group": "core",
      "onnx_model": "det_10g"
    },
    "\\u00e9.xml": {
      "group": "core",
      "onnx_model": "det_10g"
    }
  }
}
"""
    )


def test_the_corpus_is_what_its_table_lists() -> None:
    found = {path.relative_to(CORPUS).with_suffix("").as_posix() for path in CORPUS.glob("*/*/*.json")}
    assert found == set(EXPECTED)


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_is_refused_by_the_reader_with_its_path(fault: str) -> None:
    with pytest.raises(ManifestError) as refusal:
        FORMATS[fault.split("/")[1]].from_json((CORPUS / f"{fault}.json").read_bytes())
    assert refusal.value.where == EXPECTED[fault]
    assert re.match(r"expected .*, seen [^\n]+\Z", str(refusal.value))


@pytest.mark.parametrize("fault", [fault for fault in EXPECTED if fault.startswith("bad/")])
def test_a_fault_is_refused_by_the_schema_at_the_same_path_and_nowhere_else(fault: str) -> None:
    document = json.loads((CORPUS / f"{fault}.json").read_text())
    errors = errors_of(fault.split("/")[1], document)
    assert errors
    assert [error.message for error in errors if not is_at(error, EXPECTED[fault])] == []


@pytest.mark.parametrize("kind", FORMATS)
def test_a_schema_is_itself_valid_and_names_no_host(kind: str) -> None:
    Draft202012Validator.check_schema(schema_of(kind))
    assert schema_of(kind)["$id"].startswith("urn:morphstream:")


def test_schemas_and_reader_know_the_same_words() -> None:
    engine, models = schema_of("engine-manifest"), schema_of("models")
    file, model = engine["$defs"]["engineFile"]["properties"], models["$defs"]["model"]["properties"]
    for field, words in (
        (engine["properties"]["builder"], tuple(KEY_LIBRARIES)),
        (file["kind"], vocabulary.KINDS),
        (file["precision"], vocabulary.ENGINE_PRECISIONS),
        (models["properties"]["origin"], vocabulary.ORIGINS),
        (file["role"], vocabulary.ROLES),
        (file["delivery"], vocabulary.DELIVERIES),
        (model["origin"], vocabulary.ORIGINS),
        (model["role"], vocabulary.ROLES),
        (model["delivery"], vocabulary.DELIVERIES),
        (model["precision"], vocabulary.MODEL_PRECISIONS),
    ):
        assert tuple(field["enum"]) == words


def objects_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every object of a document whose keys the format fixes."""
    entries = [entry for key in ("engine_files", "models", "archives") for entry in document.get(key, {}).values()]
    return [document, *entries, *(file for entry in entries for file in entry.get("files", {}).values())]


@pytest.mark.parametrize("name", GOOD)
def test_unknown_keys_are_ignored_by_the_reader_and_refused_by_the_schema(name: str) -> None:
    kind, text = good(name)
    for index in range(len(objects_of(json.loads(text)))):
        document = json.loads(text)
        objects_of(document)[index]["added_later"] = [{"any": None}]
        assert FORMATS[kind].from_json(json.dumps(document)) == FORMATS[kind].from_json(text)
        assert ["added_later" in error.message for error in errors_of(kind, document)] == [True]


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_beyond_what_python_reads_is_refused(opening: str) -> None:
    with pytest.raises(ManifestError, match="expected JSON"):
        EngineManifest.from_json(opening * 100_000)


def test_values_check_themselves_when_made_too() -> None:
    with pytest.raises(ManifestError, match=r"expected a group such as core, seen \"a core\" in 'group'"):
        EngineFile(group="a core", onnx_model="det_10g")
    with pytest.raises(ManifestError, match=re.escape("in 'engine_files['../a']'")):
        EngineManifest(
            cache_key=CacheKey.parse("x86_64/ov2026.4"),
            engine_files={"../a": EngineFile(group="core", onnx_model="det_10g")},
        )


def test_a_refusal_can_be_sent_to_another_process() -> None:
    refusal = pickle.loads(pickle.dumps(ManifestError("models", "expected an object, seen null")))  # noqa: S301
    assert str(refusal) == "expected an object, seen null in 'models'"
    assert refusal.where == "models"
