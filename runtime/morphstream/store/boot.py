"""Boot: a store that holds the engines of one target, from the first source that can give them, in one pass.

Sources are asked in their order: an archive baked into an image first, then the hub. One on this machine is asked
whether it has another archive than the store; one that isn't, only when the store has nothing to run.
"""

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from morphstream.artifact.errors import (
    DigestMismatchError,
    FetchError,
    ManifestError,
    NoEngineError,
    UnsafeArchiveError,
)
from morphstream.artifact.manifest import ArchivesManifest
from morphstream.artifact.target import CacheKey
from morphstream.store.machine import Machine, probe_machine
from morphstream.store.select import select
from morphstream.store.source import Source, source_of
from morphstream.store.store import Installed, Store

ARCHIVES = "archives.json"


_ELSEWHERE = (FetchError, NoEngineError, DigestMismatchError, UnsafeArchiveError, ManifestError)  # another may be right
_log = logging.getLogger("morphstream.boot")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootStep:
    """One thing that a boot did.

    Attributes:
        name: Such as ``install``.
        seconds: How long it took.
        reason: What came of it, in one line.
    """

    name: str
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootReport:
    """What a boot did.

    Attributes:
        cache_key: Of the engines that the store holds now.
        archive: Where they came from.
        was_good: They were there already, and nothing was touched.
        steps: In their order.
    """

    cache_key: CacheKey
    archive: str
    was_good: bool
    steps: tuple[BootStep, ...]

    def __str__(self) -> str:
        done = "was there already" if self.was_good else "booted"
        steps = ", ".join(f"{step.name} {step.seconds:.2f} s" for step in self.steps)
        return f"{self.cache_key} from {self.archive} {done}: {steps}"

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self) | {"cache_key": str(self.cache_key)}, indent=2)


def boot(
    store: Store | str | os.PathLike[str],
    *,
    target: str = "auto",
    source: Source | str | os.PathLike[str] | Sequence[Source | str | os.PathLike[str]] | None = None,
    machine: Machine | None = None,
    verify: bool = False,
    offline: bool = False,
    update: bool = False,
) -> BootReport:
    """Make a store hold the engines of a target; on any error it holds what it held before.

    Args:
        store: Where to put them.
        target: As `select` takes it.
        source: Where to take them from, or several in their order; None for the environment's MORPHSTREAM_SOURCE, with
            commas between several, else for ``build``.
        machine: What they should run on; None for this one.
        verify: Compute every digest of what the store holds; it is booted anew where one differs.
        offline: Ask no source that isn't on this machine.
        update: Ask those also when the store has engines to run.

    Raises:
        ValueError: The target is no name of one, or a source is none.
        NoEngineError: No archive is published that fits the machine and the target.
        FetchError: No source can give the manifest or the archive.
        ManifestError: A manifest breaks its format, or two contradict each other.
        UnsafeArchiveError: The archive is broken, or holds other files than it should.
        DigestMismatchError: The archive, or a file in it, holds other bytes than it should.
        OSError: The archive can't be read, or the store can't be written.
    """
    store, steps = store if isinstance(store, Store) else Store(store), list[BootStep]()
    with _timed(steps, "probe") as said:
        machine = machine or probe_machine()
        said.append(", ".join((machine.arch, *machine.gpu_archs)))
    with _timed(steps, "store") as said:
        held = _held(store, machine, target, said, verify=verify)
    places = _sources_of(source)
    for place in places:
        is_remote = getattr(place, "is_remote", False)
        if held and is_remote and not update:
            break
        try:
            if is_remote and offline:
                raise FetchError(
                    f"{place}: expected a source on this machine, seen one elsewhere; boot without offline"
                )
            return _booted(store, place, machine, target, steps)
        except _ELSEWHERE as error:
            if place is places[-1]:
                raise
            _log.warning("%s", error)
    if held is None:
        raise NoEngineError("boot: expected a source to boot from, seen none; name one")
    return BootReport(cache_key=held.cache_key, archive=held.archive, was_good=True, steps=tuple(steps))


def _held(store: Store, machine: Machine, target: str, said: list[str], *, verify: bool) -> Installed | None:
    """Return what the store holds if it serves for the target; say why it doesn't."""
    try:
        installed = store.current()
        select(machine, [installed.cache_key], target)
    except NoEngineError as error:
        said.append(str(error))
        return None
    try:
        if verify:
            store.verify()
    except (DigestMismatchError, NoEngineError) as error:
        store.condemn(installed)  # so that it is booted again
        said.append(str(error))
        return None
    said.append(f"{installed.cache_key} is good{', every digest' if verify else ', by sizes'}")
    return installed


def _booted(store: Store, place: Source, machine: Machine, target: str, steps: list[BootStep]) -> BootReport:
    """Boot from one source."""
    with _timed(steps, "select") as said:
        archives = _read_archives(place).archives
        names = {entry.cache_key: name for name, entry in archives.items() if entry.cache_key}
        key = select(machine, names, target)
        name = names[key]
        said.append(f"{name} of {place}")
    with _timed(steps, "install") as said:
        is_new = store.install(name, archives[name], place)
        said.append("unpacked and verified" if is_new else "the store has it already")
    return BootReport(cache_key=key, archive=name, was_good=not is_new, steps=tuple(steps))


def _sources_of(
    source: Source | str | os.PathLike[str] | Sequence[Source | str | os.PathLike[str]] | None,
) -> list[Source]:
    if source is None:
        source = [part for part in (os.environ.get("MORPHSTREAM_SOURCE") or "build").split(",") if part.strip()]
    several = source if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    return [_source_of(one) for one in several]


def _source_of(source: Source | str | os.PathLike[str] | None) -> Source:
    if source is None:
        source = os.environ.get("MORPHSTREAM_SOURCE") or "build"
    return source_of(source) if isinstance(source, str | os.PathLike) else source


def _read_archives(source: Source) -> ArchivesManifest:
    try:
        return ArchivesManifest.from_json(source.read(f"manifests/{ARCHIVES}"))
    except ManifestError as error:
        raise ManifestError(error.where, f"{source}, {ARCHIVES}: {error.message}") from error


@contextmanager
def _timed(steps: list[BootStep], name: str) -> Iterator[list[str]]:
    """Time a step, and note what it says of itself, or the error that ended it."""
    said, start = list[str](), time.perf_counter()
    try:
        yield said
    except Exception as error:
        said.append(str(error))
        raise
    finally:
        steps.append(BootStep(name=name, seconds=time.perf_counter() - start, reason="; ".join(said)))
        _log.info("%s %.2f s: %s", name, steps[-1].seconds, steps[-1].reason)
