"""Kill deployments at random moments, and check that each next one works and that nothing is left over.

Promised: 200 kills, 200 complete releases and good deployments; a release that a process holds is never removed.
"""

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import cycle
from multiprocessing.synchronize import Event
from pathlib import Path

from morphstream.artifact.digest import verify_file
from morphstream.artifact.manifest import ArchiveEntry
from morphstream.deploy.deploy import Check, deploy
from morphstream.deploy.releases import CODE, CURRENT_LINK, HELD, PREVIOUS_LINK
from morphstream.source.folder import FolderSource
from morphstream.store.volume import shared_lock
from tests.layouts import publish_code

FORKS = multiprocessing.get_context("forkserver")  # a process in milliseconds, from one without threads
MORE = {f"app/more{number}.py": f"# {number}\n" * 2000 for number in range(8)}


def main() -> int:
    """Print what the kills interrupted and what they left; return 0 if every deployment was good, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.kill_deploy", description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="how many processes to kill")
    parser.add_argument("--seed", type=int, default=14, help="of the moments")
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        met = kill_deploys(Path(folder), options.times, options.seed)
    print(", ".join(f"{what}: {times}" for what, times in sorted(met.items())))
    seconds = time.perf_counter() - start
    print(f"{options.times} kills in {seconds:.0f} s: every next deployment was good, nothing was left")
    return 0


def kill_deploys(folder: Path, times: int, seed: int) -> Counter[str]:
    """Kill processes that deploy the code of three folders in turns, about half of them while a release is held.

    Args:
        folder: An empty folder for the code and the releases.
        times: Number of processes to kill.
        seed: Of the random moments.

    Returns:
        What killed processes left, and how often.

    Raises:
        AssertionError: A release is incomplete, a held one was removed, or something was left over.
        MorphstreamError: A deployment failed.
    """
    published = {folder / text: publish_code(folder / text, text, MORE) for text in ("one", "two", "three")}
    roots, app, moments, met = list(published), folder / "app", random.Random(seed), Counter[str]()
    FORKS.set_forkserver_preload(["morphstream.deploy.deploy", "tests.container.conftest"])
    deploy_s = _time(app, roots)
    for number in range(times):
        held = (app / CURRENT_LINK).resolve() if moments.random() < 0.5 else None
        met["killed while a release is held" if held else "killed while none is"] += 1
        with shared_lock(held / HELD) if held else nullcontext():
            _kill(app, roots, moments.random() * deploy_s * 4)
            met.update(_remains(app, is_held=held is not None))
            current = check_whole(app / CURRENT_LINK, published)
            for root in roots if held else ():
                put(app, root)
            if held:
                check_whole(held, published)
        put(app, current if number % 2 else roots[number // 2 % 3])  # the code that is current, or any
        check_whole(app / CURRENT_LINK, published)
        _check_nothing_is_left(app)
    return met


def put(app: Path, root: Path) -> bool:
    """Deploy what is published in a folder; return whether it was switched to."""
    return deploy("develop", app, [FolderSource(root)], check=Check.parse("true")).is_new


def _time(app: Path, roots: list[Path]) -> float:
    """Return the duration of a deployment in seconds."""
    start = time.perf_counter()
    for root in roots * 2:
        put(app, root)
    return (time.perf_counter() - start) / (2 * len(roots))


def _kill(app: Path, roots: list[Path], after_s: float) -> None:
    """Start a process that deploys for ever, and kill it `after_s` seconds later."""
    is_deploying = FORKS.Event()
    process = FORKS.Process(target=_deploy_by_turns, args=(app, roots, is_deploying))
    process.start()
    assert is_deploying.wait(60)
    time.sleep(after_s)
    process.kill()
    process.join()


def _deploy_by_turns(app: Path, roots: list[Path], is_deploying: Event) -> None:
    is_deploying.set()
    for root in cycle(roots):
        put(app, root)


def _linked(app: Path) -> set[str]:
    return {(app / link).readlink().name for link in (CURRENT_LINK, PREVIOUS_LINK)}


def _remains(app: Path, *, is_held: bool) -> list[str]:
    """Return what a killed process left behind."""
    found = ["found a staging folder"] if list(app.glob(".staging.*")) else []
    if not is_held and {release.name for release in (app / "releases").iterdir()} - _linked(app):
        found.append("found a release too many")
    return found


def check_whole(release: Path, published: Mapping[Path, ArchiveEntry]) -> Path:
    """Check that a release is complete and every digest right; return the folder it was published in."""
    release = release.resolve(strict=True)
    (root,) = (root for root, entry in published.items() if entry.tar_digest.sha256.startswith(release.name))
    files, code = published[root].files, release / CODE
    assert {path.name for path in release.iterdir()} == {CODE, HELD}
    assert {path.relative_to(code).as_posix() for path in code.rglob("*") if not path.is_dir()} == files.keys()
    for name, digest in files.items():
        verify_file(code / name, digest)
    return root


def _check_nothing_is_left(app: Path) -> None:
    assert {path.name for path in app.iterdir()} == {".lock", CURRENT_LINK, PREVIOUS_LINK, "releases"}
    assert {release.name for release in (app / "releases").iterdir()} == _linked(app)


if __name__ == "__main__":
    sys.exit(main())
