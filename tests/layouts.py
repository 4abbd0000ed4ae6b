"""Small published layouts, and a machine that can run what they hold."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from morphstream.artifact.archive import pack
from morphstream.artifact.digest import digest_of, digest_of_file
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest, EngineFile, EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.machine.probe import Machine

CPU = "x86_64/ov2026.4"
CODE = "deploy/develop/app_code.tar.zst"
MACHINE = Machine(arch="x86_64", gpu_archs=(), libraries={"openvino": "2026.4.1"}, no_gpu="no driver")
FILES = {
    "det_10g.xml": ("core", "det_10g", "ir"),
    "det_10g.bin": ("core", "det_10g", "ir_weights"),
    "inswapper_128.xml": ("inswapper_128", "inswapper_128", "ir"),
    "inswapper_128.bin": ("inswapper_128", "inswapper_128", "ir_weights"),
    "inswapper_128.npy": ("inswapper_128", "inswapper_128", "emap"),
}
ON_DEMAND = {f"{model}.xml": (model, model, "ir") for model in ("hyperswap_1a_256", "hyperswap_1b_256")}


def archive_of(key: str) -> str:
    """Return the name of the archive that `publish` packs a cache into."""
    return f"cache-{key.replace('/', '-')}.tar.zst"


def publish(
    root: Path,
    *keys: str,
    build: int = 0,
    files: Sequence[str] = tuple(FILES),
    groups: Mapping[str, str] | None = None,
) -> Path:
    """Publish an archive of engines for each cache key, and one of models.

    Args:
        root: The folder; what an earlier call published there is replaced.
        keys: The cache keys.
        build: Another one gives files with other bytes.
        files: Which of `FILES` and `ON_DEMAND` a cache holds.
        groups: Groups of models, instead of those there.
    """
    entries = {}
    for key in keys:
        cache = root / "trt_cache" / key
        cache.mkdir(parents=True, exist_ok=True)
        engine_files = {}
        for name in files:
            data = random.Random(f"{key} {name} {build}").randbytes(5000)  # that can't be compressed
            (cache / name).write_bytes(data)
            group, made_from, kind = (FILES | ON_DEMAND)[name]
            engine_files[name] = EngineFile(
                group=(groups or {}).get(made_from, group),
                onnx_model=made_from,
                digest=digest_of_file(cache / name),
                kind=kind,
                precision=CacheKey.parse(key).precision,
            )
        write_manifest(cache, EngineManifest(cache_key=CacheKey.parse(key), engine_files=engine_files))
        entries[archive_of(key)] = packed(root, archive_of(key), key, [*files, "manifest.json"])
    model = root / "model.onnx"
    model.write_bytes(b"model")
    entries["models.tar.zst"] = packed_files(root, "models.tar.zst", None, {"models/a.onnx": model})
    write_archives(root, ArchivesManifest(archives=entries))
    return root


def say_roles(root: Path, key: str) -> None:
    """Have the manifest of a cache say role and delivery, as published ones don't, and pack it again."""
    cache = root / "trt_cache" / key
    manifest = EngineManifest.from_json((cache / "manifest.json").read_bytes())
    files = {
        name: replace(
            file,
            role="detector" if file.onnx_model == "det_10g" else "swapper",
            delivery="baked" if file.onnx_model == "det_10g" else "stream",
        )
        for name, file in manifest.engine_files.items()
    }
    write_manifest(cache, replace(manifest, engine_files=files))
    replace_entry(root, archive_of(key), packed(root, archive_of(key), key, [*files, "manifest.json"]))


def packed(root: Path, name: str, key: str, files: Sequence[str]) -> ArchiveEntry:
    """Pack files of a cache, and return the archive's entry."""
    folder = f"trt_cache/{key}"
    paths = {f"{folder}/{file}": root / folder / file for file in files}
    return packed_files(root, name, CacheKey.parse(key), paths)


def packed_files(root: Path, name: str, key: CacheKey | None, files: dict[str, Path]) -> ArchiveEntry:
    """Pack files, and return the archive's entry."""
    (root / "archives").mkdir(exist_ok=True)
    made = pack(files, root / "archives" / name, level=1, threads=1)
    return ArchiveEntry(digest=made.archive, tar_digest=made.tar, cache_key=key, files=made.files)


def write_manifest(cache: Path, manifest: EngineManifest) -> None:
    """Write the manifest of a cache."""
    (cache / "manifest.json").write_text(manifest.to_json())


def write_archives(root: Path, archives: ArchivesManifest) -> None:
    """Write the manifest of all archives."""
    (root / "manifests").mkdir(exist_ok=True)
    (root / "manifests/archives.json").write_text(archives.to_json())


def read_archives(root: Path) -> ArchivesManifest:
    """Read the manifest of all archives."""
    return ArchivesManifest.from_json((root / "manifests/archives.json").read_bytes())


def replace_entry(root: Path, name: str, entry: ArchiveEntry) -> None:
    """Say something else about one archive."""
    archives = read_archives(root)
    write_archives(root, replace(archives, archives={**archives.archives, name: entry}))


def publish_code(root: Path, text: str, files: Mapping[str, str] | None = None) -> ArchiveEntry:
    """Publish code that prints a text, beside what else is published there."""
    written = {"app/__init__.py": "", "app/__main__.py": f"print({text!r})\n", **(files or {})}
    sources = {}
    for number, (name, data) in enumerate(written.items()):
        sources[name] = root / "code" / str(number)
        sources[name].parent.mkdir(parents=True, exist_ok=True)
        sources[name].write_text(data)
    archive = root / CODE
    archive.parent.mkdir(parents=True, exist_ok=True)
    made = pack(sources, archive, level=1, threads=1)
    entry = ArchiveEntry(digest=made.archive, tar_digest=made.tar, cache_key=None, files=made.files)
    others = read_archives(root).archives if (root / "manifests/archives.json").exists() else {}
    write_archives(root, ArchivesManifest(archives={**others, CODE: entry}))
    return entry


def leave_killed(root: Path, folder: str, marker: str) -> None:
    """Leave in a store, or in a folder of releases, what a killed process may: a staging folder and a generation."""
    (root / ".staging.0123abcd.part/half").mkdir(parents=True)
    text = "f" * 64 if marker == "held" else "{}"
    left = root / folder / (text if marker == "held" else digest_of(text.encode()).sha256)[:16]
    (left / "half").mkdir(parents=True)
    (left / marker).write_text(text)


def release_of(app: Path) -> str:
    """Return what the code of the current release prints, as it stands in the file."""
    return (app / "current/code/app/__main__.py").read_text()
