"""What is fuzzed: each target reads bytes as a part of the project does, and lets its refusals pass, nothing else."""

import io
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from morphstream.artifact.archive import describe, unpack
from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import AbsentError, MorphstreamError
from morphstream.artifact.manifest import ArchivesManifest, EngineManifest, ModelsManifest
from morphstream.artifact.target import CacheKey, Target
from morphstream.deploy.deploy import deploy
from morphstream.media import exif, provenance
from morphstream.source.signed import SignedState, read_root, verify_metadata
from morphstream.store.installed import read_record
from morphstream.yaml_file import read_object

if TYPE_CHECKING:
    from stages.params import Model

Run = Callable[[bytes], object]
FILES = {"a.txt": digest_of(b"a text\n"), "folder/b.bin": digest_of(bytes(range(256)))}
CODE = "deploy/develop/app_code.tar.zst"


class BytesSource:
    """A source that gives the same bytes for every document, and an archive of code."""

    def __init__(self, documents: Mapping[str, bytes], default: bytes | None = None) -> None:
        self._documents, self._default = documents, default

    def __str__(self) -> str:
        return "bytes"

    def read(self, path: str) -> bytes:
        """Return a document."""
        found = self._documents.get(path, self._default)
        if found is None:
            raise AbsentError(f"bytes: expected {path}, seen none; name another")
        return found

    def open(self, path: str) -> BinaryIO:
        """Open a document."""
        return io.BytesIO(self.read(path))


def refusing(run: Run, *refusals: type[Exception]) -> Run:
    """Return a target that lets refusals pass."""
    passed: tuple[type[Exception], ...] = (MorphstreamError, *refusals)

    def target(data: bytes) -> None:
        with suppress(*passed):
            run(data)

    return target


def in_file(run: Callable[[Path], object], suffix: str = "") -> Run:
    """Return a target that gets the bytes as a file, alone in a folder, where nothing else may appear."""

    def target(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / f"file{suffix}"
            path.write_bytes(data)
            try:
                run(path)
            finally:
                assert [one.name for one in Path(name).iterdir()] == [path.name], "a file appeared"

    return target


def keys(data: bytes) -> None:
    """Read a cache key and write it again; a target of it, too."""
    text = data.decode("utf-8", "replace")
    key = CacheKey.parse(text)
    assert str(key) == text
    versions = {library: f"{version}.1" for library, version in key.versions}
    Target(arch=key.arch, builder=key.builder, toolchain=versions, precision=key.precision)


def unpacked(data: bytes) -> None:
    """Unpack an archive, which writes nothing but the files that are expected, whole."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "folder"
        try:
            unpack(io.BytesIO(data), FILES, folder)
        except MorphstreamError:
            assert not any(folder.iterdir()), "a refused archive left something"
            return
        assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(FILES)


def deployed(data: bytes) -> None:
    """Deploy an archive of code whose own digest is right, and whatever is in it."""
    digest = digest_of(data)
    files = {name: {"sha256": one.sha256, "bytes": one.bytes} for name, one in FILES.items()}
    tar = {"tar_sha256": "0" * 64, "tar_bytes": 0, "cache_key": None}
    entry = {"sha256": digest.sha256, "bytes": digest.bytes, **tar, "files": files}
    manifest = json.dumps({"format_version": 1, "archives": {CODE: entry}}).encode()
    with tempfile.TemporaryDirectory() as name:
        into = Path(name) / "releases"
        source = BytesSource({"manifests/archives.json": manifest, CODE: data})
        try:
            deploy("develop", into, [source])
        except MorphstreamError:
            assert not (into / "current").exists(), "a refused release is current"


def signed(data: bytes) -> None:
    """Read a root document, and a publication all of whose metadata are these bytes."""
    version, _ = read_root(data, "bytes")
    verify_metadata(BytesSource({}, data), SignedState(roots={version: data}))


def timestamped(data: bytes) -> None:
    """Verify a publication of a real root whose other metadata are these bytes."""
    root = (Path(__file__).parent / "root.json").read_bytes()
    verify_metadata(BytesSource({"metadata/2.root.json": data}, data), SignedState(roots={1: root}))


def marked(data: bytes) -> None:
    """Read XMP, and keep what may stay of it."""
    provenance.read_marks(data)
    provenance.mark_with(data)


def directories(data: bytes) -> None:
    """Read EXIF, and clean it."""
    exif.orientation_of(data)
    exif.clean(data, (64, 48))


def params(path: Path) -> None:
    """Read a params.yaml."""
    from stages.params import load_params

    load_params(path)


def model(path: Path, *, is_prepared: bool = False) -> None:
    """Read an ONNX file, check it as each role's, and prepare it where it keeps a contract."""
    from stages.prepare import edit
    from stages.surgery.contract import check_contract
    from stages.surgery.read import read_model

    proto = read_model(path)
    for one in models():
        with suppress(MorphstreamError):
            check_contract(proto, one)
            if is_prepared:
                edit(proto, one)


@cache
def models() -> "tuple[Model, ...]":
    """Return a model of each role of this project's params.yaml."""
    from stages.params import load_params

    found = load_params(Path(__file__).parents[1] / "params.yaml").models.values()
    return tuple({one.role: one for one in found}.values())


TARGETS: Mapping[str, Run] = {
    "archive": unpacked,
    "archives_manifest": refusing(ArchivesManifest.from_json),
    "archive_description": refusing(in_file(describe, ".tar.zst"), ValueError),
    "cache_key": refusing(keys, ValueError),
    "deployed_code": deployed,
    "engine_manifest": refusing(EngineManifest.from_json),
    "exif": refusing(directories, ValueError),
    "models_manifest": refusing(ModelsManifest.from_json),
    "onnx": refusing(in_file(model, ".onnx")),
    "params": refusing(in_file(params, ".yaml")),
    "prepared_onnx": refusing(in_file(partial(model, is_prepared=True), ".onnx")),
    "root": refusing(signed),
    "signed_lists": refusing(timestamped),
    "store_record": refusing(read_record),
    "xmp": refusing(marked, ValueError),
    "yaml": refusing(in_file(read_object, ".yaml")),
}
