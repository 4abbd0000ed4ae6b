"""Spoil a hub's answers at random, and measure how those who read it end, beside the Hub's plain client.

Promised: what is read is right, or refused in one line within 1.2 of the time-out; and right where the plain client
reads the right bytes in that time.
"""

import argparse
import logging
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx2
from huggingface_hub import hf_hub_download, set_client_factory
from huggingface_hub.utils.tqdm import disable_progress_bars

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import DigestMismatchError, FetchError, MorphstreamError
from morphstream.source.hub import HubSource
from stages.hub.download import download
from stages.hub.repository import Repository
from stages.hub.transport import HubTransport
from tests.loopback.relay import Relay, Spoilt
from tests.loopback.repository import Large
from tests.loopback.server import Hub

LATEST = 1.2
NAME, FILE = "org/name", "a.bin"
DATA = random.Random(6).randbytes(1_000_003)
PLAIN_S = 20.0
Read = Callable[[str, float, Path], bytes]


def main() -> int:
    """Print how many ended how, and each that broke a promise; return 1 where one did."""
    parser = argparse.ArgumentParser(prog="python -m bench.hub_manners", description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="(%(default)s)")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds (%(default)s)")
    parser.add_argument("--plain", type=int, default=50, help="examples that the plain client reads, too (%(default)s)")
    options = parser.parse_args()
    ended, broken = Counter[str](), 0
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder, Hub(Path(folder) / "hub") as hub:
        fill(hub)
        plain = {seed: read_plain(hub, seed, options.timeout, Path(folder)) for seed in range(0, 2 * options.plain, 2)}
        for seed in range(options.examples):
            for side, read in (("runtime", by_runtime), ("pipeline", by_pipeline)):
                took_s, result = timed(hub, seed, options.timeout, Path(folder) / f"{side}{seed}", read)
                is_late = took_s > LATEST * options.timeout
                is_worse = result != "right" and plain.get(seed) == "right in time"
                ended[f"{side}: {'right' if result == 'right' else 'refused'}"] += 1
                if is_late or is_worse or "\n" in result or len(result) > 500:
                    broken += 1
                    print(f"seed {seed}, {side}: {took_s:.2f} s: {result}; {Spoilt.of(seed, options.timeout / 50)}")
    ended |= Counter(f"plain client: {result}" for result in plain.values())
    print("\n".join(f"{name}: {count}" for name, count in sorted(ended.items())))
    print(f"broken promises: {broken}")
    return bool(broken)


def fill(hub: Hub) -> None:
    """Put a large file into a repository."""
    repository, digest = hub.create(NAME, is_private=False), digest_of(DATA)
    stored = repository.object_path(digest.sha256)
    stored.parent.mkdir(parents=True)
    stored.write_bytes(DATA)
    repository.commit(None, "Add", {FILE: Large(digest.sha256, digest.bytes)})


def relay_of(hub: Hub, seed: int, timeout_s: float) -> Relay:
    """Return a hub that is spoilt: by an even seed the file alone, of which all ask the same, else any answer."""
    spoilt = Spoilt.of(seed, timeout_s / 50)
    return Relay(hub, spoilt) if seed % 2 else Relay(hub, replace(spoilt, after=0), "/lfs/")


def read_plain(hub: Hub, seed: int, timeout_s: float, folder: Path) -> str:
    """Return how the plain client ends; it is waited for a while, as it may never."""
    ended, start = [f"no end in {PLAIN_S:g} s"], time.monotonic()

    def read() -> None:
        try:
            path = hf_hub_download(NAME, FILE, endpoint=relay.endpoint, local_dir=folder / f"plain{seed}", token=False)
            result = "right" if Path(path).read_bytes() == DATA else "wrong"
            ended.append(f"{result}{' in time' if time.monotonic() - start < timeout_s else ''}")
        except Exception as error:  # noqa: BLE001 # it has many
            ended.append(f"refused by {type(error).__name__}")

    with relay_of(hub, seed, timeout_s) as relay:
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        thread.join(PLAIN_S)
    return ended[-1]


def timed(hub: Hub, seed: int, timeout_s: float, folder: Path, read: Read) -> tuple[float, str]:
    """Read a file of a spoilt hub; return how long it took, and "right" or the refusal."""
    folder.mkdir()
    with relay_of(hub, seed, timeout_s) as relay:
        start = time.monotonic()
        try:
            result = "right" if read(relay.endpoint, timeout_s, folder) == DATA else "wrong\n"
        except MorphstreamError as error:
            result = str(error)
        return time.monotonic() - start, result


def by_runtime(endpoint: str, timeout_s: float, _: Path) -> bytes:
    """Read the file as a boot does, and verify it."""
    source = HubSource(NAME, endpoint=endpoint, token="", timeout_s=timeout_s)
    with source.open(FILE) as stream:
        data = stream.read()
    if digest_of(data) != digest_of(DATA):
        raise DigestMismatchError(FILE, digest_of(DATA), digest_of(data))
    return data


def by_pipeline(endpoint: str, timeout_s: float, folder: Path) -> bytes:
    """List the repository by the Hub's client over our connections, and fetch the file as `stages.fetch` does."""
    repository = Repository(NAME, endpoint=endpoint, timeout_s=timeout_s)
    set_client_factory(lambda: httpx2.Client(follow_redirects=True, transport=HubTransport(timeout_s, timeout_s)))
    commit = repository.commit_of("main")
    if set(repository.files(commit)) != {FILE, ".gitattributes"}:
        raise FetchError(f"{NAME}: expected its files, seen others; run it again")
    download(repository.source(commit), FILE, digest_of(DATA), folder / FILE)
    return (folder / FILE).read_bytes()


if __name__ == "__main__":
    sys.exit(main())
