"""Run a queue of programs side by side, show its progress, and stop at a failure or an interrupt."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event

from morphstream.artifact.errors import MorphstreamError
from morphstream.process import Interrupted
from stages.farm.view import FAILED, RUN, View
from stages.farm.workers import Ended, Workers

_REFRESH_S = 0.2


@contextmanager
def stop_event() -> Iterator[Event]:
    """Have SIGINT and SIGTERM set an event in the block: Python drops what is raised in its own work after a fork.

    A KeyboardInterrupt that ends the block is raised as that of the first signal.
    """
    stop, received = Event(), list[int]()

    def set_event(number: int, _: object) -> None:
        received.append(number)
        stop.set()

    with ExitStack() as handlers:
        for number in (signal.SIGINT, signal.SIGTERM):
            handlers.callback(signal.signal, number, signal.signal(number, set_event))
        try:
            yield stop
        except KeyboardInterrupt:
            raise Interrupted(*received[:1]) from None


def run_queue(
    workers: Workers, view: View, stop: Event, start: Callable[[], bool], succeed: Callable[[Ended], None]
) -> None:
    """Run programs until none is left; after a failure, until those that run have ended.

    Args:
        workers: Run the programs.
        view: Shows them.
        stop: Set by a signal handler, as an exception could be raised anywhere.
        start: Starts the programs that can be started now; returns whether others are waiting.
        succeed: Is called for each program that ended with 0.

    Raises:
        KeyboardInterrupt: `stop` was set.
    """
    failed: Ended | None = None
    try:
        while (not stop.is_set() and failed is None and start()) or workers.seconds():
            view.show(workers.seconds(), workers.new_lines())
            ended = workers.ended(_REFRESH_S)
            if stop.is_set():  # an interrupt of a terminal ends the programs too
                break
            view.show(workers.seconds(), workers.new_lines())
            for program in ended:
                if program.code:
                    failed = failed or program
                else:
                    succeed(program)
                view.end(program.name, FAILED if program.code else RUN, program.seconds)
    finally:
        view.show({}, workers.new_lines())
    if stop.is_set():
        raise KeyboardInterrupt
    if failed:
        raise _refusal(failed)


def _refusal(failed: Ended) -> MorphstreamError:
    """Return a program's own refusal; of a bug, its output is printed first."""
    lines = failed.output.strip().splitlines()
    if failed.code == 1 and lines and "Traceback" not in failed.output:  # other lines are how long it has run
        return MorphstreamError(lines[-1])
    print(failed.output, end="", file=sys.stderr)
    return MorphstreamError(f"{failed.name}: expected its program to end with 0, seen {failed.code}; see above")
