"""Boot: fill a store with the engines of one target, from the nearest source that can give them, in one pass.

The order: what the store holds already; the engines that suit the machine best, from each source in its order; for a
GPU, portable ones; what the pipeline's builder makes here; on a machine with a GPU, its CPU's last. A source on this
machine is asked whether it has other engines than the store; one elsewhere only when the store has nothing to run.
"""

import os
from collections.abc import Collection, Sequence

from morphstream.artifact.errors import MorphstreamError, NoEngineError
from morphstream.boot.build import Builder
from morphstream.boot.report import BootReport, BootStep
from morphstream.boot.search import Search
from morphstream.machine.probe import Machine
from morphstream.machine.select import check_target
from morphstream.source.named import Sources, is_offline, sources_of
from morphstream.source.publication import Publication
from morphstream.store.store import Store

__all__ = ["BootReport", "BootStep", "boot"]


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
) -> BootReport:
    """Fill a store with the engines of a target; on any error it holds what it held before.

    Args:
        store: The store, or its folder.
        target: A target, as `select` takes it.
        source: Where the engines come from: one source or several in their order, as `sources_of` takes them.
        groups: The groups of models that there must be; None for all that are published.
        machine: What the engines should run on; None for this machine.
        verify: Compute every digest of what the store holds, and install it anew where one differs.
        offline: Read nothing from another machine, as with HF_HUB_OFFLINE in the environment.
        update: Ask every source even if the store has engines to run, and raise what goes wrong there.
        builder: Builds engines that are published nowhere; None for no builds.

    Raises:
        ValueError: The target or a source has no such form.
        NoEngineError: No engines are published that fit the machine, the target and the groups.
        BuildError: None are, and they can't be built here.
        FetchError: No source can give the manifest or the engines.
        ManifestError: A manifest breaks its format, or two contradict each other.
        UnsafeArchiveError, DigestMismatchError: An archive, or a file, has other contents than it should.
        OSError: The archive can't be read, or the store can't be written.
    """
    check_target(target)
    publications = [Publication(one, is_offline=offline or is_offline()) for one in sources_of(source)]
    search = Search(store if isinstance(store, Store) else Store(store), machine, target, groups)
    return _run(search, publications, builder, verify=verify, update=update)


def _run(
    search: Search, publications: Sequence[Publication], builder: Builder | None, *, verify: bool, update: bool
) -> BootReport:
    """Search for engines; where the store has engines to run, it stays in use if a source fails, unless updated."""
    current = search.check_store(verify=verify)
    is_good = current is not None and current.has(search.groups)
    asked = [one for one in publications if update or not (is_good and one.is_remote)]
    try:
        report = search.run(asked, None if is_good else builder)
    except (MorphstreamError, OSError) as error:
        if current is None or update or not (is_good or search.groups is None):
            raise
        if asked and not isinstance(error, NoEngineError):
            search.fall_back("store kept", error)
        report = search.report(current.cache_key, current.archive, was_good=True)
    if report.was_good:
        search.store.tidy()
    return report
