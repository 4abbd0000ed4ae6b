"""Read pictures that something went wrong with, and measure the slowest and the memory of all.

Promised: each of 500 is read or refused in one line within 2 s, and the process never holds more than 300 MB.
"""

import argparse
import os
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

from morphstream.artifact.errors import ImageError
from morphstream.media.read import read_picture
from tests.media.mutations import mutated_pictures

MOST_S, MOST_MB = 2.0, 300.0


def main() -> int:
    """Print what came of the pictures; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutated_pictures", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="pictures (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (%(default)s)")
    args = parser.parse_args()
    pictures = [*mutated_pictures(args.count, args.seed)]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries print of damage
    counts, slowest = Counter[str](), 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        for _, data in pictures:
            path.write_bytes(data)
            started = time.perf_counter()
            counts[_read(path)] += 1
            slowest = max(slowest, time.perf_counter() - started)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{counts['read']} read, {counts['refused']} refused; the slowest {slowest:.2f} s, at most {most:.0f} MB")
    return int(slowest > MOST_S or most > MOST_MB)


def _read(path: Path) -> str:
    try:
        read_picture(path)
    except ImageError as error:
        if len(str(error).splitlines()) != 1:
            raise
        return "refused"
    return "read"


if __name__ == "__main__":
    raise SystemExit(main())
