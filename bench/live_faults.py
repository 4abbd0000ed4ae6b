"""Cause faults of live streams, one after the other: of commands, of inputs and outputs, of pages.

Promised: 57 faults; after each the stream goes on, or it ends in one line that says why; no thread and no descriptor is
left. The faults themselves are in `bench/faults_of_commands.py`, `bench/faults_of_inputs.py`,
`bench/faults_of_outputs.py` and `bench/faults_of_pages.py`. Nothing leaves this machine.
"""

import argparse
import gc
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from pathlib import Path

import cv2
import numpy as np

from bench import faults_of_commands, faults_of_inputs, faults_of_outputs, faults_of_pages
from bench.faults import Fault, Place, warm_up
from morphstream.boot.service import ModelDownloadService
from morphstream.face.types import Identity
from morphstream.pipeline import SwapPipeline
from morphstream.worker.worker import SwapWorker

GROUPS: dict[str, Sequence[Fault]] = {
    "commands": faults_of_commands.FAULTS,
    "inputs": faults_of_inputs.FAULTS,
    "outputs": faults_of_outputs.FAULTS,
    "pages": faults_of_pages.FAULTS,
}
_LEFT_S = 15.0  # what waits in the network ends at its time-out


def main() -> int:
    """Print how each fault ended; return 0 if each did as promised, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_faults", description=__doc__)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS), help="which (all)")
    parser.add_argument("--only", default="", help="those whose name has these letters")
    parser.add_argument("--demo", type=Path, default=Path("build/demo"), help="folder of `make demo` (%(default)s)")
    args = parser.parse_args()
    resource_tracker.ensure_running()  # which stays, as processes that are started have it
    logging.getLogger("aioice").setLevel(logging.ERROR)
    faults = [fault for group in args.groups for fault in GROUPS[group] if args.only in _name(fault)]
    demo, wrong = args.demo.resolve(), 0
    with (
        tempfile.TemporaryDirectory() as folder,
        SwapPipeline(demo / "store") as pipeline,
        ModelDownloadService(demo / "store", f"folder:{folder}/nothing") as downloads,
        SwapWorker(pipeline, downloads=downloads) as worker,
    ):
        place = Place(demo=demo, folder=Path(folder), worker=worker, identity=_identity(pipeline, demo))
        warm_up(place)
        for fault in faults:
            wrong += not _holds(fault, place)
    print(f"{len(faults)} faults, {wrong} of them not as promised")
    return int(wrong > 0)


def _identity(pipeline: SwapPipeline, demo: Path) -> Identity:
    source = cv2.imread(str(demo / "source.png"))
    assert source is not None
    return pipeline.identify(np.asarray(source, np.uint8))


def _holds(fault: Fault, place: Place) -> bool:
    """Cause a fault, print how it ended, and return whether it was as promised."""
    threads, descriptors, begun = set(threading.enumerate()), _descriptors(), time.monotonic()
    try:
        seen, is_right = fault(place), True
    except Exception as error:  # noqa: BLE001  # whatever it is, the next fault is caused
        seen, is_right = f"WRONG: {type(error).__name__}: {error}", False
    took_s = time.monotonic() - begun
    _wait_until(lambda: set(threading.enumerate()) <= threads and len(_descriptors()) <= len(descriptors))
    if left := [thread.name for thread in set(threading.enumerate()) - threads]:
        seen, is_right = f"{seen}; LEFT: {', '.join(left)}", False
    if left := sorted(_descriptors() - descriptors):
        seen, is_right = f"{seen}; LEFT: {', '.join(left)}", False
    print(f"{_name(fault)} ({took_s:.1f} s): {seen}", flush=True)
    return is_right


def _wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + _LEFT_S
    while not holds() and time.monotonic() < end:
        gc.collect()
        time.sleep(0.05)


def _descriptors() -> set[str]:
    """Return what the open descriptors of this process are; sockets and pipes by their number in the system."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of the listing
            found.add(f"{path.readlink()}")
    return found


def _name(fault: Fault) -> str:
    return fault.__name__.replace("_", " ").strip()


if __name__ == "__main__":
    sys.exit(main())
