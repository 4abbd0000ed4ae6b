"""Open every engine of a store once, so that what is compiled at the first use of one is kept for the workers."""

import os
from dataclasses import replace

from morphstream.boot.report import BootLog, BootReport
from morphstream.machine.probe import Machine, probe_machine
from morphstream.store.store import Store


def warm(store: Store | str | os.PathLike[str], report: BootReport, *, machine: Machine | None = None) -> BootReport:
    """Open the engines of a booted store, one after the other, each run in all its batches.

    For a GPU, TensorRT for RTX compiles kernels then; for a CPU, OpenVINO compiles graphs. The store keeps both.

    Args:
        store: The store, or its folder.
        report: Of its boot.
        machine: What the engines run on; None for this machine.

    Returns:
        The report, with a step ``warm``.

    Raises:
        NoEngineError: The store is empty, damaged, or for another machine.
        SessionError: An engine can't be opened here.
    """
    from morphstream.session.load import Engines  # here, as boot needs none of what runs engines

    own_store, own_machine = store if isinstance(store, Store) else Store(store), machine or probe_machine()
    log, opened = BootLog(), 0
    with log.step("warm") as notes:
        for model in own_store.current().models:
            with Engines(own_store, own_machine, threads=0, cuda_graph=False) as engines:
                engines(model)
            opened += 1
        notes.append(f"{opened} engines were opened")
    steps = log.report(report.cache_key, report.archive, was_good=report.was_good).steps
    return replace(report, steps=(*report.steps, *steps))
