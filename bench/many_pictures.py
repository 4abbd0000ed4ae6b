"""Time a folder of pictures in one command beside a command for each, of this version or an earlier one.

Promised: 100 pictures of a folder take at most a third of the time of 100 commands of version 860affd; ``--against``
names a built checkout of it.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
RATIO = 3.0


def main() -> int:
    """Print the times; return 0 if the promise holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.many_pictures", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="pictures (%(default)s)")
    parser.add_argument("--against", type=Path, default=HERE, metavar="CHECKOUT", help="whose commands are counted")
    args = parser.parse_args()
    against = args.against.resolve()
    source = HERE / "build/demo/source.png"
    with tempfile.TemporaryDirectory() as folder:
        (pictures := Path(folder) / "in").mkdir()
        for number in range(args.count):
            shutil.copyfile(source, pictures / f"{number:03}.png")
        together = _seconds(HERE, source, pictures, Path(folder) / "out")
        each = sum(
            _seconds(against, source, path, Path(folder) / f"each-{path.name}") for path in sorted(pictures.iterdir())
        )
        count = len(list((Path(folder) / "out").iterdir()))
    print(f"{count} pictures: {together:.1f} s together, {each:.1f} s one by one, {each / together:.1f} times as fast")
    return int(each / together < RATIO or count != args.count)


def _seconds(checkout: Path, source: Path, target: Path, output: Path) -> float:
    """Return the seconds of a command in a checkout, with this Python's libraries."""
    names = [str(path) for path in (source, target, "-o", output)]
    command = [sys.executable, "-m", "morphstream", "swap", *names, "--store", "build/demo/store"]
    started = time.perf_counter()
    subprocess.run(
        command,
        cwd=checkout,
        env={"PYTHONPATH": str(checkout / "runtime"), "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    raise SystemExit(main())
