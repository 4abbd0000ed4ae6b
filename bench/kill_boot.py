"""Kill boots, updates, evictions and deployments at random moments; every next start works, and nothing is left over.

Promised: 200 kills, 200 good starts, and after `clean` only the current generation. A quarter of the kills hit
deployments, as in `bench.kill_deploy`.
"""

import argparse
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from itertools import cycle
from multiprocessing.synchronize import Event
from pathlib import Path

from bench.kill_deploy import kill_deploys
from morphstream.artifact.errors import NoEngineError
from morphstream.boot.boot import boot
from morphstream.boot.ondemand import add_model
from morphstream.source.folder import FolderSource
from morphstream.store.store import CURRENT, Store
from tests.layouts import CPU, FILES, MACHINE, ON_DEMAND, publish

ROOM_BYTES = 15_000  # for the core and one model, so that each that comes evicts another
FORKS = multiprocessing.get_context("forkserver")  # a process in milliseconds, from one without threads


def main() -> int:
    """Print what the kills interrupted and what they left; return 0 if every start was good, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.kill_boot", description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="how many processes to kill")
    parser.add_argument("--seed", type=int, default=6, help="of the moments")
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        boots, deploys = Path(folder, "boots"), Path(folder, "deploys")
        boots.mkdir()
        deploys.mkdir()
        met = kill_boots(boots, options.times - options.times // 4, options.seed)
        met += kill_deploys(deploys, options.times // 4, options.seed)
    print(", ".join(f"{what}: {times}" for what, times in sorted(met.items())))
    print(f"{options.times} kills in {time.perf_counter() - start:.0f} s: every next start was good, nothing was left")
    return 0


def kill_boots(folder: Path, times: int, seed: int) -> Counter[str]:
    """Kill processes that boot two archives in turns into one store, sometimes a new one, or add two models in turns.

    Args:
        folder: An empty folder for the archives and the stores.
        times: Number of processes to kill.
        seed: Of the random moments.

    Returns:
        What killed processes left, and how often.

    Raises:
        AssertionError: A start wasn't good, or something was left over.
        MorphstreamError: A start failed.
    """
    layouts = [publish(folder / f"layout{build}", CPU, build=build) for build in range(2)]
    hub = publish(folder / "hub", CPU, files=(*FILES, *ON_DEMAND))
    path, moments, met = folder / "store", random.Random(seed), Counter[str]()
    FORKS.set_forkserver_preload(["morphstream.boot.boot", "tests.layouts"])
    boot_s = _time(path, layouts)
    for number in range(times):
        kind = moments.choice(("a first boot", "updates", "evictions"))
        if is_new := kind == "a first boot":
            clean(path)
            shutil.rmtree(path)
        is_booting = FORKS.Event()
        work = (_add_by_turns, (path, hub)) if kind == "evictions" else (_boot_by_turns, (path, layouts))
        process = FORKS.Process(target=work[0], args=(*work[1], is_booting))
        process.start()
        assert is_booting.wait(60)
        time.sleep(moments.random() * boot_s * (2 if is_new else 4))
        process.kill()
        process.join()
        met[f"killed in {kind}"] += 1
        met.update(_remains(path))
        check_next_start(path, layouts[number % 2], may_be_empty=is_new)
    clean(path)
    return met


def _time(path: Path, layouts: list[Path]) -> float:
    """Return the duration of an update in seconds."""
    start = time.perf_counter()
    for layout in layouts * 5:
        boot(path, source=layout, machine=MACHINE)
    return (time.perf_counter() - start) / 10


def _boot_by_turns(path: Path, layouts: list[Path], is_booting: Event) -> None:
    is_booting.set()
    for layout in cycle(layouts):
        boot(path, source=layout, machine=MACHINE)


def _add_by_turns(path: Path, hub: Path, is_booting: Event) -> None:
    is_booting.set()
    for file in cycle(ON_DEMAND):
        add_model(Store(path), ON_DEMAND[file][0], FolderSource(hub), budget_bytes=ROOM_BYTES)


def _remains(path: Path) -> list[str]:
    """Return what a killed process left behind."""
    named = path / CURRENT
    found = ["found a staging folder"] if list(path.glob(".staging.*")) else []
    if len(list(path.glob("caches/*"))) > named.exists():
        found.append("found a generation too many")
    if not named.exists():
        found.append("found a store that holds nothing yet")
    return found


def check_next_start(path: Path, layout: Path, *, may_be_empty: bool) -> None:
    """Check that every digest in a store is right, and that the store then accepts another archive."""
    store = Store(path)
    try:
        store.verify()
        assert "det_10g" in store.current().models, "a model that must stay is lost"
    except NoEngineError:
        assert may_be_empty, "the last good store doesn't serve"
        assert not (path / CURRENT).exists(), "a store is half there"
    boot(store, source=layout, machine=MACHINE)
    store.verify()


def clean(path: Path) -> None:
    """Clean a store, and check that only the current generation remains."""
    store = Store(path)
    assert store.clean() == ()
    assert {entry.name for entry in path.iterdir()} - {"used"} == {".lock", CURRENT, "caches"}
    assert list((path / "caches").iterdir()) == [store.current().folder]
    store.verify()


if __name__ == "__main__":
    sys.exit(main())
