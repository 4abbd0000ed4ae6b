"""Read videos that are damaged, odd or hostile, each in a process of its own, and measure time and memory.

Promised: each of more than 40 that are made by code is read as far as it can be, or refused in one line; so is each
that is mutated at random. None takes more than 10 s, or more than 1 GB.
"""

import argparse
import multiprocessing
import os
import random
import resource
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from morphstream.artifact.errors import VideoError
from morphstream.media.video.open import MAX_PIXELS
from morphstream.media.video.read import VideoSource
from tests.media.video.odd import DAMAGED, HOSTILE, ODD

MOST_S, MOST_MB = 10.0, 1000.0


class Outcome(NamedTuple):
    """What came of a video: ``read``, ``refused`` or what failed, in words, and what it took."""

    kind: str
    words: str
    seconds: float = 0
    megabytes: float = 0


def main() -> int:
    """Print what came of the videos; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutated_videos", description=__doc__)
    parser.add_argument("--mutated", type=int, default=300, help="videos that are mutated beside (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (%(default)s)")
    args = parser.parse_args()
    chosen, known = random.Random(args.seed), DAMAGED | ODD | HOSTILE
    made, mutated = dict[str, Outcome](), list[Outcome]()
    with tempfile.TemporaryDirectory() as folder:
        whole = []
        for number, (name, odd) in enumerate(known.items()):
            (place := Path(folder) / str(number)).mkdir()
            path = odd.make(place)
            made[name] = _read_apart(path, odd.max_pixels)
            whole += [path] if path.is_file() and path.stat().st_size > 1000 else []
            expected = "refused" if odd.frames is None else "read"
            print(f"{'ok' if made[name].kind == expected else 'WRONG':5}", _line(name, made[name]))
        for number in range(args.mutated):
            path = chosen.choice(whole)
            (other := path.with_stem("mutated")).write_bytes(_mutated(path.read_bytes(), chosen))
            mutated.append(_read_apart(other))
            if mutated[-1].kind not in ("read", "refused"):
                print("WRONG", _line(f"mutation {number}, of {path.name}", mutated[-1]))
    outcomes = [*made.values(), *mutated]
    slowest, most = max(one.seconds for one in outcomes), max(one.megabytes for one in outcomes)
    print(f"{len(made)} made: {dict(Counter(one.kind for one in made.values()))};", end=" ")
    print(f"{len(mutated)} mutated: {dict(Counter(one.kind for one in mutated))};", end=" ")
    print(f"the slowest {slowest:.2f} s, at most {most:.0f} MB")
    are_right = all(made[name].kind == ("refused" if odd.frames is None else "read") for name, odd in known.items())
    are_right &= all(one.kind in ("read", "refused") for one in mutated)
    return int(not are_right or slowest > MOST_S or most > MOST_MB)


def _line(name: str, outcome: Outcome) -> str:
    return f"{outcome.seconds:5.2f} s {outcome.megabytes:5.0f} MB  {name}: {outcome.words}"


def _read_apart(path: Path, max_pixels: int = MAX_PIXELS) -> Outcome:
    """Read a video in a process of its own, which is ended if it takes too long."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(path, max_pixels, there))
    process.start()
    there.close()
    try:
        outcome: Outcome = here.recv() if here.poll(2 * MOST_S) else Outcome("hung", "", 2 * MOST_S)
    except EOFError:
        process.join()
        outcome = Outcome("died", f"exit status {process.exitcode}")
    process.kill()
    process.join()
    here.close()
    return outcome


def _read(path: Path, max_pixels: int, there: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    started = time.perf_counter()
    try:
        with VideoSource(path, max_pixels=max_pixels) as source:
            count = 0
            while source.read():
                count += 1
            kind, words = "read", "; ".join((f"{count} frames, {source.lost} lost", *source.notes))
    except VideoError as error:
        kind, words = "refused", str(error).replace(str(path), path.name)
    except Exception as error:  # noqa: BLE001  # reported as what it is
        kind, words = type(error).__name__, str(error)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    there.send(Outcome(kind, words, time.perf_counter() - started, megabytes))


def _mutated(whole: bytes, chosen: random.Random) -> bytes:
    """Return a file that is cut, changed, lengthened or shortened somewhere, often in its first or last bytes."""
    data = bytearray(whole)
    size = len(data)
    place = chosen.choice((chosen.randrange(size), chosen.randrange(600), max(0, size - chosen.randrange(1200))))
    match chosen.randrange(5):
        case 0:
            del data[place:]
        case 1:
            for _ in range(chosen.randrange(1, 40)):
                data[chosen.randrange(len(data))] = chosen.randrange(256)
        case 2:
            for _ in range(chosen.randrange(1, 8)):
                value = chosen.choice((0, 127, 128, 255, chosen.randrange(256)))
                data[(place + chosen.randrange(64)) % size] = value
        case 3:
            data[place:place] = chosen.randbytes(chosen.randrange(1, 64))
        case 4:
            del data[place : place + chosen.randrange(1, 64)]
    return bytes(data)


if __name__ == "__main__":
    raise SystemExit(main())
