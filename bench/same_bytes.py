"""Compare a build with that of an earlier checkout: engines by target, model and kind, and every archive member.

Recipes hash source, and name engines: after a change of source the same bytes have other names. So a file of an
engine cache is known by its cache key, model and kind; in an EPContext model and in ``manifest.json`` the recipe is
replaced by its model's name before both are compared. All else is compared by its path.
"""

import argparse
import hashlib
import io
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import zstandard

from morphstream.artifact.manifest import EngineManifest

_RECIPE = re.compile(rb"[0-9a-f]{64}")
_RECIPE_LENGTH = 16  # of a recipe, in a file's name


def main() -> int:
    """Print a line for each difference, then how many files were compared; return 0 where all are the same."""
    parser = argparse.ArgumentParser(prog="python -m bench.same_bytes", description=__doc__)
    parser.add_argument("before", type=Path, help="build/ of the earlier checkout")
    parser.add_argument("after", type=Path, nargs="?", default=Path("build"), help="(%(default)s)")
    parser.add_argument("--list", action="store_true", help="print every digest, before and after")
    options = parser.parse_args()
    before, after = (dict(_digests(root)) for root in (options.before, options.after))
    for name in sorted({*before, *after}) if options.list else []:
        print(f"{before.get(name, 'none'):64}  {after.get(name, 'none'):64}  {name}")
    odd = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    for name in odd:
        print(f"differs: {name}")
    print(f"{len(after)} files, {len(after) - len(odd)} with the bytes of {options.before}")
    return 1 if odd or not after else 0


def _digests(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and sha256 of each model, engine file and archive member of a build."""
    for folder in ("models", "gfpgan"):
        for path in sorted((root / folder).rglob("*.onnx")):
            yield str(path.relative_to(root)), hashlib.sha256(path.read_bytes()).hexdigest()
    caches = {path.parent: path.read_bytes() for path in sorted((root / "trt_cache").glob("*/*/manifest.json"))}
    for cache, manifest in caches.items():
        files = {path.name: path.read_bytes() for path in cache.iterdir() if path.name != ".gitignore"}
        yield from _cache_digests(str(cache.relative_to(root)), manifest, files)
    for path in sorted((root / "archives").glob("*.tar.zst")):
        yield from ((f"{path.name}: {name}", digest) for name, digest in _archive_digests(path))


def _archive_digests(path: Path) -> Iterator[tuple[str, str]]:
    tar = zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True).read()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        members = {member.name: archive.extractfile(member) for member in archive}
        data = {name: file.read() for name, file in members.items() if file}
    manifest = next((name for name in data if name.endswith("/manifest.json")), None)
    if manifest is None:
        yield from ((name, hashlib.sha256(content).hexdigest()) for name, content in data.items())
        return
    folder = manifest.rpartition("/")[0]
    files = {name.removeprefix(f"{folder}/"): content for name, content in data.items()}
    yield from _cache_digests(folder, data[manifest], files)


def _cache_digests(folder: str, manifest: bytes, files: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Yield the digest of each file of an engine cache, known by its model and kind."""
    entries = EngineManifest.from_json(manifest).engine_files
    for name, entry in entries.items():
        data = files[name]
        if entry.kind == "ep_context":
            data = data.replace(name[:_RECIPE_LENGTH].encode(), b"recipe")
        yield f"{folder} {entry.onnx_model} {entry.kind}", hashlib.sha256(data).hexdigest()
    lines = [_RECIPE.sub(b"recipe", line) for line in manifest.splitlines() if b'"sha256"' not in line]
    for name in entries:
        lines = [line.replace(name[:_RECIPE_LENGTH].encode(), b"recipe") for line in lines]
    yield f"{folder} manifest.json", hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
