"""A build/ of small stand-in files, quickly made, and a strict look at what a hub holds after it was published."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from morphstream.artifact.archive import describe
from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.listings import ArchivesManifest, ModelsManifest
from morphstream.artifact.manifest import EngineFile, EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import archive_path
from stages.files import BUILD, CACHES, MANIFESTS
from stages.hub.repository import Repository as Published
from stages.index import archives_manifest, models_manifest
from stages.pack import MODELS_ARCHIVE, cache_files, model_files, pack_files
from stages.params import Params
from stages.publish.__main__ import publish
from stages.publish.local import WHAT, local
from stages.publish.send import Sent
from stages.validate import check_schema
from tests.loopback.repository import Repository
from tests.loopback.server import Hub
from tests.stages import ROOT, reduced, write_params

NAME = "morphstream/models"
KEY = "x86_64/ov2026.4"  # of the cache that `fill` writes by default
FOLDER = f"trt_cache/{KEY}"
CORE, MASKS = ("det_10g", "fan_68_5"), ("xseg_1", "xseg_2")


def new_project(folder: Path, models: Iterable[str], targets: Iterable[str] = ("cpu",)) -> Params:
    """Make a folder in which stages run, and return its params."""
    (folder / "manifests").mkdir(parents=True)
    for name in ("stages", "manifests/schema"):
        (folder / name).symlink_to(ROOT / name)
    return write_params(folder, reduced(models, targets))


def fill(params: Params, turn: int = 0) -> None:
    """Write build/ as the stages would, in the current folder; another turn gives every file other bytes."""
    shutil.rmtree(CACHES, ignore_errors=True)
    for name, model in params.models.items():
        (BUILD / model.file).parent.mkdir(parents=True, exist_ok=True)
        (BUILD / model.file).write_bytes(f"the model {name}, {turn} ".encode() * 50)
    for build in params.builds.values():
        engines = {name: f"the engine of {name} for {build.cache_key}, {turn} ".encode() for name in params.models}
        write_cache(params, build.cache_key, engines, build.target.target.toolchain)
        pack_files(build.archive, cache_files(build, list(params.models)), params.archive)
    pack_files(MODELS_ARCHIVE, model_files(params), params.archive)
    write_manifests(params)


def write_cache(
    params: Params, key: str, engines: dict[str, bytes], toolchain: object = None, groups: dict[str, str] | None = None
) -> EngineManifest:
    """Write an engine cache, an engine a model."""
    folder, files = CACHES / key, {}
    folder.mkdir(parents=True, exist_ok=True)
    for model, data in engines.items():
        digest = digest_of(data)
        name = f"{digest.sha256[:8]}_{model}.engine"
        (folder / name).write_bytes(data)
        group = params.models[model].group if model in params.models else (groups or {})[model]
        files[name] = EngineFile(group=group, onnx_model=model, digest=digest, kind="engine")
    chain = toolchain if isinstance(toolchain, dict) else None
    manifest = EngineManifest(cache_key=CacheKey.parse(key), engine_files=files, toolchain=chain)
    (folder / "manifest.json").write_text(manifest.to_json(), "utf-8")
    return manifest


def write_manifests(params: Params) -> None:
    """Write the manifests of models and archives, for build/ and for Git."""
    MANIFESTS.mkdir(exist_ok=True)
    for name, manifest in (("models", models_manifest(params)), ("archives", archives_manifest(params))):
        for folder in (MANIFESTS, Path("manifests")):
            (folder / f"{name}.json").write_text(manifest.to_json(), "utf-8")


def send(
    hub: Hub,
    params: Params,
    *what: str,
    names: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    dropped: tuple[str, ...] = (),
    is_dry: bool = False,
) -> Sent:
    """Validate and publish build/, in this process, asking the hub three times at most."""
    found = local(params, what or WHAT, names, groups)
    repository = Published(NAME, endpoint=hub.endpoint, pauses_s=(0.0, 0.0))
    return publish(params, found, repository, " ".join(what) or "all", dropped=dropped, is_dry=is_dry)


def texts(repository: Repository, commit: str) -> dict[str, bytes]:
    """Return every file of a commit that is JSON or a card."""
    files = repository.files(commit)
    return {path: repository.read(entry) for path, entry in files.items() if path.endswith((".json", ".md"))}


def engines_of(repository: Repository, commit: str, key: str) -> dict[str, str | None]:
    """Return the model of each engine that a commit's cache names."""
    text = texts(repository, commit)[f"trt_cache/{key}/manifest.json"]
    return {name: file.onnx_model for name, file in EngineManifest.from_json(text).engine_files.items()}


def check_complete(repository: Repository, commit: str) -> None:
    """Check that all that a commit's manifests name is there byte for byte, and no engine that none names.

    An archive holds what was published with it; its cache may have been published again since.
    """
    files, held = repository.files(commit), texts(repository, commit)
    digests = {path: Digest(entry.sha256, entry.bytes) for path, entry in files.items() if entry.sha256}
    digests |= {path: digest_of(repository.read(entry)) for path, entry in files.items() if not entry.sha256}
    for path, text in held.items():
        if path.startswith("trt_cache/"):
            folder = path.rpartition("/")[0]
            check_schema(text.decode(), "engine-manifest")
            manifest = EngineManifest.from_json(text)
            named = {f"{folder}/{name}": file.digest for name, file in manifest.engine_files.items()}
            assert {file: digests[file] for file in named} == named
            assert {file for file in files if file.startswith(f"{folder}/")} == {path, *named}
    if "manifests/models.json" in held:
        check_schema(held["manifests/models.json"].decode(), "models")
        for model in ModelsManifest.from_json(held["manifests/models.json"]).models.values():
            assert digests[model.file] == model.digest
    if "manifests/archives.json" in held:
        check_schema(held["manifests/archives.json"].decode(), "archives")
        for name, archive in ArchivesManifest.from_json(held["manifests/archives.json"]).archives.items():
            assert digests[archive_path(name)] == archive.digest
            packed = describe(repository.object_path(archive.digest.sha256))
            assert (packed.tar, packed.files) == (archive.tar_digest, archive.files)
