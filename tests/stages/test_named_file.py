"""A file of any repository on the Hub is downloaded by its name, in Git or in large storage, or refused."""

from dataclasses import asdict
from pathlib import Path

import pytest

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import FetchError
from stages.hub.named_file import fetch_named
from tests.loopback.repository import Large
from tests.loopback.server import Hub

MOST = 1000


@pytest.mark.parametrize("path", ["small.onnx", "models/large.onnx"])
def test_a_file_is_downloaded_by_name(hub: Hub, tmp_path: Path, path: str) -> None:
    repository, digest = hub.create("org/repo"), digest_of(b"large model")
    (stored := repository.object_path(digest.sha256)).parent.mkdir(parents=True)
    stored.write_bytes(b"large model")
    files: dict[str, bytes | Large] = {"small.onnx": b"small model", "models/large.onnx": Large(**asdict(digest))}
    repository.commit(None, "Publish", files)
    found = fetch_named(f"org/repo/{path}@main", tmp_path / "to", most_bytes=MOST, endpoint=hub.endpoint)
    assert found.name.partition("-")[2] == Path(path).name
    assert found.read_bytes() == f"{Path(path).stem} model".encode()


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("org/repo/small.onnx", "expected ORGANISATION/REPOSITORY/FILE@REVISION"),
        ("org/repo/other.onnx@main", "other.onnx: expected a file, seen none"),
        ("org/repo/large.onnx@main", "expected at most 1000 bytes, seen 1001"),
    ],
)
def test_what_is_not_there_or_too_large_is_refused(hub: Hub, tmp_path: Path, name: str, refusal: str) -> None:
    hub.create("org/repo").commit(None, "Publish", {"small.onnx": b"1", "large.onnx": bytes(1001)})
    with pytest.raises(FetchError, match=refusal):
        fetch_named(name, tmp_path / "to", most_bytes=MOST, endpoint=hub.endpoint)
    assert not (tmp_path / "to").exists()
