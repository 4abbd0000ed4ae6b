"""Time a boot of 1 GiB from a hub on loopback, in one pass, beside the same code in steps: download, hash, extract.

Promised: at least 1.3 times faster, with a peak of the disk of 1.1 times the payload at most.

Both are processes of their own that put half-precision weights, zstd level 3, into a folder of this disk, synced; they
take turns, and so does a boot of single engines. The hub is another process, which sends ranges of a file from
the page cache.
"""

import argparse
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import numpy as np

from morphstream.artifact.archive import pack, unpack
from morphstream.artifact.digest import digest_of_file, verify_file
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest, EngineFile, EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.boot.boot import boot
from morphstream.source.hub import HubSource
from morphstream.store.store import Store
from tests.stages import ROOT

SPEED, DISK = 1.3, 1.1
KEY, NAME, REPO, COMMIT = "x86_64/ov2026.4", "cpu.tar.zst", "org/name", "0" * 40
FILES = 8
SPAWN = multiprocessing.get_context("spawn")
Side = Callable[[str, Path], float]


def main() -> int:
    """Print the medians of both; return 1 when a promise isn't kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.boot_hub", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the payload (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        return measure(Path(folder), options.mib << 20, options.rounds)


def measure(folder: Path, payload: int, rounds: int) -> int:
    """Publish weights, and let both boot them in turns."""
    size = publish(folder / "hub", payload)
    ours, theirs = SPAWN.Pipe()
    server = SPAWN.Process(target=serve, args=(folder / "hub", theirs), daemon=True)
    server.start()
    endpoint = ours.recv()
    sides: dict[str, Side] = {"steps": in_steps, "one pass": in_one_pass, "engines": in_single_engines}
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            seen[name].append(run(side, endpoint, folder / "work"))
    server.terminate()
    server.join()
    print(f"{payload >> 20} MiB of weights, an archive of {size >> 20} MiB, {rounds} rounds")
    for name, rows in seen.items():
        took, disk, memory = (median(row[0] for row in rows), *(max(row[at] for row in rows) for at in (1, 2)))
        print(
            f"{name:8} {took:.2f} s ({min(rows)[0]:.2f} to {max(rows)[0]:.2f}), {payload / took / 1e6:.0f} MB/s, "
            f"disk {disk / payload:.3f} of the payload, {memory:.0f} MB of memory"
        )
    speed = median(row[0] for row in seen["steps"]) / median(row[0] for row in seen["one pass"])
    disk = max(row[1] for name in ("one pass", "engines") for row in seen[name]) / payload
    print(f"one pass is {speed:.2f} times faster (promised {SPEED}), and needs {disk:.3f} of the payload ({DISK})")
    return int(speed < SPEED or disk > DISK)


def publish(root: Path, payload: int) -> int:
    """Publish an archive of weights as a hub would have it; return its size."""
    cache, random, files = root / "trt_cache" / KEY, np.random.default_rng(6), dict[str, EngineFile]()
    for folder in (cache, root / "archives", root / "manifests"):
        folder.mkdir(parents=True)
    for number in range(FILES):
        path = cache / f"model{number}.bin"
        weights = random.standard_normal(payload // FILES // 2, np.float32).astype(np.float16)
        path.write_bytes(weights.tobytes())
        files[path.name] = EngineFile(
            group="core", onnx_model="det_10g", digest=digest_of_file(path), kind="ir_weights", precision="fp32"
        )
    (cache / "manifest.json").write_text(EngineManifest(cache_key=CacheKey.parse(KEY), engine_files=files).to_json())
    paths = {f"trt_cache/{KEY}/{path.name}": path for path in cache.iterdir()}
    made = pack(paths, root / "archives" / NAME, level=3, threads=os.cpu_count() or 1)
    entry = ArchiveEntry(digest=made.archive, tar_digest=made.tar, cache_key=CacheKey.parse(KEY), files=made.files)
    (root / "manifests/archives.json").write_text(ArchivesManifest(archives={NAME: entry}).to_json())
    return made.archive.bytes


def run(side: Side, endpoint: str, work: Path) -> tuple[float, float, float]:
    """Return one side's seconds, the bytes of its folder at most, and its memory at most in MB."""
    work.mkdir()
    os.sync()
    most = 0
    with ProcessPoolExecutor(1, SPAWN) as pool:
        pool.submit(int).result()  # starting Python and loading this file isn't timed
        task, memory = pool.submit(side, endpoint, work), pool.submit(memory_mb)
        while not task.done():
            most = max(most, disk_bytes(work))
            time.sleep(0.02)
        most = max(most, disk_bytes(work))
        took = task.result(), float(most), memory.result()
    shutil.rmtree(work)
    return took


def in_one_pass(endpoint: str, work: Path) -> float:
    """Boot a store, and return how long it took."""
    start = time.perf_counter()
    boot(Store(work / "store"), source=HubSource(REPO, COMMIT, endpoint=endpoint), target=KEY)
    return time.perf_counter() - start


def in_single_engines(endpoint: str, work: Path) -> float:
    """Boot a store from single files, which aren't compressed; return how long it took."""
    start = time.perf_counter()
    boot(Store(work / "store"), source=HubSource(REPO, COMMIT, endpoint=endpoint), target=KEY, groups=["core"])
    return time.perf_counter() - start


def in_steps(endpoint: str, work: Path) -> float:
    """Download to the disk, hash, and extract; return how long it took."""
    start = time.perf_counter()
    source = HubSource(REPO, COMMIT, endpoint=endpoint)
    entry = ArchivesManifest.from_json(source.read("manifests/archives.json")).archives[NAME]
    with source.open(f"archives/{NAME}") as stream, (work / NAME).open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    verify_file(work / NAME, entry.digest)
    with (work / NAME).open("rb") as stream:
        unpack(stream, entry.files, work / "files")
    for name in entry.files:
        with (work / "files" / name).open("rb") as file:
            os.fsync(file)
    (work / NAME).unlink()
    return time.perf_counter() - start


def memory_mb() -> float:
    """Return how much memory this process has had at most."""
    status = Path("/proc/self/status").read_text()  # getrusage's figure is inherited from the process that started this
    found = re.search(r"VmHWM:\s+([0-9]+) kB", status)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def disk_bytes(folder: Path) -> int:
    """Return what the files of a folder take on the disk, while they come and go."""
    total = 0
    for above, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{above}/{name}").st_blocks * 512
            except FileNotFoundError:
                continue
    return total


class Ranges(BaseHTTPRequestHandler):
    """A connection to the hub, which has one commit."""

    protocol_version = "HTTP/1.1"
    root: Path

    def do_GET(self) -> None:
        """Send a file, or a range of it."""
        path = self.root / self.path.partition(f"/resolve/{COMMIT}/")[2]
        if not path.is_file():
            self.send_response_only(404)
            for name, text in {"X-Error-Code": "EntryNotFound", "Content-Length": "0"}.items():
                self.send_header(name, text)
            self.end_headers()
            return
        size = path.stat().st_size
        wanted = re.fullmatch("bytes=([0-9]+)-([0-9]+)", self.headers.get("Range", ""))
        begin, end = (int(wanted[1]), min(int(wanted[2]) + 1, size)) if wanted else (0, size)
        self.send_response_only(206 if wanted else 200)
        self.send_header("Content-Length", str(end - begin))
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.end_headers()
        with path.open("rb") as file:
            self.connection.sendfile(file, begin, end - begin)


def serve(root: Path, connection: Connection) -> None:
    """Serve for ever, and tell where."""
    handler = type("OfRoot", (Ranges,), {"root": root})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        connection.send(f"http://127.0.0.1:{server.server_port}")
        server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
