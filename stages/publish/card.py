"""The card of the published repository, README.md: generated from the manifests, params and the files there."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData

from morphstream.artifact import vocabulary
from morphstream.artifact.listings import ArchivesManifest, ModelEntry, ModelsManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import archive_path, cache_path
from stages.hub.repository import Held
from stages.params import Params

CARD = "README.md"
_CACHES = cache_path("")
_TEMPLATE = Path(__file__).with_name("card.md.jinja")
_TAGS = ["face-swap", "face-detection", "face-parsing", "face-mask", "person-detection", "tensorrt", "morphstream"]
_TITLES: Mapping[str, tuple[str, ...]] = {
    "Face swap": ("swapper",),
    "Face detection and recognition": ("detector", "embedder", "landmarker"),
    "Face masks": ("occluder", "parser"),
    "Person detection": ("person_detector",),
    "Face restoration": ("restorer",),
}

Tree = Mapping[str, Held]


def card(params: Params, models: ModelsManifest | None, archives: ArchivesManifest | None, tree: Tree) -> str:
    """Return the card, as the client's own card tools read it.

    Args:
        params: The inputs of the models.
        models: As they are published; None where none is.
        archives: The same.
        tree: What each path of the repository holds.

    Raises:
        ValueError: The card tools can't read it.
    """
    data = ModelCardData(license="other", license_name="licence-of-each-model", tags=_TAGS)
    entries = models.models if models else {}
    text = ModelCard.from_template(
        data,
        str(_TEMPLATE),
        structure="\n".join(_structure({path: held.bytes for path, held in tree.items()})),
        tables=_tables(params, entries),
        origin=models.origin if models else None,
        caches=list(_caches(tree)),
        groups=[f"`{group}`" for group in vocabulary.GROUPS if group != "shared"],
        archives=list(_archives(archives)),
    )
    return f"{str(text).rstrip()}\n"


def _tables(params: Params, entries: Mapping[str, ModelEntry]) -> dict[str, list[list[str]]]:
    tables = {}
    for title, roles in _TITLES.items():
        rows = [_model(params, name, entry) for name, entry in entries.items() if entry.role in roles]
        if rows:
            tables[title] = rows
    return tables


def _model(params: Params, name: str, entry: ModelEntry) -> list[str]:
    inputs = params.models[name].inputs if name in params.models else {}
    shapes = ", ".join(
        f"{key} {'x'.join('N' if dim < 0 else str(dim) for dim in dims)}" for key, dims in inputs.items()
    )
    worker = f"`{entry.worker}`" if entry.worker else ""
    size = _size(entry.digest.bytes)
    licence = entry.licence.replace("|", "\\|")
    return [f"`{name}`", f"`{entry.file}`", size, shapes, entry.precision, worker, entry.delivery, licence]


def _caches(tree: Tree) -> Iterator[list[str]]:
    """Yield a row for each folder of `trt_cache/` that has a manifest."""
    for path in sorted(tree):
        folder, _, name = path.rpartition("/")
        if folder.startswith(_CACHES) and name == "manifest.json":
            try:
                key = CacheKey.parse(folder.removeprefix(_CACHES))
            except ValueError:
                continue  # somebody else's, of a format that isn't ours
            sizes = [held.bytes for file, held in tree.items() if file.startswith(f"{folder}/")]
            libraries = [f"{library} {version}" for library, version in key.versions]
            built_with = ", ".join([*libraries, key.precision] if key.precision else libraries)
            yield [f"`{key}`", key.arch, built_with, str(len(sizes)), _size(sum(sizes))]


def _archives(archives: ArchivesManifest | None) -> Iterator[list[str]]:
    for name, entry in (archives.archives if archives else {}).items():
        holds = f"the engines of `{entry.cache_key}`" if entry.cache_key else f"{len(entry.files)} files"
        yield [f"`{archive_path(name)}`", _size(entry.digest.bytes), holds]


def _structure(sizes: Mapping[str, int]) -> Iterator[str]:
    """Yield the lines of a tree: every file with its size, but of an engine cache the folder alone."""
    yield "/"
    shown: dict[tuple[str, ...], int] = {}
    for path, size in sorted(sizes.items()):
        if path.startswith(".") or path == CARD:  # its own size would change it again
            continue
        parts = tuple(path.split("/"))
        leaf = (*parts[:3], "") if path.startswith(_CACHES) and len(parts) > 3 else parts
        shown[leaf] = shown.get(leaf, 0) + size
    yield from _lines(list(shown.items()), "")


def _lines(leaves: list[tuple[tuple[str, ...], int]], indent: str) -> Iterator[str]:
    folders = [(name, list(group)) for name, group in groupby(leaves, key=lambda leaf: leaf[0][0])]
    for index, (name, group) in enumerate(folders):
        is_last = index == len(folders) - 1
        inside = [(parts[1:], size) for parts, size in group if len(parts) > 1 and parts[1:] != ("",)]
        size = f" ({_size(sum(size for _, size in group))})" if not inside else ""
        slash = "/" if inside or group[0][0][-1] == "" else ""
        yield f"{indent}{'└──' if is_last else '├──'} {name}{slash}{size}"
        yield from _lines(inside, f"{indent}{'    ' if is_last else '│   '}")


def _size(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"
