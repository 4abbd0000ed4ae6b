"""Open a store's engines, and tell of it over HTTP until the process is told to end."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.boot.report import BootReport
from morphstream.health.metrics import Metrics
from morphstream.health.server import HealthServer

GRACE_S = 5.0  # for engines to close, or to open so far that they can be; containers are given 10 s
_TOLD_BY = {signal.SIGTERM, signal.SIGINT}
_POLL_S = 1.0
_log = logging.getLogger("morphstream.health")


def serve(store: Path, *, swap_model: str, host: str, port: int, boot_report: Path | None = None) -> None:
    """Be alive at once, ready while the engines are open, and return at SIGTERM or SIGINT.

    It is for the main thread of a process that has no other yet and ends with it: once told, the process hears of these
    signals no more, and ends with 0 after `GRACE_S` whatever an engine is at.

    Args:
        store: Folder of the store.
        swap_model: The model that swaps.
        host: To listen on.
        port: So, too; 0 for any that is free.
        boot_report: What `morphstream boot --json` said, for the metrics; None for nothing. One that can't be read is
            a warning.

    Raises:
        NoEngineError: The store is empty or damaged, is for another machine, or lacks a model.
        SessionError: An engine can't be opened, or the model doesn't swap.
        OSError: The port is taken, or the store can't be read.
    """
    metrics = Metrics()
    if boot_report is not None:
        _take(boot_report, metrics)
    with _told() as told, HealthServer(metrics, host=host, port=port) as server:
        metrics.set_unready("the engines are being opened")
        print(f"{server.url}: alive; opening {store}", flush=True)
        start = time.perf_counter()
        from morphstream.face.swapper import FaceSwapper  # here, as it takes long to load

        with FaceSwapper.open(store, swap_model=swap_model):
            metrics.set_boot_step("open", time.perf_counter() - start)
            if not told.is_set():
                metrics.set_ready()
                print(f"{server.url}: ready with {swap_model}", flush=True)
            while not told.wait(_POLL_S):
                if not server.is_serving:
                    raise RuntimeError("the health server's thread has ended")
            metrics.set_unready("the process is ending")


def _take(boot_report: Path, metrics: Metrics) -> None:
    """Have metrics tell what a boot did, as its report says."""
    try:
        metrics.record_boot(BootReport.from_json(boot_report.read_bytes()))
    except OSError as error:
        _log.warning("%s: expected a boot report, seen %s; the metrics lack it", boot_report, error.strerror)
    except (MorphstreamError, ValueError) as error:
        _log.warning("%s: %s; the metrics lack it", boot_report, " ".join(str(error).split()))


@contextmanager
def _told() -> Iterator[threading.Event]:
    """Yield what is set at SIGTERM or SIGINT.

    A thread waits for them: a handler would run when the library call that opens an engine has ended, and what it
    raised could be lost in there.
    """
    told, ended = threading.Event(), threading.Event()

    def wait() -> None:
        signal.sigwait(_TOLD_BY)
        told.set()
        if not ended.wait(GRACE_S):
            os._exit(0)  # nothing is lost: an engine is only read

    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD_BY)  # in every thread that starts from now on, too
    try:
        threading.Thread(target=wait, name="morphstream-told", daemon=True).start()
        yield told
    finally:
        ended.set()
        if not told.is_set():
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
