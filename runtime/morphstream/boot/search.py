"""The search for a store's engines: the best from the nearest source that has them, or else the second best."""

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
from morphstream.boot.build import Builder, BuildError, build_delivery
from morphstream.boot.report import BootReport, Steps
from morphstream.machine.findings import findings_of
from morphstream.machine.probe import Machine, probe_machine
from morphstream.machine.select import PORTABLE, candidates, exact, select
from morphstream.source.fetch import Delivery, archive_delivery, engine_delivery
from morphstream.source.publication import Publication, read_manifest
from morphstream.store.install import install
from morphstream.store.installed import Installed
from morphstream.store.store import Store

_TRY_NEXT = (FetchError, NoEngineError, DigestMismatchError, UnsafeArchiveError, ManifestError, BuildError)
_log = logging.getLogger("morphstream.boot")


class Search:
    """The steps and the fallbacks of one boot.

    Attributes:
        store: The store to fill.
        groups: The groups that there must be; None for all that are published.
    """

    def __init__(self, store: Store, machine: Machine | None, target: str, groups: Collection[str] | None) -> None:
        """Begin a boot; a machine that isn't given is probed."""
        self.store, self.groups = store, groups
        self._target, self._steps, self._fallbacks = target, Steps(), list[str]()
        self._current_key: CacheKey | None = None
        with self._steps.timed("probe") as notes:
            self._machine = machine or probe_machine()
            notes.append(", ".join((self._machine.arch, *self._machine.gpu_archs)))

    def check_store(self, *, verify: bool) -> Installed | None:
        """Return what the store holds if it suits the target, or None; with `verify` every digest is computed."""
        with self._steps.timed("store") as notes:
            try:
                installed = self.store.current()
                select(self._machine, [installed.cache_key], self._target)
            except NoEngineError as error:
                notes.append(str(error))
                return None
            try:
                if verify:
                    self.store.verify()
            except (DigestMismatchError, NoEngineError) as error:
                notes.append(str(error))
                self.store.invalidate(installed)  # so that it is installed anew
                return None
            notes.append(f"{installed.cache_key} is good{', every digest' if verify else ', by sizes'}")
        self._current_key = installed.cache_key
        return installed

    def run(self, publications: Sequence[Publication], builder: Builder | None) -> BootReport:
        """Return the report of the first attempt that succeeds; raises as `boot`."""
        failure: MorphstreamError = NoEngineError("boot: expected a source to boot from, seen none; name one")
        for attempt in self._attempts(publications, builder):
            try:
                return attempt()
            except _TRY_NEXT as error:
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
        """Return the report of this boot."""
        steps, fallbacks = tuple(self._steps), tuple(self._fallbacks)
        return BootReport(cache_key=key, archive=archive, was_good=was_good, steps=steps, fallbacks=fallbacks)

    def _attempts(
        self, publications: Sequence[Publication], builder: Builder | None
    ) -> Iterator[Callable[[], BootReport]]:
        """Yield what to try, the best first."""
        if self._target != "auto":
            yield from (partial(self._install_target, one) for one in publications)
            if builder and (key := exact(self._machine, self._target)):
                yield partial(self._build, key, builder)
            return
        keys = self._usable_keys()
        is_last_resort = {key: key.builder == "openvino" and bool(self._machine.gpu_archs) for key in keys}
        first = [key for key in keys if not is_last_resort[key]]
        yield from (partial(self._install_key, key, one) for key in first for one in publications)
        if builder and first:
            yield partial(self._build, first[0], builder)
        last = [key for key in keys if is_last_resort[key]]
        yield from (partial(self._install_key, key, one) for key in last for one in publications)

    def _usable_keys(self) -> list[CacheKey]:
        """Return the cache keys whose engines this machine can run, best first, and none worse than the current one."""
        findings = [finding for finding in findings_of(self._machine) if finding.stops]
        for finding in findings:
            self.fall_back("GPU out of use", finding.text)
        stopped = {builder for finding in findings for builder in finding.stops}
        current = self._current_key
        keys = [key for key in candidates(self._machine) if key.builder not in stopped or key == current]
        return keys[: keys.index(current) + 1] if current else keys

    def _install_key(self, key: CacheKey, publication: Publication) -> BootReport:
        """Install the engines of a cache key from a source: its archive, or single files."""
        with self._steps.timed("select") as notes:
            name = publication.cache_keys().get(key)
            notes.append(f"{name if name and self.groups is None else cache_path(key)} of {publication.source}")
        with self._steps.timed("install") as notes:
            delivery = self._delivery(key, publication, name)
            is_new = install(self.store, delivery, groups=self.groups)
            notes.append("unpacked and verified" if is_new else "the store has it already")
        if key.arch == PORTABLE:
            self.fall_back("portable engine")
        if self._machine.gpu_archs and key.builder == "openvino" and self._target == "auto":
            self.fall_back("engine of the CPU")
        return self.report(key, delivery.archive, was_good=not is_new)

    def _delivery(self, key: CacheKey, publication: Publication, name: str | None) -> Delivery:
        """Return an archive, or single files where there is none or where groups are wanted and files published."""
        source = publication.source
        if name is None or self.groups is not None:
            try:
                return engine_delivery(read_manifest(source, key), source)
            except AbsentError:
                if name is None:
                    expected = f"{source}: expected an archive or engines for {key}"
                    neither = NoEngineError(f"{expected}, seen neither; name another")
                    raise publication.absent or neither from None
        return archive_delivery(name, publication.archives()[name], source)

    def _install_target(self, publication: Publication) -> BootReport:
        """Install the engines that the target names from a source."""
        with self._steps.timed("find") as notes:
            try:
                key = select(self._machine, publication.cache_keys(), self._target)
            except NoEngineError as error:
                if (found := exact(self._machine, self._target)) is None:
                    raise publication.absent or error from None
                key = found
            notes.append(str(key))
        return self._install_key(key, publication)

    def _build(self, key: CacheKey, builder: Builder) -> BootReport:
        """Build the engines of a cache key, and install them."""

        def build(folder: Path) -> None:
            if not builder.build(key, self.groups, folder):
                self.fall_back("not contributed")

        with self._steps.timed("build") as notes:
            delivery = build_delivery(key, build)
            is_new = install(self.store, delivery, groups=self.groups)
            notes.append("built here" if is_new else "another process has built them")
        self.fall_back("built here")
        return self.report(key, delivery.archive, was_good=not is_new)

    def _refusal(self, publications: Sequence[Publication], failure: MorphstreamError) -> MorphstreamError:
        """Return why no engines were found, by those that come closest to what is needed."""
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
