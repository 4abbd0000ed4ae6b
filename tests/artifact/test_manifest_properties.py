"""Whatever a manifest can hold is written and read back the same, and whatever else is there is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphstream.artifact import vocabulary
from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.fields import SHA256, Form
from morphstream.artifact.manifest import (
    ArchiveEntry,
    ArchivesManifest,
    EngineFile,
    EngineManifest,
    ModelEntry,
    ModelsManifest,
)
from morphstream.artifact.target import CacheKey
from tests.artifact.test_manifest import FORMATS, GOOD, errors_of, good, objects_of


def of(form: Form) -> st.SearchStrategy[str]:
    return st.from_regex(form.pattern, fullmatch=True)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def named(names: st.SearchStrategy[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, values, min_size=1, max_size=3)


digests = st.builds(Digest, of(SHA256), st.integers(min_value=0))
cache_keys = st.sampled_from(
    ["x86_64/ov2026.4", "x86_64/ov2026.4_bf16", "sm120/rtx1.7_ort1.31", "sm89/trt10.14_ort1.24"]
)
engine_files = st.builds(
    EngineFile,
    group=of(vocabulary.GROUP),
    onnx_model=of(vocabulary.MODEL_NAME),
    digest=some(digests),
    recipe=some(of(SHA256)),
    kind=some(st.sampled_from(vocabulary.KINDS)),
    precision=some(st.sampled_from(vocabulary.ENGINE_PRECISIONS)),
    role=some(st.sampled_from(vocabulary.ROLES)),
    delivery=some(st.sampled_from(vocabulary.DELIVERIES)),
)


@st.composite
def engine_manifests(draw: st.DrawFn) -> EngineManifest:
    key = CacheKey.parse(draw(cache_keys))
    files = draw(named(of(vocabulary.FILE_NAME), engine_files))
    if key.builder == "openvino":  # whose cache key says the precision of all its engines
        files = {name: replace(file, precision=key.precision) for name, file in files.items()}
    return EngineManifest(cache_key=key, engine_files=files)


models = st.builds(
    ModelEntry,
    file=of(vocabulary.SAFE_PATH).map(lambda path: f"{path}.onnx"),
    digest=digests,
    role=st.sampled_from(vocabulary.ROLES),
    worker=some(of(vocabulary.CLASS_NAME)),
    group=of(vocabulary.GROUP),
    delivery=st.sampled_from(vocabulary.DELIVERIES),
    precision=st.sampled_from(vocabulary.MODEL_PRECISIONS),
    licence=of(vocabulary.LICENCE),
    origin=some(st.sampled_from(vocabulary.ORIGINS)),
)
archives = st.builds(
    ArchiveEntry,
    digest=digests,
    tar_digest=digests,
    cache_key=some(cache_keys.map(CacheKey.parse)),
    files=named(of(vocabulary.SAFE_PATH), digests),
)
manifests: dict[str, st.SearchStrategy[EngineManifest | ModelsManifest | ArchivesManifest]] = {
    "engine-manifest": engine_manifests(),
    "models": st.builds(
        ModelsManifest,
        origin=st.sampled_from(vocabulary.ORIGINS),
        models=named(of(vocabulary.MODEL_NAME), models),
    ),
    "archives": st.builds(
        ArchivesManifest,
        archives=named(of(vocabulary.FILE_NAME).map(lambda name: f"{name[:247]}.tar.zst"), archives),
    ),
}


@pytest.mark.parametrize("kind", FORMATS)
@given(st.data())
def test_whatever_can_be_made_is_read_back_the_same_and_fits_the_schema(kind: str, data: st.DataObject) -> None:
    manifest = data.draw(manifests[kind])
    text = manifest.to_json()
    assert FORMATS[kind].from_json(text) == manifest
    assert FORMATS[kind].from_json(text).to_json() == text
    assert errors_of(kind, json.loads(text)) == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=4,
)


@given(st.data(), st.sampled_from(GOOD), anything)
def test_whatever_stands_in_a_manifest_is_read_or_refused_with_a_manifest_error(
    data: st.DataObject, name: str, value: object
) -> None:
    kind, text = good(name)
    document = json.loads(text)
    place = data.draw(st.sampled_from(objects_of(document)))
    place[data.draw(st.sampled_from(list(place)))] = value
    try:
        read = FORMATS[kind].from_json(json.dumps(document))
    except ManifestError:
        return
    assert FORMATS[kind].from_json(read.to_json()) == read
