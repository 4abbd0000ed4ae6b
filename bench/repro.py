"""Compare `dvc repro` of two checkouts in turns: from nothing, with dvc.lock files and without; with nothing to do.

Each runs in copies of a checkout's tracked files, with its own .venv and .cache. The seconds are the best of the
rounds; processor seconds are those of all programs together. In the end `bench.same_bytes` compares the artifacts.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_NO_OPS = 3  # a round


@dataclass(frozen=True, slots=True)
class Took:
    """How long a run took, in seconds of the clock and of processors."""

    wall_s: float
    cpu_s: float


def main() -> int:
    """Print a line for each kind of run; return 0 where the artifacts are the same."""
    parser = argparse.ArgumentParser(prog="python -m bench.repro", description=__doc__)
    parser.add_argument("before", type=Path, help="the other checkout, set up by its `make`")
    parser.add_argument("after", type=Path, nargs="?", default=Path(), help="(this one)")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="(%(default)s)")
    parser.add_argument("--lock", choices=("present", "absent", "both"), default="both", help="(%(default)s)")
    options = parser.parse_args()
    kinds = ("present", "absent") if options.lock == "both" else (options.lock,)
    with tempfile.TemporaryDirectory() as folder:
        copies = {
            (kind, path): copy(path.resolve(), Path(folder) / kind / str(number), is_locked=kind == "present")
            for kind in kinds
            for number, path in enumerate((options.before, options.after))
        }
        times: dict[tuple[str, Path], list[Took]] = {}
        for _ in range(options.rounds):
            for (kind, path), here in copies.items():
                for what, took in runs(here):
                    times.setdefault((f"{what}, dvc.lock {kind}", path), []).append(took)
        for what in dict.fromkeys(what for what, _ in times):
            print(line(what, times[what, options.before], times[what, options.after]))
        builds = [str(copies[kinds[0], path] / "build") for path in (options.before, options.after)]
        return subprocess.run([sys.executable, "-m", "bench.same_bytes", *builds], check=False).returncode


def line(what: str, before: list[Took], after: list[Took]) -> str:
    """Return the best seconds of two checkouts, and what share the second's are of the first's."""
    figures = []
    for name, of in (("", lambda took: took.wall_s), (" of processors", lambda took: took.cpu_s)):
        seconds: list[float] = [min(map(of, times)) for times in (before, after)]
        figures.append(f"{seconds[0]:.1f} s{name} -> {seconds[1]:.1f} s ({seconds[1] / seconds[0]:.2f})")
    return f"{what}: {', '.join(figures)}"


def copy(checkout: Path, folder: Path, *, is_locked: bool) -> Path:
    """Copy a checkout's tracked files as they are now into a repository of its own."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=checkout, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listing.split("\0")):
        if (checkout / name).is_file() and (is_locked or Path(name).name != "dvc.lock"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkout / name, folder / name)
    (folder / ".venv").symlink_to(checkout / ".venv")
    shutil.copytree(checkout / ".cache", folder / ".cache", ignore=shutil.ignore_patterns("kit-*"))
    for command in (["init"], ["add", "--all"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "All"]):
        subprocess.run(["git", *command], cwd=folder, capture_output=True, check=True)
    return folder


def runs(folder: Path) -> Iterator[tuple[str, Took]]:
    """Run `dvc repro` from nothing, then with nothing to do."""
    subprocess.run(["git", "checkout", "--quiet", "."], cwd=folder, check=True)
    for path in (*(folder / name for name in ("build", ".dvc/cache", ".dvc/tmp")), *folder.glob(".cache/kit-*")):
        shutil.rmtree(path, ignore_errors=True)
    untracked = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard", "-z"],
        cwd=folder,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, untracked.split("\0")):
        if Path(name).name == "dvc.lock":
            (folder / name).unlink()
    yield "from nothing", timed(lambda: repro(folder))
    for _ in range(_NO_OPS):
        yield "nothing to do", timed(lambda: repro(folder))


def repro(folder: Path) -> None:
    """Run `dvc repro` with the copy's own environment, and DVC's record of files in the copy, too."""
    settings = {
        "PATH": f"{folder / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
        "DVC_SITE_CACHE_DIR": f"{folder}.site",
    }
    subprocess.run(["dvc", "repro", "--quiet"], cwd=folder, env=os.environ | settings, check=True, capture_output=True)


def timed(run: Callable[[], None]) -> Took:
    """Return how long a run takes, with all programs that it starts."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run()
    wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    sys.exit(main())
