"""The way to a store's engines: from the nearest source that has the best ones down to the second best."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from morphstream.artifact.errors import (
    AbsentError,
    DigestMismatchError,
    FetchError,
    ManifestError,
    MorphstreamError,
    NoEngineError,
    UnsafeArchiveError,
)
from morphstream.artifact.listings import ArchiveEntry, ArchivesManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import cache_path
from morphstream.boot.build import Builder, BuildError
from morphstream.boot.report import BootReport, Steps
from morphstream.machine.findings import findings_of
from morphstream.machine.probe import Machine
from morphstream.machine.select import PORTABLE, candidates, exact, select
from morphstream.source.source import Source
from morphstream.store.install import install_archive, install_built, install_engines
from morphstream.store.store import Installed, Store

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


class Place:
    """A source, whose manifest of archives is read once.

    Attributes:
        absent: That it has no such manifest, once that is known.
    """

    def __init__(self, source: Source, *, is_offline: bool) -> None:
        self.source, self.is_remote = source, bool(getattr(source, "is_remote", False))
        self._is_offline = is_offline
        self.absent: AbsentError | None = None
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
        except AbsentError as error:  # there may be engines
            self.absent = error
            return {}
        except ManifestError as error:
            raise ManifestError(error.where, f"{self.source}, {ARCHIVES}: {error.message}") from error


class Search:
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
        self._steps, self._held_key = steps, held and held.cache_key
        self._fallbacks = list[str]()

    def run(self, places: Sequence[Place], builder: Builder | None) -> BootReport:
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

    def fall_back(self, reason: str, seen: object = "") -> None:
        """Note that the second best is taken, and log what was seen, if anything."""
        if reason not in self._fallbacks:
            self._fallbacks.append(reason)
        if text := " ".join(str(seen).split()):
            _log.warning("%s: %s", reason, text)

    def report(self, key: CacheKey, archive: str, *, was_good: bool) -> BootReport:
        """Return what was done."""
        fallbacks = tuple(self._fallbacks)
        return BootReport(
            cache_key=key, archive=archive, was_good=was_good, steps=tuple(self._steps), fallbacks=fallbacks
        )

    def _attempts(self, places: Sequence[Place], builder: Builder | None) -> Iterator[Callable[[], BootReport]]:
        """Yield what to try, the nearest first."""
        if self._target != "auto":
            yield from (partial(self._take_named, place) for place in places)
            if builder and (key := exact(self._machine, self._target)):
                yield partial(self._build, key, builder)
            return
        findings = [finding for finding in findings_of(self._machine) if finding.stops]
        stopped = {builder for finding in findings for builder in finding.stops}
        keys = [key for key in candidates(self._machine) if key.builder not in stopped or key == self._held_key]
        if self._held_key:  # and nothing worse
            keys = keys[: keys.index(self._held_key) + 1]
        for finding in findings:
            self.fall_back("GPU out of use", finding.text)
        is_own = [key.builder != "openvino" or not self._machine.gpu_archs for key in keys]
        own, other = (
            [key for key, is_so in zip(keys, is_own, strict=True) if is_so == wanted] for wanted in (True, False)
        )
        yield from (partial(self._take, key, place) for key in own for place in places)
        if builder and own:
            yield partial(self._build, own[0], builder)
        yield from (partial(self._take, key, place) for key in other for place in places)

    def _take(self, key: CacheKey, place: Place) -> BootReport:
        """Take the engines of a cache key from a place: its archive, or single ones."""
        with self._steps.timed("select") as said:
            archives = place.archives()
            name = next((name for name, entry in archives.items() if entry.cache_key == key), None)
            said.append(f"{name if name and self._groups is None else cache_path(key)} of {place.source}")
        with self._steps.timed("install") as said:
            archive, is_new = self._install(key, place, name)
            said.append("unpacked and verified" if is_new else "the store has it already")
        if key.arch == PORTABLE:
            self.fall_back("portable engine")
        if self._machine.gpu_archs and key.builder == "openvino" and self._target == "auto":
            self.fall_back("engine of the CPU")
        return self.report(key, archive, was_good=not is_new)

    def _install(self, key: CacheKey, place: Place, name: str | None) -> tuple[str, bool]:
        """Install an archive, or single engines where there is none or groups were asked for; return where from."""
        source, groups = place.source, self._groups
        if name and groups is None:
            return name, install_archive(self._store, name, place.archives()[name], source)
        try:
            return cache_path(key), install_engines(self._store, key, source, groups=groups)
        except AbsentError:
            if name:
                return name, install_archive(self._store, name, place.archives()[name], source, groups=groups)
            neither = NoEngineError(f"{source}: expected an archive or engines for {key}, seen neither; name another")
            raise place.absent or neither from None

    def _take_named(self, place: Place) -> BootReport:
        """Take what the target names from a place."""
        with self._steps.timed("find") as said:
            keys = [entry.cache_key for entry in place.archives().values() if entry.cache_key]
            try:
                key = select(self._machine, keys, self._target)
            except NoEngineError as error:
                if (found := exact(self._machine, self._target)) is None:
                    raise place.absent or error from None
                key = found
            said.append(str(key))
        return self._take(key, place)

    def _build(self, key: CacheKey, builder: Builder) -> BootReport:
        """Build the engines of a cache key."""

        def build(folder: Path) -> Source:
            source, is_contributed = builder.build(key, self._groups, folder)
            if not is_contributed:
                self.fall_back("not contributed")
            return source

        with self._steps.timed("build") as said:
            is_new = install_built(self._store, key, build, groups=self._groups)
            said.append("built here" if is_new else "another process has built them")
        self.fall_back("built here")
        return self.report(key, cache_path(key), was_good=not is_new)

    def _refusal(self, places: Sequence[Place], failure: MorphstreamError) -> MorphstreamError:
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
