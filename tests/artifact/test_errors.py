"""Whatever a message is made of, it is a line of at most 500 letters that begins with what and ends with the remedy."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphstream.artifact.errors import (
    DigestMismatchError,
    FetchError,
    ManifestError,
    MorphstreamError,
    message_of,
)
from morphstream.artifact.fields import MOST_BYTES
from morphstream.artifact.manifest import ArchivesManifest, EngineManifest, ModelsManifest

LONG = "a/" * 50_000


@settings(max_examples=30)
@given(st.text() | st.text(min_size=50).map(lambda text: text * 20))
def test_any_text_becomes_one_line_that_can_be_printed(text: str) -> None:
    for message in (message_of(text), str(FetchError(text)), str(ManifestError(text, text))):
        assert len(message) <= 500
        assert message.isprintable()
        assert message_of(message) == message


def test_a_long_message_loses_its_middle() -> None:
    message = str(FetchError(f"hub {LONG}: expected a file, seen none; name another"))
    assert len(message) == 500
    assert message.startswith("hub a/a/")
    assert message.endswith("a/: expected a file, seen none; name another")


def test_what_cannot_be_printed_is_spelled_out() -> None:
    assert message_of("a\x1b[2J\udcff\n\t b\u2028c é") == r"a\x1b[2J\udcff b c é"


@pytest.mark.parametrize(
    "error",
    [
        ManifestError(f"models['{LONG}']", "expected an object, seen null"),
        DigestMismatchError(LONG, LONG, LONG),
        MorphstreamError(LONG, LONG),
    ],
    ids=["a long path", "a long file", "two arguments"],
)
def test_every_error_of_ours_is_bounded(error: MorphstreamError) -> None:
    assert len(str(error)) == 500


def archives_of(files: int) -> str:
    """Return a manifest of archives, one of which has so many files."""
    digest = {"sha256": "0" * 64, "bytes": 1}
    entry = {**digest, "tar_sha256": "0" * 64, "tar_bytes": 1, "cache_key": None}
    entry["files"] = {f"f{index}": digest for index in range(files)}
    return json.dumps({"format_version": 1, "archives": {"a.tar.zst": entry}})


@pytest.mark.parametrize("manifest", [EngineManifest, ModelsManifest, ArchivesManifest])
@pytest.mark.parametrize("is_text", [True, False], ids=["text", "bytes"])
def test_a_manifest_of_too_many_bytes_is_refused_unread(
    manifest: type[EngineManifest | ModelsManifest | ArchivesManifest], *, is_text: bool
) -> None:
    text = '{"a": ' * (MOST_BYTES // 6 + 1)  # that no reader could read
    with pytest.raises(ManifestError, match=r"^expected at most 4 MiB, seen 4\.0 MiB; "):
        manifest.from_json(text if is_text else text.encode())


def test_a_manifest_of_many_files_is_read_and_one_of_100_000_refused() -> None:
    assert len(ArchivesManifest.from_json(archives_of(5000)).archives["a.tar.zst"].files) == 5000
    with pytest.raises(ManifestError, match=r"^expected at most 4 MiB, seen 9\.7 MiB"):
        ArchivesManifest.from_json(archives_of(100_000))


def test_many_engines_that_need_an_emap_are_checked_in_one_pass() -> None:
    file = {"group": "core", "onnx_model": "m", "kind": "ir", "emap": True}
    head = {"cache_key": "x86_64/ov2026.4", "format_version": 2, "gpu_arch": "x86_64", "trt_version": None}
    files = {f"f{index}": {**file, "onnx_model": f"m{index}"} for index in range(5000)}
    files |= {f"e{index}": {**file, "kind": "emap", "onnx_model": f"m{index}"} for index in range(4999)}
    with pytest.raises(ManifestError, match="expected a file of kind emap beside it, seen none of m4999"):
        EngineManifest.from_json(json.dumps({**head, "ort_version": None, "engine_files": files}))
