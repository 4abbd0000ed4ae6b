"""Open the engines of a store's models, and read the emaps of its swap models."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from morphstream.artifact.errors import SessionError
from morphstream.machine.probe import Machine
from morphstream.machine.select import check_usable
from morphstream.session.guarded import GuardedSession
from morphstream.session.runtime_cache import RuntimeCaches, toolkit_of
from morphstream.session.session import Session
from morphstream.store.store import Installed, Store

_SMALL = 2 << 20  # bytes of an engine's weights: a run is over before a second thread is awake, and that one spins


class Engines:
    """Opens models of a booted store, whose files stay until this is closed; a context manager.

    Several threads may open models at once; one closes it, after they are done.

    Attributes:
        installed: The generation that models are opened from.
    """

    def __init__(self, store: Store, machine: Machine, *, threads: int, cuda_graph: bool) -> None:
        """Hold the current generation of a booted store, if it is for this machine; the rest as in `open_session`."""
        self.store, self._threads, self._cuda_graph = store, threads, cuda_graph
        with ExitStack() as opened:
            self.installed = opened.enter_context(store.hold())
            check_usable(self.installed.cache_key, machine)
            self._opened = opened.pop_all()
        self._caches = RuntimeCaches(
            folder=store.path / "runtime_caches",
            generation=self.installed.folder,
            digests=self.installed.manifest.digests,
            toolkit=toolkit_of(self.installed.cache_key, machine),
        )

    def __call__(self, model: str) -> Session:
        """Open a model's engine, until this is closed."""
        session = open_session(
            self.installed,
            model,
            threads=self._threads,
            cuda_graph=self._cuda_graph,
            graphs=self.store.path / "graphs",
            caches=self._caches,
        )
        self._opened.callback(session.close)
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every engine, the last first, then release the generation."""
        self._opened.close()


def open_session(
    installed: Installed,
    model: str,
    *,
    threads: int = 0,
    cuda_graph: bool = False,
    graphs: Path | None = None,
    caches: RuntimeCaches | None = None,
) -> Session:
    """Open a model's engine.

    Args:
        installed: A generation of a store.
        model: Its name, such as ``det_10g``.
        threads: Threads of a run on the CPU; 0 for every core that this process may use. A small engine runs in one.
        cuda_graph: Whether a GPU replays runs as a CUDA graph; a CPU has none.
        graphs: Folder where OpenVINO's compiled graphs are saved for the next process; None to save none.
        caches: Where kernels that TensorRT for RTX compiles are kept for the next process; None to keep none.

    Raises:
        NoEngineError: The generation has no engine of that model.
        SessionError: The engine can't be opened, or this version has no session for its kind.
    """
    files, key = installed.files_of(model), installed.cache_key
    threads = threads or usable_cores()
    if "ir" in files:
        from morphstream.session.graphs import SavedGraphs  # here, as OpenVINO takes long to load
        from morphstream.session.openvino import OpenVINOSession

        if installed.manifest.digests[files["ir"].with_suffix(".bin").name].bytes <= _SMALL:
            threads = 1
        saved = SavedGraphs(folder=graphs, digests=installed.manifest.digests) if graphs else None
        precision = key.precision or "fp32"
        return GuardedSession(model, OpenVINOSession(files["ir"], threads=threads, precision=precision, graphs=saved))
    if "ep_context" not in files:
        seen = f"{' and '.join(sorted(files))} of {key.builder}"
        remedy = "adopted ones have none: build it here or run: morphstream boot --target cpu"
        raise SessionError(f"{model}: expected an engine with its EPContext model, seen {seen} alone; {remedy}")
    session = _open_on_gpu(files, key.builder, caches, threads=threads, cuda_graph=cuda_graph)
    return GuardedSession(model, session)


def _open_on_gpu(
    files: Mapping[str, Path], builder: str, caches: RuntimeCaches | None, *, threads: int, cuda_graph: bool
) -> Session:
    """Open an engine by its EPContext model, with the provider for its builder."""
    path = files["ep_context"]
    try:
        from morphstream.session.onnxruntime import OnnxRuntimeSession  # here, as machines without GPUs lack it
        from morphstream.session.provider import PROVIDERS, RTX
    except ImportError as error:
        raise SessionError(f"{path.name}: expected ONNX Runtime, seen {error}; install it") from None
    if (provider := PROVIDERS.get(builder)) is None:
        expected = f"expected an engine of {' or '.join(PROVIDERS)}"
        raise SessionError(f"{path.name}: {expected}, seen one of {builder}; boot or build it again")
    cache = caches.open(files["engine"]) if caches and provider == RTX and "engine" in files else None
    with ExitStack() as opened:
        if cache:
            opened.enter_context(cache)
        session = OnnxRuntimeSession(path, provider=provider, threads=threads, cuda_graph=cuda_graph, cache=cache)
        opened.pop_all()  # closed by the session
    return session


def load_emap(installed: Installed, model: str) -> npt.NDArray[np.float32] | None:
    """Return a swap model's emap, ``(512, 512)``, or None where it has none.

    Raises:
        NoEngineError: The generation has no engine of that model.
        SessionError: The file holds something else.
        OSError: It can't be read.
    """
    if (path := installed.files_of(model).get("emap")) is None:
        return None
    try:
        emap: npt.NDArray[np.float32] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise SessionError(f"{path.name}: expected an array, seen {error}; boot again") from None
    if emap.shape != (512, 512) or emap.dtype != np.float32:
        raise SessionError(f"{path.name}: expected (512, 512) float32, seen {emap.shape} {emap.dtype}; boot again")
    return emap


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
