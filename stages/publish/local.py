"""What build/ holds to be published, once `validate` has passed it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from morphstream.artifact.digest import verify_file
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.listings import ArchiveEntry, ArchivesManifest, ModelsManifest
from morphstream.artifact.manifest import EngineManifest
from stages.caches import cache_files, parse_key
from stages.index import described
from stages.pack import archived_files
from stages.params import Params
from stages.validate import check_archive, check_cache, validate_archives, validate_models
from stages.workspace import Workspace

WHAT = ("models", "engines", "archives")


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What is to be published, verified.

    Attributes:
        models: None where no model is.
        caches: Manifest of each engine cache, by cache key.
        archives: By name, as in manifests/archives.json.
    """

    models: ModelsManifest | None = None
    caches: Mapping[str, EngineManifest] = field(default_factory=dict)
    archives: Mapping[str, ArchiveEntry] = field(default_factory=dict)


def local(
    workspace: Workspace,
    params: Params,
    what: Collection[str],
    names: Collection[str] = (),
    groups: Collection[str] = (),
) -> Local:
    """Validate what is to be published, and return it.

    Args:
        workspace: Where it was built.
        params: What should be there.
        what: Some of `WHAT`.
        names: Of models, cache keys or archives: these alone; none for all that params.yaml names.
        groups: Of models: models and engines of these alone; none for all.
    """
    keys = names or [build.cache_key for build in params.builds.values()]
    return Local(
        models=_models(workspace, params, names, groups) if "models" in what else None,
        caches={key: _cache(workspace, params, key, groups) for key in keys} if "engines" in what else {},
        archives=_archives(workspace, params, names) if "archives" in what else {},
    )


def _models(workspace: Workspace, params: Params, names: Collection[str], groups: Collection[str]) -> ModelsManifest:
    chosen = {model.name for model in params.models.values() if not groups or model.group in groups}
    chosen &= {params.model(name).name for name in names} or chosen
    if len(chosen) == len(params.models):
        validate_models(workspace, params)
    path = workspace.manifests / "models.json"
    manifest = ModelsManifest.from_json(path.read_bytes())
    if missing := sorted(chosen - set(manifest.models)):
        raise ManifestError("models", f"{path}: expected {missing[0]}, seen none; run `dvc repro`")
    models = {name: entry for name, entry in manifest.models.items() if name in chosen}
    if len(chosen) < len(params.models):
        for entry in models.values():
            verify_file(workspace.build / entry.file, entry.digest)
    return replace(manifest, models=models)


def _cache(workspace: Workspace, params: Params, key: str, groups: Collection[str]) -> EngineManifest:
    folder = workspace.caches / str(parse_key(key, params))
    if not groups:
        cache_files(workspace, params, key)  # refuses one that lacks a model
    manifest = check_cache(folder, workspace.schemas)
    if not groups:
        return manifest
    wanted = {model.name for model in params.models.values() if model.group in groups}
    files = {name: file for name, file in manifest.engine_files.items() if file.group in groups}
    if missing := sorted(wanted - {file.onnx_model for file in files.values()}):
        raise ManifestError("engine_files", f"{folder}: expected an engine of {missing[0]}, seen none; compile it")
    return replace(manifest, engine_files=files)


def _archives(workspace: Workspace, params: Params, names: Collection[str]) -> dict[str, ArchiveEntry]:
    if not names:
        validate_archives(workspace, params)
        text = (workspace.manifests / "archives.json").read_bytes()
        return dict(ArchivesManifest.from_json(text).archives)
    files, entries = archived_files(workspace, params), {}
    for name in (f"{name.removesuffix('.tar.zst')}.tar.zst" for name in names):
        entry = described(workspace.archives / name)
        check_archive(workspace, name, entry, files.get(name))
        if entry.cache_key is not None:
            check_cache(workspace.caches / str(entry.cache_key), workspace.schemas)
        entries[name] = entry
    return entries
