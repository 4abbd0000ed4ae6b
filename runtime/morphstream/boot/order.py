"""The order of a boot: what it tries first, and what next.

1. Engines that suit the machine best, from each source in the order in which the sources are given; then the next best
   from each source. Those for a GPU's own arch come before portable ones.
2. Engines that the pipeline's builder makes here, of the best kind.
3. On a machine with a GPU, engines for its CPU, from each source.

What the store holds already ends the list: nothing worse is tried. A target that is named, other than ``auto``, is
tried alone: from each source, and then built. Which sources are asked at all is decided by `morphstream.boot.boot`.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from morphstream.artifact.target import CacheKey
from morphstream.machine.probe import Machine
from morphstream.machine.select import candidates, exact
from morphstream.source.publication import Publication

T = TypeVar("T")


def attempts_in_order(
    machine: Machine,
    target: str,
    publications: Sequence[Publication],
    *,
    stopped: Collection[str],
    current: CacheKey | None,
    install: Callable[[CacheKey | None, Publication], T],
    build: Callable[[CacheKey], T] | None,
) -> list[Callable[[], T]]:
    """Return what a boot tries, in order, each to be called.

    Args:
        machine: What the engines should run on.
        target: A target, as `check_target` takes it.
        publications: What each source publishes, in the order of the sources.
        stopped: Builders whose engines can't run on the machine, as its findings show.
        current: Cache key of what the store holds, if that suits the target.
        install: Installs the engines of a cache key from a source; None is for those there that fit the target.
        build: Builds the engines of a cache key here; None for no builds.
    """
    best: Sequence[CacheKey | None] = (None,)
    last = list[CacheKey]()
    if target != "auto":
        built = exact(machine, target)
    else:
        keys = [key for key in candidates(machine) if key.builder not in stopped or key == current]
        keys = keys[: keys.index(current) + 1] if current else keys
        last = [key for key in keys if key.builder == "openvino" and machine.gpu_archs]
        best = own = [key for key in keys if key not in last]
        built = next(iter(own), None)
    return [
        *(partial(install, key, publication) for key in best for publication in publications),
        *([partial(build, built)] if build and built else []),
        *(partial(install, key, publication) for key in last for publication in publications),
    ]
