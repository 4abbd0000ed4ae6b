"""The card of the published repository, README.md: generated from the manifests, params and the files there."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData

from morphstream.artifact.manifest import ArchivesManifest, ModelsManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import archive_path, cache_path
from morphstream.source.signed import METADATA
from stages.hub.repository import Held
from stages.params import Params

CARD = "README.md"
_CACHES = cache_path("")
_TEMPLATE = Path(__file__).with_name("card.md.jinja")
_TAGS = ["face-swap", "face-detection", "face-parsing", "face-mask", "person-detection", "tensorrt", "morphstream"]
Tree = Mapping[str, Held]


def card(params: Params, models: ModelsManifest | None, archives: ArchivesManifest | None, tree: Tree) -> str:
    """Return the card of what is published, as the client's own card tools read it; None of a manifest that isn't."""
    text = ModelCard.from_template(
        ModelCardData(license="other", license_name="licence-of-each-model", tags=_TAGS),
        str(_TEMPLATE),
        structure="\n".join(_structure({path: held.bytes for path, held in tree.items()})),
        models=models.models if models else {},
        origin=models.origin if models else None,
        inputs={name: model.inputs for name, model in params.models.items()},
        caches=list(_caches(tree)),
        groups=sorted({model.group for model in models.models.values()} if models else ()),
        archives=archives.archives if archives else {},
        archive_path=archive_path,
        size=_size,
    )
    return f"{str(text).rstrip()}\n"


def _caches(tree: Tree) -> Iterator[tuple[CacheKey, list[int]]]:
    """Yield the cache key of each folder of `trt_cache/` that has a manifest, and the sizes of its files."""
    for path in sorted(tree):
        folder, _, name = path.rpartition("/")
        if folder.startswith(_CACHES) and name == "manifest.json":
            with suppress(ValueError):  # somebody else's, of a format that isn't ours
                key = CacheKey.parse(folder.removeprefix(_CACHES))
                yield key, [held.bytes for file, held in tree.items() if file.startswith(f"{folder}/")]


def _structure(sizes: Mapping[str, int]) -> Iterator[str]:
    """Yield the lines of a tree: every file with its size, but of an engine cache the folder alone."""
    yield "/"
    shown: dict[tuple[str, ...], int] = {}
    for path, size in sorted(sizes.items()):
        if path.startswith((".", f"{METADATA}/")) or path == CARD:  # their own sizes would change it again
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
