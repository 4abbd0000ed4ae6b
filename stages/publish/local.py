"""What build/ holds to be published, once `validate` has passed it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from morphstream.artifact.digest import verify_file
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.fields import of_file
from morphstream.artifact.manifest import ArchiveEntry, EngineManifest, ModelsManifest
from morphstream.artifact.regular_file import read_regular
from morphstream.artifact.vocabulary import MODELS, cache_path
from morphstream.source.source import SMALL_BYTES_MAX
from stages.caches import parse_key
from stages.index import described
from stages.pack import archived_files
from stages.params import Params
from stages.publish.merge import Manifest
from stages.validate import check_archive, check_cache, validate_archives, validate_cache, validate_models
from stages.workspace import Workspace

WHAT = ("models", "engines", "archives")


@dataclass(frozen=True, slots=True)
class Local:
    """What is to be published, verified.

    Attributes:
        manifests: Of models and of engine caches, by their published paths.
        archives: By name, as in manifests/archives.json.
    """

    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    archives: Mapping[str, ArchiveEntry] = field(default_factory=dict)


def local(
    workspace: Workspace,
    params: Params,
    what: Collection[str],
    names: Collection[str] = (),
    groups: Collection[str] = (),
) -> Local:
    """Validate what is to be published, some of `WHAT`, and return it.

    Names are of models, cache keys or archives, and groups of models: these alone are published. Where none is named,
    all that params.yaml names is.
    """
    manifests: dict[str, Manifest] = {}
    if "models" in what:
        manifests[MODELS] = _models(workspace, params, names, groups)
    if "engines" in what:
        for key in names or [build.cache_key for build in params.builds.values()]:
            manifests[f"{cache_path(key)}/manifest.json"] = _cache(workspace, params, key, groups)
    return Local(manifests, _archives(workspace, params, names) if "archives" in what else {})


def _models(workspace: Workspace, params: Params, names: Collection[str], groups: Collection[str]) -> ModelsManifest:
    chosen = {model.name for model in params.models.values() if not groups or model.group in groups}
    chosen &= {params.model(name).name for name in names} or chosen
    if len(chosen) == len(params.models):
        return validate_models(workspace, params)
    path = workspace.manifests / "models.json"
    with of_file(path):
        manifest = ModelsManifest.from_json(read_regular(path, SMALL_BYTES_MAX))
    if missing := sorted(chosen - set(manifest.models)):
        raise ManifestError("models", f"{path}: expected {missing[0]}, seen none; run `dvc repro`")
    models = {name: entry for name, entry in manifest.models.items() if name in chosen}
    for entry in models.values():
        verify_file(workspace.build / entry.file, entry.digest)
    return replace(manifest, models=models)


def _cache(workspace: Workspace, params: Params, text: str, groups: Collection[str]) -> EngineManifest:
    key = parse_key(text, params)
    if not groups:
        return validate_cache(workspace, params, key)
    folder = workspace.caches / str(key)
    manifest = check_cache(folder, workspace.schemas)
    files = manifest.files_where(lambda file: file.group in groups)
    wanted = {model.name for model in params.models.values() if model.group in groups}
    if missing := sorted(wanted - {file.onnx_model for file in files.values()}):
        raise ManifestError("engine_files", f"{folder}: expected an engine of {missing[0]}, seen none; compile it")
    return replace(manifest, engine_files=files)


def _archives(workspace: Workspace, params: Params, names: Collection[str]) -> Mapping[str, ArchiveEntry]:
    if not names:
        return validate_archives(workspace, params).archives
    files, entries = archived_files(workspace, params), {}
    for name in (f"{name.removesuffix('.tar.zst')}.tar.zst" for name in names):
        entry = described(workspace.archives / name)
        check_archive(workspace, name, entry, files.get(name))
        if entry.cache_key is not None:
            check_cache(workspace.caches / str(entry.cache_key), workspace.schemas)
        entries[name] = entry
    return entries
