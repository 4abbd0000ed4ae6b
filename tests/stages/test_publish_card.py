"""The card is one that the Hub's own tools read, and says what is published, no more."""

import json
import re

import yaml
from huggingface_hub import ModelCard

from morphstream.artifact.manifest import ArchivesManifest, ModelsManifest
from stages.hub.repository import Held
from stages.publish.card import card
from tests.stages import PARAMS, ROOT

MODELS = ModelsManifest.from_json((ROOT / "manifests/models.json").read_bytes())
ARCHIVES = ArchivesManifest.from_json((ROOT / "manifests/archives.json").read_bytes())
KEYS = [str(entry.cache_key) for entry in ARCHIVES.archives.values() if entry.cache_key]


def held(size: int = 1) -> Held:
    return Held(bytes=size, sha256=None, blob="")


TREE = {
    **{entry.file: held(entry.digest.bytes) for entry in MODELS.models.values()},
    **{f"archives/{name}": held(entry.digest.bytes) for name, entry in ARCHIVES.archives.items()},
    **{f"trt_cache/{key}/manifest.json": held(1000) for key in KEYS},
    **{f"trt_cache/{key}/{number}.engine": held(2_000_000) for key in KEYS for number in range(3)},
    "README.md": held(123_456),
    ".gitattributes": held(),
}
TEXT = card(PARAMS, MODELS, ARCHIVES, TREE)


def test_the_client_s_card_tools_read_it() -> None:
    read = ModelCard(TEXT)
    data = yaml.safe_load(read.data.to_yaml())
    assert data["license"] == "other"
    assert {"face-swap", "tensorrt", "morphstream"} <= set(data["tags"])
    assert str(read).strip() == TEXT.strip()
    assert read.text.lstrip().startswith("# MorphStream Models")


def test_every_model_has_a_row_with_size_input_precision_and_licence() -> None:
    for name, entry in MODELS.models.items():
        (row,) = re.findall(rf"^\| `{re.escape(name)}` \|.*", TEXT, re.MULTILINE)
        for word in (entry.file, entry.precision, entry.licence, entry.delivery, *PARAMS.models[name].inputs):
            assert word in row, name
        assert re.search(r"\| [0-9.]+ (bytes|kB|MB|GB) \|", row)


def test_every_cache_key_and_archive_has_a_row() -> None:
    for key in KEYS:
        (row,) = re.findall(rf"^\| `{re.escape(key)}` \|.*", TEXT, re.MULTILINE)
        assert row.endswith("| 4 | 6 MB |")
    for name in ARCHIVES.archives:
        assert f"| `archives/{name}` |" in TEXT


def test_a_cache_in_bfloat16_is_shown_as_such() -> None:
    tree = {**TREE, "trt_cache/x86_64/ov2026.4_bf16/manifest.json": held(1000)}
    row = "| `x86_64/ov2026.4_bf16` | x86_64 | openvino 2026.4, bf16 | 1 | 1 kB |"
    assert row in card(PARAMS, MODELS, ARCHIVES, tree)


def test_the_tree_has_every_file_but_of_caches_the_folder() -> None:
    tree = TEXT.split("```")[1]
    for name in ("det_10g.onnx", "buffalo_l/", "cpu-cache-x86_64.tar.zst", "rtx1.7_ort1.31/ (6 MB)", "gfpgan.onnx"):
        assert name in tree
    for name in (".engine", "README.md", ".gitattributes"):
        assert name not in tree


def test_it_is_the_same_whatever_it_was_before() -> None:
    assert card(PARAMS, MODELS, ARCHIVES, {**TREE, "README.md": held(7)}) == TEXT


def test_with_nothing_published_its_tables_are_empty() -> None:
    text = card(PARAMS, None, None, {})
    assert "None is published yet." in text
    assert "| `det_10g` |" not in text
    ModelCard(text)


def test_models_and_caches_of_others_are_shown_as_far_as_they_are_known() -> None:
    data = json.loads(MODELS.to_json())
    data["models"] = {"theirs": data["models"]["xseg_1"] | {"licence": "A | B"}}
    theirs = ModelsManifest.from_json(json.dumps(data))
    tree = {"trt_cache/theirs/1/manifest.json": held(), "trt_cache/sm89/trt10.14_ort1.24/manifest.json": held()}
    text = card(PARAMS, theirs, None, tree)
    (row,) = re.findall(r"^\| `theirs` \|.*", text, re.MULTILINE)
    assert r"A \| B" in row
    assert "| `sm89/trt10.14_ort1.24` |" in text
    assert "| `theirs/1` |" not in text
