"""Time a boot from an archive on this disk beside `zstd -d | tar x` of it, which verifies nothing.

Promised: at least 0.9 of its speed, every digest checked, synced or not, for engines and for bytes that can't be
compressed.

Each round runs all sides in an order of chance, in processes that have loaded their code: `unpack` alone, a boot of a
fresh store (in-process; it syncs each file), and the two programs, before and with a sync of what they wrote. Archives
lie in the page cache. All sides run before other processes of this machine where the user may have that (root), and
the part of the processors that those and the kernel used is printed: with more than a tenth, the figures mean little.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median

import numpy as np

from bench.boot_hub import KEY, NAME, SPAWN, disk_bytes, memory_mb
from morphstream.artifact.archive import pack, sync, unpack
from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest, EngineFile, EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.boot.boot import boot
from morphstream.store.store import Store

SPEED = 0.9
FILES, PART = 8, 1 << 22
Side = Callable[[Path, Path], tuple[float, float]]


def main() -> int:
    """Print the medians of each payload; return 1 when the promise isn't kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.unpack", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of a payload (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the volume to write to, 3 payloads of room")
    options = parser.parse_args()
    if shutil.disk_usage(options.folder).free < 3 * options.mib << 20:
        parser.error(f"expected room for {3 * options.mib} MiB in {options.folder.resolve()}, seen less")
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -19)
    kept = True
    for payload in ("engines", "random"):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            kept &= measure(Path(folder), payload, options.mib << 20, options.rounds)
    return int(not kept)


def measure(folder: Path, payload: str, size: int, rounds: int) -> bool:
    """Publish a payload, let each side unpack it in turns, and tell whether the promise is kept."""
    root, work = folder / "build", folder / "work"
    archive_bytes = publish(root, payload, size)
    sides: dict[str, Side] = {"zstd | tar": in_programs, "unpack": in_unpack, "boot": in_boot}
    seen: dict[str, list[tuple[float, ...]]] = {name: [] for name in sides}
    start, busy_s, own_s = time.perf_counter(), processors_s(), os.times()
    for _ in range(rounds):
        for name in random.sample(list(sides), len(sides)):
            seen[name].append(run(sides[name], root, work))
    took, ended = time.perf_counter() - start, os.times()
    others = (processors_s() - busy_s - sum(ended[:4]) + sum(own_s[:4])) / took / (os.cpu_count() or 1)
    print(
        f"{payload}: {size >> 20} MiB, an archive of {archive_bytes >> 20} MiB, {rounds} rounds; others: {others:.0%}"
    )
    for name, rows in seen.items():
        columns = list(zip(*rows, strict=True))[:2]
        written, synced = (f"{median(took):.2f} s ({min(took):.2f} to {max(took):.2f})" for took in columns)
        disk, memory = (max(row[at] for row in rows) for at in (2, 3))
        print(f"{name:10} {written}, synced {synced}, disk {disk / size:.3f} of the payload, {memory:.0f} MB of memory")
    plain, own, booted = ([median(row[at] for row in seen[name]) for at in (0, 1)] for name in sides)
    ratios = {"unpack": plain[0] / own[0], "unpack, synced": plain[1] / own[1], "boot, synced": plain[1] / booted[1]}
    print("; ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()), f"of zstd | tar (promised {SPEED})")
    print(f"boot, which syncs, has {plain[0] / booted[1]:.2f} of zstd | tar without any sync", flush=True)
    return min(ratios.values()) >= SPEED


def publish(root: Path, payload: str, size: int) -> int:
    """Publish an archive as an engine cache; return its size.

    Args:
        root: A new folder.
        payload: ``random``, or ``engines``: of each 4 MiB, three are half-precision weights, and one is code and
            tables, which repeat.
        size: Of the files, in bytes.
    """
    cache, chance, files = root / "trt_cache" / KEY, np.random.default_rng(6), dict[str, EngineFile]()
    for folder in (cache, root / "archives", root / "manifests"):
        folder.mkdir(parents=True)
    words = chance.bytes(1 << 12)
    for number in range(FILES):
        path = cache / f"model{number}.engine"
        with path.open("wb") as file:
            for _ in range(size // FILES // PART):
                weights = chance.standard_normal(PART * 3 // 8, np.float32).astype(np.float16).tobytes()
                file.write(chance.bytes(PART) if payload == "random" else weights + words * (PART // 4 // len(words)))
        files[path.name] = EngineFile(
            group="core", onnx_model="det_10g", digest=digest_of_file(path), kind="engine", precision="fp16"
        )
    (cache / "manifest.json").write_text(EngineManifest(cache_key=CacheKey.parse(KEY), engine_files=files).to_json())
    paths = {f"trt_cache/{KEY}/{path.name}": path for path in cache.iterdir()}
    made = pack(paths, root / "archives" / NAME, level=3, threads=os.cpu_count() or 1)
    entry = ArchiveEntry(digest=made.archive, tar_digest=made.tar, cache_key=CacheKey.parse(KEY), files=made.files)
    (root / "manifests/archives.json").write_text(ArchivesManifest(archives={NAME: entry}).to_json())
    shutil.rmtree(root / "trt_cache")
    return made.archive.bytes


def run(side: Side, root: Path, work: Path) -> tuple[float, ...]:
    """Return a side's seconds without and with a sync, its bytes on the disk at most, and its memory at most in MB."""
    work.mkdir()
    os.sync()
    most = 0
    with ProcessPoolExecutor(1, SPAWN) as pool:
        pool.submit(int).result()
        task, memory = pool.submit(side, root, work), pool.submit(memory_mb)
        while not task.done():
            time.sleep(0.05)
            most = max(most, disk_bytes(work))
        took = (*task.result(), float(most), memory.result())
    shutil.rmtree(work)
    return took


def in_boot(root: Path, work: Path) -> tuple[float, float]:
    """Boot a store."""
    start = time.perf_counter()
    boot(Store(work / "store"), source=root, target=KEY)
    took = time.perf_counter() - start
    return took, took


def in_unpack(root: Path, work: Path) -> tuple[float, float]:
    """Unpack, every digest checked, then sync."""
    start = time.perf_counter()
    entry = ArchivesManifest.from_json((root / "manifests/archives.json").read_bytes()).archives[NAME]
    with (root / "archives" / NAME).open("rb") as stream:
        unpack(stream, entry.files, work / "files", archive=entry.digest)
    return _synced(start, work)


def in_programs(root: Path, work: Path) -> tuple[float, float]:
    """Let zstd and tar unpack, then sync."""
    start = time.perf_counter()
    with subprocess.Popen(["zstd", "-q", "-d", "-c", root / "archives" / NAME], stdout=subprocess.PIPE) as zstd:
        subprocess.run(["tar", "x", "-C", work], stdin=zstd.stdout, check=True)
    assert zstd.returncode == 0
    return _synced(start, work)


def _synced(start: float, work: Path) -> tuple[float, float]:
    took = time.perf_counter() - start
    for path in work.rglob("*"):
        sync(path)
    return took, time.perf_counter() - start


def processors_s() -> float:
    """Return how long the processors have been busy since this machine's start, in seconds."""
    user, nice, system, *_ = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
