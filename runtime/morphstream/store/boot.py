"""Boot: a store that holds the engines of one target, from the nearest source that can give them, in one pass.

The order: what the store holds already; the engines that suit the machine best, from each source in its order; for a
GPU, portable ones; what the pipeline's builder makes here; on a machine with a GPU, its CPU's last. A source on this
machine is asked whether it has other engines than the store; one that isn't, only when the store has nothing to run.
"""

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from morphstream.artifact.errors import (
    AbsentError,
    DigestMismatchError,
    FetchError,
    ManifestError,
    MorphstreamError,
    NoEngineError,
    UnsafeArchiveError,
)
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import cache_path
from morphstream.store.build import Builder, BuildError
from morphstream.store.install import install_archive, install_built, install_engines
from morphstream.store.machine import Machine, probe_machine
from morphstream.store.report import BootReport, BootStep, Steps
from morphstream.store.select import PORTABLE, candidates, exact, select
from morphstream.store.source import Source, sources_of
from morphstream.store.store import Installed, Store

__all__ = ["BootReport", "BootStep", "boot"]

ARCHIVES = "archives.json"
_ELSEWHERE = (
    FetchError,
    NoEngineError,
    DigestMismatchError,
    UnsafeArchiveError,
    ManifestError,
    BuildError,
)  # another may be right
_log = logging.getLogger("morphstream.boot")


def boot(
    store: Store | str | os.PathLike[str],
    *,
    target: str = "auto",
    source: Source | str | os.PathLike[str] | Sequence[Source | str | os.PathLike[str]] | None = None,
    groups: Collection[str] | None = None,
    machine: Machine | None = None,
    verify: bool = False,
    offline: bool = False,
    update: bool = False,
    builder: Builder | None = None,
) -> BootReport:
    """Make a store hold the engines of a target; on any error it holds what it held before.

    Where it holds engines to run, and a source on this machine has others that can't be had, it goes on with what it
    holds; the report says so.

    Args:
        store: Where to put them.
        target: As `select` takes it.
        source: Where to take them from, or several in their order; None for the environment's MORPHSTREAM_SOURCE, with
            commas between several, else for ``build``.
        groups: Which groups of models there must be; None for all that are published.
        machine: What they should run on; None for this one.
        verify: Compute every digest of what the store holds; it is booted anew where one differs.
        offline: Ask no source that isn't on this machine.
        update: Ask those also when the store has engines to run, and take no refusal.
        builder: Builds engines here where nobody has published any; None for never.

    Raises:
        ValueError: The target is no name of one, or a source is none.
        NoEngineError: No engines are published that fit the machine, the target and the groups.
        BuildError: None are, and they can't be built here.
        FetchError: No source can give the manifest or the engines.
        ManifestError: A manifest breaks its format, or two contradict each other.
        UnsafeArchiveError: The archive is broken, or holds other files than it should.
        DigestMismatchError: The archive, or a file, holds other bytes than it should.
        OSError: The archive can't be read, or the store can't be written.
    """
    store, steps = store if isinstance(store, Store) else Store(store), Steps()
    with steps.timed("probe") as said:
        machine = machine or probe_machine()
        said.append(", ".join((machine.arch, *machine.gpu_archs)))
    with steps.timed("store") as said:
        held = _held(store, machine, target, said, verify=verify)
    is_good = held is not None and (held.is_whole if groups is None else held.has(groups))
    places = [_Place(one, is_offline=offline) for one in sources_of(source)]
    asked = [place for place in places if update or not (is_good and place.is_remote)]
    search = _Search(store, machine, target, groups, steps, held)
    try:
        report = search.run(asked, None if is_good else builder)
    except (MorphstreamError, OSError) as error:
        if held is None or update or not (is_good or groups is None):
            raise
        if asked and not isinstance(error, NoEngineError):
            search.fall_back("store kept", error)
        report = search.report(held.cache_key, held.archive, was_good=True)
    if report.was_good:
        store.tidy()
    return report


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


class _Place:
    """A source, whose manifest of archives is read once."""

    def __init__(self, source: Source, *, is_offline: bool) -> None:
        self.source, self.is_remote = source, bool(getattr(source, "is_remote", False))
        self._is_offline = is_offline
        self._archives: Mapping[str, ArchiveEntry] | None = None
        self._error: MorphstreamError | None = None

    def archives(self) -> Mapping[str, ArchiveEntry]:
        """Return the archives that it has; none where it has engines alone.

        Raises:
            FetchError: It can't be asked.
            ManifestError: What it says breaks the format.
        """
        if self._error:
            raise self._error
        if self._archives is None:
            try:
                self._archives = self._read()
            except (FetchError, ManifestError) as error:
                self._error = error
                raise
        return self._archives

    def _read(self) -> Mapping[str, ArchiveEntry]:
        if self.is_remote and self._is_offline:
            expected = f"{self.source}: expected a source on this machine, seen one elsewhere"
            raise FetchError(f"{expected}; boot without offline")
        try:
            return ArchivesManifest.from_json(self.source.read(f"manifests/{ARCHIVES}")).archives
        except ManifestError as error:
            raise ManifestError(error.where, f"{self.source}, {ARCHIVES}: {error.message}") from error


class _Search:
    """The way from the nearest source to the second best."""

    def __init__(
        self,
        store: Store,
        machine: Machine,
        target: str,
        groups: Collection[str] | None,
        steps: Steps,
        held: Installed | None,
    ) -> None:
        self._store, self._machine, self._target, self._groups = store, machine, target, groups
        self._steps, self._held = steps, held
        self._fallbacks = list[str]()

    def run(self, places: Sequence[_Place], builder: Builder | None) -> BootReport:
        """Return what the first attempt did that came to something; raises as `boot`."""
        failure: MorphstreamError = NoEngineError("boot: expected a source to boot from, seen none; name one")
        for attempt in self._attempts(places, builder):
            try:
                return attempt()
            except _ELSEWHERE as error:
                failure = error
                if not isinstance(error, NoEngineError):
                    self.fall_back("source passed over")
        raise self._refusal(places, failure)

    def fall_back(self, reason: str, error: Exception | None = None) -> None:
        """Note that the second best is taken."""
        if reason not in self._fallbacks:
            self._fallbacks.append(reason)
        if error:
            _log.warning("%s: %s", reason, error)

    def report(self, key: CacheKey, archive: str, *, was_good: bool) -> BootReport:
        """Return what was done."""
        fallbacks = tuple(self._fallbacks)
        return BootReport(
            cache_key=key, archive=archive, was_good=was_good, steps=tuple(self._steps), fallbacks=fallbacks
        )

    def _attempts(self, places: Sequence[_Place], builder: Builder | None) -> Iterator[Callable[[], BootReport]]:
        """Yield what to try, the nearest first."""
        if self._target != "auto":
            yield from (partial(self._take_named, place) for place in places)
            if builder and (key := exact(self._machine, self._target)):
                yield partial(self._build, key, builder)
            return
        keys = candidates(self._machine)
        if self._held:  # and nothing worse
            keys = keys[: keys.index(self._held.cache_key) + 1]
        is_own = [key.builder != "openvino" or not self._machine.gpu_archs for key in keys]
        own, other = (
            [key for key, is_so in zip(keys, is_own, strict=True) if is_so == wanted] for wanted in (True, False)
        )
        yield from (partial(self._take, key, place) for key in own for place in places)
        if builder and own:
            yield partial(self._build, own[0], builder)
        yield from (partial(self._take, key, place) for key in other for place in places)

    def _take(self, key: CacheKey, place: _Place) -> BootReport:
        """Take the engines of a cache key from a place: its archive, or single ones."""
        with self._steps.timed("select") as said:
            archives = place.archives()
            name = next((name for name, entry in archives.items() if entry.cache_key == key), None)
            said.append(f"{name or cache_path(key)} of {place.source}")
        with self._steps.timed("install") as said:
            archive, is_new = self._install(key, place, name)
            said.append("unpacked and verified" if is_new else "the store has it already")
        if key.arch == PORTABLE:
            self.fall_back("portable engine")
        if self._machine.gpu_archs and key.builder == "openvino" and self._target == "auto":
            self.fall_back("engine of the CPU")
        return self.report(key, archive, was_good=not is_new)

    def _install(self, key: CacheKey, place: _Place, name: str | None) -> tuple[str, bool]:
        """Install an archive, or single engines where there is none or groups were asked for; return where from."""
        source, groups = place.source, self._groups
        if name and groups is None:
            return name, install_archive(self._store, name, place.archives()[name], source)
        try:
            return cache_path(key), install_engines(self._store, key, source, groups=groups)
        except AbsentError:
            if name:
                return name, install_archive(self._store, name, place.archives()[name], source, groups=groups)
            raise NoEngineError(f"{source}: expected an archive or engines for {key}, seen neither") from None

    def _take_named(self, place: _Place) -> BootReport:
        """Take what the target names from a place."""
        with self._steps.timed("find"):
            keys = [entry.cache_key for entry in place.archives().values() if entry.cache_key]
            try:
                key = select(self._machine, keys, self._target)
            except NoEngineError:
                if (found := exact(self._machine, self._target)) is None:
                    raise
                key = found
        return self._take(key, place)

    def _build(self, key: CacheKey, builder: Builder) -> BootReport:
        """Build the engines of a cache key."""
        with self._steps.timed("build") as said:
            is_new = install_built(
                self._store, key, lambda folder: builder.build(key, self._groups, folder), groups=self._groups
            )
            said.append("built here" if is_new else "another process has built them")
        self.fall_back("built here")
        return self.report(key, cache_path(key), was_good=not is_new)

    def _refusal(self, places: Sequence[_Place], failure: MorphstreamError) -> MorphstreamError:
        """Return why nothing was found, by what comes closest to it."""
        if self._target != "auto" or not isinstance(failure, NoEngineError) or not places:
            return failure
        keys = list[CacheKey]()
        for place in places:
            with suppress(FetchError, ManifestError):
                keys += [entry.cache_key for entry in place.archives().values() if entry.cache_key]
        try:
            select(self._machine, keys, self._target)
        except NoEngineError as error:
            return error
        return failure
