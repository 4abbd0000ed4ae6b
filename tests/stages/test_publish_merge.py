"""Merging puts our entries in and keeps every other as it was written, whatever is published."""

import json
from dataclasses import replace
from typing import Any

import pytest

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.manifest import (
    ArchiveEntry,
    ArchivesManifest,
    EngineFile,
    EngineManifest,
    ModelEntry,
    ModelsManifest,
)
from morphstream.artifact.target import CacheKey
from stages.publish.merge import Manifest, merge

KEY = CacheKey.parse("sm89/trt10.14_ort1.24")
CHAIN = {"tensorrt": "10.14.1", "onnxruntime": "1.24.4"}


def digest(number: int, size: int = 1) -> Digest:
    return Digest(f"{number:064x}", size)


def engine(model: str | None, group: str, number: int = 0, size: int = 1) -> EngineFile:
    return EngineFile(group=group, onnx_model=model, digest=digest(number, size), kind="engine" if model else "timing")


def cache(toolchain: dict[str, str] | None = CHAIN, **files: EngineFile) -> EngineManifest:
    named = {name.replace("__", "."): file for name, file in files.items()}
    return EngineManifest(cache_key=KEY, engine_files=named, toolchain=toolchain)


CORE = cache(d__engine=engine("det_10g", "core"), w__engine=engine("w600k_r50", "core"))
MASKS = cache(x__engine=engine("xseg_1", "masks"))


def merged(theirs: EngineManifest | bytes | None, ours: EngineManifest, *dropped: str) -> dict[str, Any]:
    published = theirs.to_json().encode() if isinstance(theirs, EngineManifest) else theirs
    text = merge(published, ours, dropped)
    EngineManifest.from_json(text)
    document: dict[str, Any] = json.loads(text)
    return document


def test_the_first_to_publish_publishes_its_own() -> None:
    assert merge(None, CORE) == CORE.to_json()


def test_other_groups_stay_to_the_byte_and_the_order_does_not_matter() -> None:
    one = merge(CORE.to_json().encode(), MASKS)
    other = merge(MASKS.to_json().encode(), CORE)
    assert one == other == replace(CORE, engine_files={**CORE.engine_files, **MASKS.engine_files}).to_json()


def test_merging_again_changes_nothing() -> None:
    once = merge(CORE.to_json().encode(), MASKS)
    assert merge(once.encode(), MASKS) == merge(once.encode(), CORE) == once


def test_our_engines_replace_all_of_the_same_models() -> None:
    ours = cache(new__engine=engine("det_10g", "core", 9))
    assert set(merged(CORE, ours)["engine_files"]) == {"new.engine", "w.engine"}


def test_a_model_of_another_writer_in_the_same_group_stays() -> None:
    assert set(merged(cache(a__engine=engine("another", "core")), CORE)["engine_files"]) == {
        "a.engine",
        "d.engine",
        "w.engine",
    }


def test_a_plain_published_manifest_is_kept_with_keys_that_nobody_knows() -> None:
    entry = {"group": "masks", "onnx_model": "xseg_1", "seconds": 12.5}
    document = json.loads(CORE.to_json()) | {"engine_files": {"x.engine": entry}}
    del document["builder"], document["toolchain"]
    result = merged(json.dumps(document).encode(), CORE)
    assert result["engine_files"]["x.engine"] == entry
    assert "toolchain" not in result  # what built the others, nobody knows


def test_a_toolchain_that_is_known_again_is_written() -> None:
    plain = cache(None, d__engine=engine("det_10g", "core", 1))
    assert merged(plain, CORE)["toolchain"] == CHAIN


def test_engines_of_others_and_another_toolchain_are_refused() -> None:
    theirs = replace(MASKS, toolchain={**CHAIN, "tensorrt": "10.14.2"})
    with pytest.raises(ManifestError, match=r"expected .*10\.14\.2.* built engines of others there, seen .*10\.14\.1"):
        merge(theirs.to_json().encode(), CORE)
    everything = replace(CORE, engine_files={**CORE.engine_files, **MASKS.engine_files})
    assert merge(theirs.to_json().encode(), everything) == everything.to_json()


@pytest.mark.parametrize(
    ("theirs", "ours", "held"),
    [
        pytest.param((1, 5), (2, 3), (1, 5), id="theirs is larger"),
        pytest.param((1, 3), (2, 5), (2, 5), id="ours is larger"),
        pytest.param((3, 5), (2, 5), (3, 5), id="of one size, the greater sha256"),
    ],
)
def test_of_a_file_that_models_share_the_larger_stays(
    theirs: tuple[int, int], ours: tuple[int, int], held: tuple[int, int]
) -> None:
    published = cache(x__engine=engine("xseg_1", "masks"), t__timing=engine(None, "shared", *theirs))
    own = cache(d__engine=engine("det_10g", "core"), t__timing=engine(None, "shared", *ours))
    entry = merged(published, own)["engine_files"]["t.timing"]
    assert (int(entry["sha256"], 16), entry["bytes"]) == held
    assert merged(own, published)["engine_files"]["t.timing"] == entry


def test_a_file_that_models_share_of_another_toolchain_goes() -> None:
    theirs = cache(
        {**CHAIN, "tensorrt": "10.14.2"}, d__engine=engine("det_10g", "core"), t__timing=engine(None, "shared")
    )
    assert set(merged(theirs, CORE)["engine_files"]) == {"d.engine", "w.engine"}


@pytest.mark.parametrize(
    ("number", "stays"), [(1, True), (2, True), (3, False)], ids=["of ours", "of theirs", "of one that we replace"]
)
def test_kernels_go_with_the_engine_that_they_were_compiled_for(number: int, *, stays: bool) -> None:
    one, two, three = (n << 200 for n in (1, 2, 3))  # whose first digits differ
    ours = cache(d__engine=engine("det_10g", "core", one))
    kernels = replace(engine(None, "shared", 9), kind="runtime_cache")
    name = f"{digest(number << 200).sha256[:16]}-sm89-rtx1.7.1-cuda12.9.runtime_cache"
    theirs = cache(x__engine=engine("xseg_1", "masks", two), d__engine=engine("det_10g", "core", three))
    theirs = replace(theirs, engine_files={**theirs.engine_files, name: kernels})
    assert (name in merged(theirs, ours)["engine_files"]) is stays


def test_a_dropped_model_goes() -> None:
    assert set(merged(MASKS, CORE, "xseg_1")["engine_files"]) == {"d.engine", "w.engine"}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        pytest.param("{", "", id="no JSON"),
        pytest.param(
            CORE.to_json().replace('"format_version": 2', '"format_version": 3'), "format_version", id="newer"
        ),
        pytest.param(CORE.to_json().replace("sm89", "sm86"), "cache_key", id="another cache"),
    ],
)
def test_a_published_manifest_that_cannot_be_read_is_refused(text: str, where: str) -> None:
    with pytest.raises(ManifestError) as refused:
        merge(text.encode(), MASKS)
    assert refused.value.where == where


def model(number: int, file: str = "models/a.onnx") -> ModelEntry:
    keys = {"role": "occluder", "worker": "Occluder", "group": "masks", "delivery": "baked", "precision": "fp32"}
    return ModelEntry(file=file, digest=digest(number), licence="MIT", **keys)


def test_models_of_other_names_stay_and_ours_replace_theirs() -> None:
    theirs = ModelsManifest(origin="hub", models={"a": model(1), "b": model(2, "models/b.onnx")})
    ours = ModelsManifest(origin="kit", models={"a": model(3), "c": model(4, "models/c.onnx")})
    result = ModelsManifest.from_json(merge(theirs.to_json().encode(), ours))
    assert result == ModelsManifest(origin="kit", models={**theirs.models, **ours.models})
    left = ModelsManifest.from_json(merge(theirs.to_json().encode(), ours, ["b"]))
    assert set(left.models) == {"a", "c"}


def archive(number: int) -> ArchiveEntry:
    return ArchiveEntry(digest=digest(number), tar_digest=digest(number), cache_key=None, files={"a": digest(1)})


def test_archives_of_other_names_stay_and_ours_replace_theirs() -> None:
    code = "deploy/latest/app_code.tar.zst"
    theirs = ArchivesManifest(archives={"a.tar.zst": archive(1), code: archive(2)})
    ours = ArchivesManifest(archives={"a.tar.zst": archive(3), "b.tar.zst": archive(4)})
    result = ArchivesManifest.from_json(merge(theirs.to_json().encode(), ours))
    assert result == ArchivesManifest(archives={**theirs.archives, **ours.archives})


@pytest.mark.parametrize(
    "ours",
    [
        pytest.param(ModelsManifest(origin="kit", models={"a": model(1)}), id="models"),
        pytest.param(ArchivesManifest(archives={"a.tar.zst": archive(1)}), id="archives"),
        pytest.param(CORE, id="engines"),
    ],
)
def test_a_broken_one_is_refused(ours: Manifest) -> None:
    with pytest.raises(ManifestError):
        merge(b"[]", ours)
