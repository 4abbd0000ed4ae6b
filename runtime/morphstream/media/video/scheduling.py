"""Keep the scheduling of this process's threads while a library starts its own.

SVT-AV1, run by root, gives each thread that it starts, and the thread that calls it, the highest real-time priority:
findings/svtav1_realtime_threads.sh. Such threads, and every process that is started by them, keep all others from
running.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_native_id

_TASKS = Path("/proc/self/task")


@contextmanager
def usual_scheduling() -> Iterator[None]:
    """Give threads that start in this block the caller's scheduling, and those that were there their own, on Linux."""
    before = _schedulings()
    own = before.get(get_native_id())
    try:
        yield
    finally:
        for thread, seen in _schedulings().items():
            if own and seen != (usual := before.get(thread, own)):
                with suppress(OSError):  # it has ended
                    os.sched_setscheduler(thread, usual[0], os.sched_param(usual[1]))


def _schedulings() -> dict[int, tuple[int, int]]:
    """Return the policy and the priority of each thread; nothing where the system has no such files."""
    found = dict[int, tuple[int, int]]()
    for path in _TASKS.iterdir() if _TASKS.exists() else ():
        with suppress(OSError):
            thread = int(path.name)
            found[thread] = os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority
    return found
