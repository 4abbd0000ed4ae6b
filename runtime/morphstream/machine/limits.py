"""What this process may still have of memory and threads, asked before a library that lacks them crashes the process.

The needs are those of the smallest swap: the kit's models on one thread. More may be needed; that is refused then, in
the words of `morphstream.process.shortage_of`.
"""

import mmap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from morphstream.artifact.errors import ShortageError

THREADS = 16
ADDRESS_BYTES = 1600 << 20  # beside what a command line has; most of it is never used
MEMORY_BYTES = 224 << 20
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def find_shortages(
    *, threads: int = THREADS, address_bytes: int = ADDRESS_BYTES, memory_limits: Sequence[Path] = _MEMORY_LIMITS
) -> list[str]:
    """Return what a swap would lack here, each with the remedy; takes about a millisecond.

    Args:
        threads: How many more are needed.
        address_bytes: How much more may be mapped, as ``ulimit -v`` bounds it.
        memory_limits: Files with the limit of a container's memory in bytes; they need not exist.
    """
    found = list[str]()
    for path in memory_limits:
        with suppress(OSError, ValueError):  # there is none, or "max"
            if (limit := int(path.read_text("ascii"))) < MEMORY_BYTES:
                expected = f"memory: expected {MEMORY_BYTES >> 20} MiB, seen a limit of {limit >> 20} MiB ({path})"
                found.append(f"{expected}; raise the container's limit")
    try:
        mmap.mmap(-1, address_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ).close()
    except OSError:
        expected = f"memory: expected {address_bytes >> 20} MiB more of address space, seen less"
        found.append(f"{expected}; raise the limit (ulimit -v)")
    else:
        if (started := _start(threads)) < threads:
            expected = f"threads: expected {threads} more, seen {started}"
            found.append(f"{expected}; raise the limit (ulimit -u, the container's pids limit) or end other programs")
    return found


def check_limits() -> None:
    """Refuse what `find_shortages` finds."""
    if shortages := find_shortages():
        raise ShortageError("; ".join(shortages))


def _start(most: int) -> int:
    """Return how many threads run at once, no more than a number."""
    end, threads = Event(), list[Thread]()
    try:
        while len(threads) < most:
            thread = Thread(target=end.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError:
        pass
    finally:
        end.set()
    for thread in threads:
        thread.join()
    return len(threads)
