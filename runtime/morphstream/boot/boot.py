"""Boot: fill a store with the engines of one target, from the nearest source that can give them, in one pass.

`morphstream.boot.order` says what is tried first. A source on this machine is asked whether it has other engines than
the store; one elsewhere only when the store has nothing to run.
"""

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from morphstream.artifact.errors import AbsentError, DigestMismatchError, MorphstreamError, NoEngineError, SourceError
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import cache_path
from morphstream.boot.build import Builder
from morphstream.boot.order import attempts_in_order
from morphstream.boot.report import BootLog, BootReport
from morphstream.machine.findings import findings_of
from morphstream.machine.probe import Machine, probe_machine
from morphstream.machine.select import PORTABLE, check_target, exact, select
from morphstream.source.attempts import first_result
from morphstream.source.fetch import Delivery, archive_delivery, engine_delivery
from morphstream.source.named import Sources, is_offline, sources_of
from morphstream.source.publication import Publication
from morphstream.store.install import install
from morphstream.store.installed import Installed
from morphstream.store.store import Store


def boot(
    store: Store | str | os.PathLike[str],
    *,
    target: str = "auto",
    source: Sources = None,
    groups: Collection[str] | None = None,
    machine: Machine | None = None,
    verify: bool = False,
    offline: bool = False,
    update: bool = False,
    builder: Builder | None = None,
    root: Path | None = None,
    log: BootLog | None = None,
) -> BootReport:
    """Fill a store with the engines of a target; on any error it holds what it held before.

    Args:
        store: The store, or its folder.
        target: A target, as `select` takes it.
        source: Where the engines come from: one source or several in their order, as `sources_of` takes them.
        groups: Of models that there must be; None for all that are published.
        machine: What the engines should run on; None for this machine.
        verify: Compute every digest of what the store holds, and install it anew where one differs.
        offline: Read nothing from another machine, as with HF_HUB_OFFLINE in the environment.
        update: Ask every source even if the store has engines to run, and raise what goes wrong there.
        builder: Builds engines that are published nowhere; None for no builds.
        root: Root document of the publisher, as `trust_of` takes it: sources must be signed as it says.
        log: Where the steps are recorded, for a caller who wants those of a boot that was refused, too.

    Raises:
        ValueError: The target or a source has no such form.
        SourceError: No source has engines that fit machine, target and groups, whole and signed as the root says.
        OSError: The store can't be written.
    """
    check_target(target)
    store = store if isinstance(store, Store) else Store(store)
    is_local, trust = offline or is_offline(), store.trust(root)
    publications = [Publication(one, trust=trust, is_offline=is_local) for one in sources_of(source)]
    booting = _Boot(store, machine, target, groups, log or BootLog(), needs_trust=trust is not None)
    return booting.run(publications, builder, verify=verify, update=update)


class _Boot:
    """One boot of a store, whose steps and fallbacks are logged."""

    def __init__(
        self,
        store: Store,
        machine: Machine | None,
        target: str,
        groups: Collection[str] | None,
        log: BootLog,
        *,
        needs_trust: bool,
    ) -> None:
        self._store, self._target, self._groups, self._log = store, target, groups, log
        self._needs_trust = needs_trust
        with self._log.step("probe") as notes:
            self._machine = machine or probe_machine()
            notes.append(", ".join((self._machine.arch, *self._machine.gpu_archs)))

    def run(
        self, publications: Sequence[Publication], builder: Builder | None, *, verify: bool, update: bool
    ) -> BootReport:
        """Install engines; if a source fails, those of the store stay in use where they can run, unless updated."""
        current = self._check_store(verify=verify)
        is_good = current is not None and current.has(self._groups)
        asked = [one for one in publications if update or not (is_good and one.is_remote)]
        try:
            report = self._install_best(asked, current, None if is_good else builder)
        except (MorphstreamError, OSError) as error:
            if current is None or update or not (is_good or self._groups is None):
                raise
            if asked and not isinstance(error, NoEngineError):
                self._log.fall_back("store kept", error)
            report = self._log.report(current.cache_key, current.archive, was_good=True)
        if report.was_good:
            self._store.tidy()
        return report

    def _check_store(self, *, verify: bool) -> Installed | None:
        """Return what the store holds if it suits the target, or None; with `verify` every digest is computed."""
        with self._log.step("store") as notes:
            try:
                installed = self._store.current()
                select(self._machine, [installed.cache_key], self._target)
            except NoEngineError as error:
                notes.append(str(error))
                return None
            try:
                if verify:
                    self._store.verify()
            except (DigestMismatchError, NoEngineError) as error:
                notes.append(str(error))
                self._store.invalidate(installed)  # so that it is installed anew
                return None
            if self._needs_trust and not installed.is_trusted:
                notes.append(f"{installed.cache_key} came before a root was configured, and is installed anew")
                return None
            notes.append(f"{installed.cache_key} is good{', every digest' if verify else ', by sizes'}")
        return installed

    def _install_best(
        self, publications: Sequence[Publication], current: Installed | None, builder: Builder | None
    ) -> BootReport:
        """Make the attempts of `morphstream.boot.order` until one succeeds."""
        findings = [finding for finding in findings_of(self._machine) if finding.stops and self._target == "auto"]
        for finding in findings:
            self._log.fall_back("GPU out of use", finding.text)
        attempts = attempts_in_order(
            self._machine,
            self._target,
            publications,
            stopped={builder for finding in findings for builder in finding.stops},
            current=current.cache_key if current else None,
            install=self._install,
            build=partial(self._build, builder) if builder else None,
        )
        try:
            return first_result(attempts, self._pass_over, "boot: expected a source to boot from, seen none; name one")
        except NoEngineError:
            if self._target == "auto" and publications:
                keys = list[CacheKey]()
                for publication in publications:
                    with suppress(SourceError):
                        keys += publication.cache_keys()
                select(self._machine, keys, "auto")  # refuses by the engines that come closest to what is needed
            raise

    def _pass_over(self, error: SourceError) -> None:
        if not isinstance(error, NoEngineError):
            self._log.fall_back("source passed over")

    def _install(self, key: CacheKey | None, publication: Publication) -> BootReport:
        """Install the engines of a cache key from a source, None being for those that fit the target."""
        with self._log.step("select") as notes:
            if key is None:
                try:
                    key = select(self._machine, publication.cache_keys(), self._target)
                except NoEngineError as error:  # single engines may be published, of what this machine would need
                    if (key := exact(self._machine, self._target)) is None:
                        raise publication.absent or error from None
            name = publication.cache_keys().get(key)
            notes.append(f"{name if name and self._groups is None else cache_path(key)} of {publication.source}")
        with self._log.step("install") as notes:
            delivery = self._delivery(key, publication, name)
            is_new = install(self._store, delivery, groups=self._groups)
            notes.append("unpacked and verified" if is_new else "the store has it already")
        if key.arch == PORTABLE:
            self._log.fall_back("portable engine")
        if self._machine.gpu_archs and key.builder == "openvino" and self._target == "auto":
            self._log.fall_back("engine of the CPU")
        return self._log.report(key, delivery.archive, was_good=not is_new)

    def _delivery(self, key: CacheKey, publication: Publication, archive: str | None) -> Delivery:
        """Return an archive, or single files where there is none or where groups are wanted and files published."""
        source = publication.source
        if archive is None or self._groups is not None:
            with suppress(AbsentError):
                return engine_delivery(publication.manifest(key), source, is_trusted=publication.is_signed)
        if archive is None:
            expected = f"{source}: expected an archive or engines for {key}"
            raise publication.absent or NoEngineError(f"{expected}, seen neither; name another")
        return archive_delivery(archive, publication.archives()[archive], source, is_trusted=publication.is_signed)

    def _build(self, builder: Builder, key: CacheKey) -> BootReport:
        """Build the engines of a cache key here, and install them."""
        with self._log.step("build") as notes:
            delivery = builder.delivery(key, self._groups, partial(self._log.fall_back, "not contributed"))
            is_new = install(self._store, delivery, groups=self._groups)
            notes.append("built here" if is_new else "another process has built them")
        self._log.fall_back("built here")
        return self._log.report(key, delivery.archive, was_good=not is_new)
