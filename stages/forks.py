"""Run calls side by side, each in a process forked from this one, which has its libraries loaded already."""

import gc
import multiprocessing
import sys
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from multiprocessing.synchronize import Semaphore
from typing import Self

from morphstream.artifact.errors import MorphstreamError
from morphstream.process import raise_at_signals
from stages.farm.workers import end_with_parent
from stages.program import line_of

_CONTEXT = multiprocessing.get_context("fork")
_GRACE_S = 10.0
_INTERRUPTED = 130


class Forks:
    """Holds the processes; leaving it interrupts those that run, and waits for them.

    A process is forked when its call is started, and runs it when fewer than `at_once` others run: what this process
    does meanwhile, such as starting threads, can't get into one that is forked later.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once, self._free = at_once, _CONTEXT.Semaphore(at_once)
        self._running: dict[str, tuple[ForkProcess, Connection]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process, _connection in self._running.values():
            process.terminate()
        for process, connection in self._running.values():
            process.join(_GRACE_S)
            process.kill()
            process.join()
            connection.close()

    def start(self, name: str, call: Callable[[], None]) -> None:
        """Start a call, by a name that says in a refusal whose it is."""
        receiver, sender = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(target=_run, args=(call, self._free, sender), name=name, daemon=True)
        sys.stdout.flush()
        gc.freeze()  # so that no collection writes into memory that is shared with this process
        process.start()
        sender.close()
        self._running[name] = process, receiver

    def wait(self, names: Collection[str] | None = None) -> None:
        """Wait until some calls have ended, by default all of them.

        Raises:
            MorphstreamError: A call refused, or its process ended otherwise.
        """
        while waited := {name: one for name, one in self._running.items() if names is None or name in names}:
            ended = wait([process.sentinel for process, _ in waited.values()])
            for name, (process, connection) in waited.items():
                if process.sentinel in ended:
                    process.join()
                    del self._running[name]
                    with connection:
                        _check(name, process.exitcode, connection)


def _check(name: str, code: int | None, connection: Connection) -> None:
    if code == 0:
        return
    try:
        refusal = str(connection.recv())
    except EOFError:
        seen = f"expected its process to end with 0, seen {code}"
        raise MorphstreamError(f"{name}: {seen}; see above, or free memory if it was killed") from None
    raise MorphstreamError(refusal)


def _run(call: Callable[[], None], free: Semaphore, sender: Connection) -> None:
    end_with_parent()
    raise_at_signals()  # so that what was begun is removed
    try:
        with free:
            call()
    except (MorphstreamError, OSError) as error:
        sender.send(line_of(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
