"""A build/ of small stand-in files, quickly made, and a strict look at what a hub holds after it was published."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.archive import describe
from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.manifest import ArchivesManifest, EngineFile, EngineManifest, ModelsManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import archive_path
from stages.caches import cache_files
from stages.hub.repository import Repository as Published
from stages.index import archives_manifest, models_manifest
from stages.pack import model_files, pack_files
from stages.params import Params
from stages.provenance.inputs import inputs_of
from stages.publish.__main__ import publish
from stages.publish.local import WHAT, local
from stages.publish.send import Sent
from stages.validate import check_schema
from stages.workspace import Workspace
from tests.loopback.repository import Repository
from tests.loopback.server import Hub
from tests.stages import ROOT, reduced, write_params

SCHEMAS = Workspace(ROOT).schemas
NAME = "morphstream/models"
KEY = "x86_64/ov2026.4"  # of the cache that `fill` writes by default
FOLDER = f"trt_cache/{KEY}"
CORE, MASKS = ("det_10g", "fan_68_5"), ("xseg_1", "xseg_2")


def new_workspace(folder: Path) -> Workspace:
    """Make a folder in which stages run."""
    workspace = Workspace(folder)
    shutil.copytree(SCHEMAS, workspace.schemas)
    return workspace


@dataclass(frozen=True, slots=True)
class Project:
    """A workspace and its params."""

    workspace: Workspace
    params: Params

    @classmethod
    def filled(cls, folder: Path, models: Iterable[str], turn: int = 0) -> "Project":
        """Make a workspace of some models for the CPU, with build/ filled."""
        workspace = new_workspace(folder)
        project = cls(workspace, write_params(folder, reduced(models, ["cpu"])))
        fill(workspace, project.params, turn)
        return project


def fill(workspace: Workspace, params: Params, turn: int = 0) -> None:
    """Write build/ as the stages would; another turn gives every file other bytes."""
    shutil.rmtree(workspace.caches, ignore_errors=True)
    for name, model in params.models.items():
        path = workspace.build / model.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"the model {name}, {turn} ".encode() * 50)
    for build in params.builds.values():
        key = build.cache_key
        engines = {name: f"the engine of {name} for {key}, {turn} ".encode() for name in params.models}
        write_cache(workspace, params, key, engines, build.target.target.toolchain)
        pack_files(workspace, build.archive, cache_files(workspace, params, key), params.archive)
    pack_files(workspace, "models-core-masks", model_files(params), params.archive)
    write_manifests(workspace, params)


def write_cache(
    workspace: Workspace,
    params: Params,
    key: str,
    engines: dict[str, bytes],
    toolchain: object = None,
    groups: dict[str, str] | None = None,
) -> EngineManifest:
    """Write an engine cache, an engine a model."""
    folder, files = workspace.caches / key, {}
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


def write_manifests(workspace: Workspace, params: Params) -> None:
    """Write the manifests of models and archives, for build/ and for Git."""
    workspace.manifests.mkdir(exist_ok=True)
    manifests: dict[str, ModelsManifest | ArchivesManifest] = {
        "models": models_manifest(workspace, params),
        "archives": archives_manifest(workspace, params),
    }
    for name, manifest in manifests.items():
        for folder in (workspace.manifests, workspace.tracked):
            (folder / f"{name}.json").write_text(manifest.to_json(), "utf-8")


def send(
    hub: Hub,
    project: Project,
    *what: str,
    names: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    dropped: tuple[str, ...] = (),
    is_dry: bool = False,
) -> Sent:
    """Validate and publish build/, in this process, asking the hub three times at most."""
    found = local(project.workspace, project.params, what or WHAT, names, groups)
    repository = Published(NAME, endpoint=hub.endpoint, pauses_s=(0.0, 0.0))
    inputs = inputs_of(project.workspace)
    build, title = project.workspace.build, " ".join(what) or "all"
    return publish(build, project.params, found, repository, title, dropped=dropped, is_dry=is_dry, inputs=inputs)


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
            check_schema(text.decode(), SCHEMAS / "engine-manifest.schema.json")
            manifest = EngineManifest.from_json(text)
            named = {f"{folder}/{name}": file.digest for name, file in manifest.engine_files.items()}
            assert {file: digests[file] for file in named} == named
            assert {file for file in files if file.startswith(f"{folder}/")} == {path, *named}
    if "manifests/models.json" in held:
        check_schema(held["manifests/models.json"].decode(), SCHEMAS / "models.schema.json")
        for model in ModelsManifest.from_json(held["manifests/models.json"]).models.values():
            assert digests[model.file] == model.digest
    if "manifests/archives.json" in held:
        check_schema(held["manifests/archives.json"].decode(), SCHEMAS / "archives.schema.json")
        for name, archive in ArchivesManifest.from_json(held["manifests/archives.json"]).archives.items():
            assert digests[archive_path(name)] == archive.digest
            packed = describe(repository.object_path(archive.digest.sha256))
            assert (packed.tar, packed.files) == (archive.tar_digest, archive.files)
