"""Open a store's engines, and answer over HTTP whether they are ready, until a signal ends the process."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.artifact.regular_file import read_regular
from morphstream.boot.report import BootReport
from morphstream.health.metrics import Metrics
from morphstream.health.server import HealthServer
from morphstream.source.source import SMALL_BYTES_MAX

if TYPE_CHECKING:
    from morphstream.face.types import FoundFaces
    from morphstream.frame import Frame

GRACE_S = 5.0  # for engines to close, or to open so far that they can be; containers are given 10 s
_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_log = logging.getLogger("morphstream.health")


def warm_up(steps: "tuple[Callable[[Frame], FoundFaces], Callable[[FoundFaces], Frame]]") -> None:
    """Call both steps of a pipeline for a grey frame, and swap a face in it whatever was found."""
    import numpy as np  # here, as these take long to load

    from morphstream.face.swap import TEMPLATE
    from morphstream.face.types import Face, Identity

    (find, swap), side = steps, 256
    found = find(np.full((side, side, 3), 128, np.uint8))
    face = Face(box_xyxy=np.array([0.0, 0.0, side, side]), points5=TEMPLATE * side, score=1.0)
    identity = Identity(embedding=np.eye(1, 512, dtype=np.float32)[0])
    swap(replace(found, faces=[face], assignment={0: identity}))


@contextmanager
def open_warm(store: Path, swap_model: str) -> Iterator[None]:
    """Open and warm up the engines of a store; errors as of `SwapPipeline`."""
    from morphstream.pipeline import SwapPipeline  # here, as it takes long to load

    with SwapPipeline(store, swap_model=swap_model) as pipeline:
        warm_up(pipeline.steps({}))
        yield


def serve(
    store: Path,
    *,
    swap_model: str,
    host: str,
    port: int,
    boot_report: Path | None = None,
    say: Callable[[str, str], None],
    open_pipeline: Callable[[Path, str], AbstractContextManager[object]] = open_warm,
) -> None:
    """Be alive at once, ready once a frame was swapped, and return at SIGTERM or SIGINT.

    It is for the main thread of a process that has no other yet and ends with it: after the first of these signals the
    process ignores them, and ends with 0 after `GRACE_S` whatever an engine does.

    Args:
        store: Folder of the store.
        swap_model: The model that swaps.
        host: Name or address to listen on.
        port: To listen on; 0 for any that is free.
        boot_report: What `morphstream boot --json` printed, for the metrics; a warning where it can't be read.
        say: Gets the server's address and state: ``alive`` at once, then ``ready``.
        open_pipeline: Opens the store's engines; its errors are raised here.

    Raises:
        OSError: The port is taken.
    """
    metrics, start = Metrics(), time.perf_counter()
    if boot_report:
        record_boot_file(metrics, boot_report)
    with _stop_event() as stop, HealthServer(metrics, host=host, port=port) as server:
        metrics.set_unready("the engines are being opened")
        say(server.url, "alive")
        with open_pipeline(store, swap_model):
            metrics.set_boot_step("open", time.perf_counter() - start)
            if not stop.is_set():
                metrics.set_ready()
                say(server.url, "ready")
            stop.wait()
            metrics.set_unready("the process is ending")


def record_boot_file(metrics: Metrics, boot_report: Path) -> None:
    """Record what `morphstream boot --json` printed to a file; where that can't be read, a warning says so."""
    try:
        metrics.record_boot(BootReport.from_json(read_regular(boot_report, SMALL_BYTES_MAX)))
    except OSError as error:
        _log.warning("%s: expected a boot report, seen %s; the metrics lack it", boot_report, error.strerror)
    except (MorphstreamError, ValueError) as error:
        _log.warning("%s: %s; the metrics lack it", boot_report, message_of(error))


@contextmanager
def _stop_event() -> Iterator[threading.Event]:
    """Yield an event that is set at SIGTERM or SIGINT.

    A thread waits for them: a handler would run when the library call that opens an engine has ended, and what it
    raised could be lost in there.
    """
    stop, has_ended = threading.Event(), threading.Event()

    def wait() -> None:
        signal.sigwait(_STOP_SIGNALS)
        stop.set()
        if not has_ended.wait(GRACE_S):
            os._exit(0)  # nothing is lost: an engine is only read

    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)  # in every thread that starts from now on, too
    waiting = threading.Thread(target=wait, name="morphstream-signals", daemon=True)
    try:
        waiting.start()
        yield stop
    finally:
        has_ended.set()
        if not stop.is_set() and waiting.ident is not None:
            signal.pthread_kill(waiting.ident, signal.SIGTERM)  # ends its wait
            waiting.join()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
