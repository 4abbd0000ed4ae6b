"""Boot: a store that holds the engines of one target, from the nearest source that can give them, in one pass.

The order: what the store holds already; the engines that suit the machine best, from each source in its order; for a
GPU, portable ones; what the pipeline's builder makes here; on a machine with a GPU, its CPU's last. A source on this
machine is asked whether it has other engines than the store; one that isn't, only when the store has nothing to run.
"""

import os
from collections.abc import Collection, Sequence

from morphstream.artifact.errors import DigestMismatchError, MorphstreamError, NoEngineError
from morphstream.boot.build import Builder
from morphstream.boot.report import BootReport, BootStep, Steps
from morphstream.boot.search import Search
from morphstream.machine.probe import Machine, probe_machine
from morphstream.machine.select import select
from morphstream.source.named import is_offline, sources_of
from morphstream.source.publication import Publication
from morphstream.source.source import Source
from morphstream.store.store import Installed, Store

__all__ = ["BootReport", "BootStep", "boot"]


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
        offline: Ask no source that isn't on this machine, as with HF_HUB_OFFLINE in the environment.
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
    is_good = held is not None and held.has(groups)
    publications = [Publication(one, is_offline=offline or is_offline()) for one in sources_of(source)]
    asked = [one for one in publications if update or not (is_good and one.is_remote)]
    search = Search(store, machine, target, groups, steps, held)
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
        said.append(str(error))
        store.condemn(installed)  # so that it is booted again
        return None
    said.append(f"{installed.cache_key} is good{', every digest' if verify else ', by sizes'}")
    return installed
