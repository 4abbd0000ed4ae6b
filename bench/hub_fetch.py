"""Compare a verified fetch of 1 GiB from a hub on loopback with the Hub's plain client, which verifies nothing.

Promised: at least 0.8 of the plain client's speed, within 300 MB of memory.

Each side is a whole process that loads the client, downloads to a folder of this disk, and exits. They run in turns.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from morphstream.artifact.digest import digest_of_file
from tests.loopback.repository import Large
from tests.loopback.server import Hub
from tests.stages import ROOT, reduced, write_params

SPEED, MEMORY_MB = 0.8, 300
MODEL = "inswapper_128"
_MIB = 1 << 20

_SERVER = """
import sys
from pathlib import Path
from tests.loopback.server import Hub
with Hub(Path(sys.argv[1])) as hub:
    print(hub.endpoint, flush=True)
    sys.stdin.read()
"""
_PLAIN = """
import sys
from huggingface_hub import hf_hub_download
name, path, commit, folder = sys.argv[1:]
hf_hub_download(name, path, revision=commit, local_dir=folder)
"""


def main() -> int:
    """Print the medians of both; return 1 when a promise isn't kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.hub_fetch", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        return measure(Path(folder), options.mib, options.rounds)


def measure(folder: Path, mib: int, rounds: int) -> int:
    """Publish a file, let both sides fetch it in turns, and print the results."""
    name, path, commit = prepare(folder, mib)
    path_of_code = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(folder / "hub")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    endpoint = server.stdout.readline().strip()
    settings = Hub(folder / "none").environment(folder / "home") | {"HF_ENDPOINT": endpoint}
    environment = {**os.environ, **settings, "PYTHONPATH": path_of_code}
    plain = [sys.executable, "-c", _PLAIN, name, path, commit, str(folder / "plain")]
    ours = [sys.executable, "-m", "stages.fetch", MODEL]
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    memory: dict[str, float] = {"plain": 0, "ours": 0}
    for _ in range(rounds):
        for side, command in (("plain", plain), ("ours", ours)):
            shutil.rmtree(folder / "plain", ignore_errors=True)
            shutil.rmtree(folder / "project/build", ignore_errors=True)
            elapsed_s, used = run(command, folder / "project", environment)
            seconds[side].append(elapsed_s)
            memory[side] = max(memory[side], used)
    server.communicate()
    for side, all_s in seconds.items():
        elapsed_s = median(all_s)
        print(f"{side:5} {elapsed_s:.2f} s, {mib * _MIB / elapsed_s / 1e6:.0f} MB/s, {memory[side]:.0f} MB at most")
    speed = median(seconds["plain"]) / median(seconds["ours"])
    print(f"ours at {speed:.2f} of the plain client's speed (promised {SPEED}), within {MEMORY_MB} MB")
    return int(speed < SPEED or memory["ours"] > MEMORY_MB)


def prepare(folder: Path, mib: int) -> tuple[str, str, str]:
    """Publish a file of random bytes in a hub's folder and pin it in a project.

    Returns:
        The repository, the file's path in it, and the commit.
    """
    source = folder / "source"
    with source.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(_MIB))
    digest = digest_of_file(source)
    data = reduced([MODEL], ["cpu"]) | {"origin": "hub"}
    model, name = data["models"][MODEL], data["hub"]["repo"]
    hub = Hub(folder / "hub")
    repository = hub.create(name)
    target = repository.object_path(digest.sha256)
    target.parent.mkdir(parents=True)
    source.rename(target)
    commit = repository.commit(None, "Add", {model["file"]: Large(digest.sha256, digest.bytes)})
    model |= {"sha256": digest.sha256, "bytes": digest.bytes}
    data["hub"]["revision"] = commit
    (folder / "project").mkdir()
    (folder / "project/stages").symlink_to(ROOT / "stages")
    write_params(folder / "project", data)
    return name, model["file"], commit


def run(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Run a process that must succeed; return its duration in seconds and its peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    elapsed_s = time.perf_counter() - start
    assert status == 0
    return elapsed_s, usage.ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main())
