"""Boot: from a source to a store that holds the engines of one target, in one pass."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.manifest import ArchivesManifest
from morphstream.artifact.target import CacheKey
from morphstream.store.machine import Machine, probe_machine
from morphstream.store.select import select
from morphstream.store.source import LocalSource, Source
from morphstream.store.store import Store

ARCHIVES = "archives.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootReport:
    """What a boot did.

    Attributes:
        cache_key: Of the engines that the store holds now.
        archive: Where they came from.
        was_good: They were there already, and nothing was touched.
        steps: Name and seconds of each step, in order.
    """

    cache_key: CacheKey
    archive: str
    was_good: bool
    steps: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        done = "was there already" if self.was_good else "booted"
        steps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.steps)
        return f"{self.cache_key} from {self.archive} {done}: {steps}"


def boot(
    store: Store | str | os.PathLike[str],
    *,
    target: str = "auto",
    source: Source | str | os.PathLike[str] | None = None,
    machine: Machine | None = None,
) -> BootReport:
    """Make a store hold the engines of a target; on any error it holds what it held before.

    Args:
        store: Where to put them.
        target: As `select` takes it.
        source: Where to take them from; None for the environment's MORPHSTREAM_SOURCE, else for ``build``.
        machine: What they should run on; None for this one.

    Raises:
        ValueError: The target is no name of one.
        NoEngineError: No archive is published that fits the machine and the target.
        FetchError: The source can't give the manifest or the archive.
        ManifestError: A manifest breaks its format, or two contradict each other.
        UnsafeArchiveError: The archive is broken, or holds other files than it should.
        DigestMismatchError: The archive, or a file in it, holds other bytes than it should.
        OSError: The archive can't be read, or the store can't be written.
    """
    store = store if isinstance(store, Store) else Store(store)
    steps: list[tuple[str, float]] = []
    with _timed(steps, "probe"):
        machine = machine or probe_machine()
    with _timed(steps, "select"):
        source = _source_of(source)
        archives = _read_archives(source).archives
        names = {entry.cache_key: name for name, entry in archives.items() if entry.cache_key}
        key = select(machine, names, target)
        name = names[key]
    with _timed(steps, "install"):
        is_new = store.install(name, archives[name], source)
    return BootReport(cache_key=key, archive=name, was_good=not is_new, steps=tuple(steps))


def _source_of(source: Source | str | os.PathLike[str] | None) -> Source:
    if source is None:
        source = os.environ.get("MORPHSTREAM_SOURCE") or "build"
    return LocalSource(Path(source)) if isinstance(source, str | os.PathLike) else source


def _read_archives(source: Source) -> ArchivesManifest:
    try:
        return ArchivesManifest.from_json(source.read_manifest(ARCHIVES))
    except ManifestError as error:
        raise ManifestError(error.where, f"{source}, {ARCHIVES}: {error.message}") from error


@contextmanager
def _timed(steps: list[tuple[str, float]], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    steps.append((name, time.perf_counter() - start))
