"""The way to a store's engines: from the nearest source that has the best ones down to the second best."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
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
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import cache_path
from morphstream.boot.build import Builder, BuildError
from morphstream.boot.report import BootReport, Steps
from morphstream.machine.findings import findings_of
from morphstream.machine.probe import Machine
from morphstream.machine.select import PORTABLE, candidates, exact, select
from morphstream.source.publication import Publication
from morphstream.source.source import Source
from morphstream.store.install import install_archive, install_built, install_engines
from morphstream.store.store import Installed, Store

_ELSEWHERE = (
    FetchError,
    NoEngineError,
    DigestMismatchError,
    UnsafeArchiveError,
    ManifestError,
    BuildError,
)  # another may be right
_log = logging.getLogger("morphstream.boot")


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

    def run(self, publications: Sequence[Publication], builder: Builder | None) -> BootReport:
        """Return what the first attempt did that came to something; raises as `boot`."""
        failure: MorphstreamError = NoEngineError("boot: expected a source to boot from, seen none; name one")
        for attempt in self._attempts(publications, builder):
            try:
                return attempt()
            except _ELSEWHERE as error:
                failure = error
                if not isinstance(error, NoEngineError):
                    self.fall_back("source passed over")
        raise self._refusal(publications, failure)

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

    def _attempts(
        self, publications: Sequence[Publication], builder: Builder | None
    ) -> Iterator[Callable[[], BootReport]]:
        """Yield what to try, the nearest first."""
        if self._target != "auto":
            yield from (partial(self._take_named, publication) for publication in publications)
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
        yield from (partial(self._take, key, publication) for key in own for publication in publications)
        if builder and own:
            yield partial(self._build, own[0], builder)
        yield from (partial(self._take, key, publication) for key in other for publication in publications)

    def _take(self, key: CacheKey, publication: Publication) -> BootReport:
        """Take the engines of a cache key from a source: its archive, or single ones."""
        with self._steps.timed("select") as said:
            name = publication.cache_keys().get(key)
            said.append(f"{name if name and self._groups is None else cache_path(key)} of {publication.source}")
        with self._steps.timed("install") as said:
            archive, is_new = self._install(key, publication, name)
            said.append("unpacked and verified" if is_new else "the store has it already")
        if key.arch == PORTABLE:
            self.fall_back("portable engine")
        if self._machine.gpu_archs and key.builder == "openvino" and self._target == "auto":
            self.fall_back("engine of the CPU")
        return self.report(key, archive, was_good=not is_new)

    def _install(self, key: CacheKey, publication: Publication, name: str | None) -> tuple[str, bool]:
        """Install an archive, or single engines where there is none or groups were asked for; return where from."""
        source, groups = publication.source, self._groups
        if name and groups is None:
            return name, install_archive(self._store, name, publication.archives()[name], source)
        try:
            return cache_path(key), install_engines(self._store, key, source, groups=groups)
        except AbsentError:
            if name:
                return name, install_archive(self._store, name, publication.archives()[name], source, groups=groups)
            neither = NoEngineError(f"{source}: expected an archive or engines for {key}, seen neither; name another")
            raise publication.absent or neither from None

    def _take_named(self, publication: Publication) -> BootReport:
        """Take what the target names from a source."""
        with self._steps.timed("find") as said:
            try:
                key = select(self._machine, publication.cache_keys(), self._target)
            except NoEngineError as error:
                if (found := exact(self._machine, self._target)) is None:
                    raise publication.absent or error from None
                key = found
            said.append(str(key))
        return self._take(key, publication)

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

    def _refusal(self, publications: Sequence[Publication], failure: MorphstreamError) -> MorphstreamError:
        """Return why nothing was found, by what comes closest to it."""
        if self._target != "auto" or not isinstance(failure, NoEngineError) or not publications:
            return failure
        keys = list[CacheKey]()
        for publication in publications:
            with suppress(FetchError, ManifestError):
                keys += publication.cache_keys()
        try:
            select(self._machine, keys, self._target)
        except NoEngineError as error:
            return error
        return failure
