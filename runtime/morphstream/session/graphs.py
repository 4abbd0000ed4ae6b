"""Graphs that OpenVINO compiles of a store's engines, saved so that the next process opens them sooner.

Conventions:

* A graph holds no weights, which OpenVINO maps from the engine's own file: for an engine of 529 MB it has 28 KB.
* A file is the sha256 of a graph, then the graph. Its name begins with the engine's digest; the rest stands for
  everything else that a graph depends on: weights, OpenVINO's version, the CPU, the configuration.
* An engine whose ``.xml`` is damaged has no graph. A graph that can't be read, verified or imported is compiled again.
  Where none can be saved, none is.

Source: docs.openvino.ai, 2026, "Model Caching", on ``CACHE_MODE`` and ``WEIGHTS_PATH``.
"""

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from morphstream.artifact.digest import Digest, digest_of, verify_file
from morphstream.artifact.errors import DigestMismatchError
from morphstream.session.openvino_library import openvino, reason_of

Config = Mapping[str, str | int]

_MAX_BYTES = 16 << 20  # a larger graph holds weights after all, and takes longer to import than to compile
_CPUINFO = Path("/proc/cpuinfo")
_DIGITS = 16  # of a digest in a name
_SHA256_BYTES = 32

_log = logging.getLogger(__name__)


class SavedGraphs:
    """A folder of the graphs of one generation's engines, which threads and processes may share."""

    def __init__(
        self, folder: Path, digests: Mapping[str, Digest], *, max_bytes: int = _MAX_BYTES, cpuinfo: Path = _CPUINFO
    ) -> None:
        """Name a folder.

        Args:
            folder: It need not exist.
            digests: Digest of each file of the generation, by name.
            max_bytes: Size of the largest graph that is saved.
            cpuinfo: Lists the CPU's instruction sets, as Linux does; it need not exist.
        """
        self._folder, self._digests, self._max_bytes, self._cpuinfo = folder, digests, max_bytes, cpuinfo

    def open(
        self, core: openvino.Core, engine: Path, config: Config, compile_engine: Callable[[], openvino.CompiledModel]
    ) -> openvino.CompiledModel:
        """Import an engine's graph; if there is no good one, compile the engine and save its graph.

        Args:
            core: Imports the graph.
            engine: The ``.xml``, with the ``.bin`` of its weights in the same folder.
            config: What the engine is compiled with; its ``CACHE_MODE`` is ``OPTIMIZE_SIZE``.
            compile_engine: Compiles it.

        Raises:
            RuntimeError: OpenVINO can't compile it.
        """
        try:
            verify_file(engine, self._digests[engine.name])
        except (DigestMismatchError, OSError):
            return compile_engine()  # OpenVINO says what is wrong with it
        path = self._path_of(core, engine, config)
        if (imported := _import(core, path, {**config, "WEIGHTS_PATH": str(engine.with_suffix(".bin"))})) is not None:
            return imported
        compiled = compile_engine()
        try:
            verify_file(engine.with_suffix(".bin"), self._digests[engine.with_suffix(".bin").name])
            self._save(compiled.export_model().getvalue(), path)  # of damaged weights, it would outlast their repair
        except (DigestMismatchError, OSError) as error:
            _log.info("%s: its graph is compiled, and not saved: %s", engine.name, error)
        return compiled

    def _path_of(self, core: openvino.Core, engine: Path, config: Config) -> Path:
        weights = self._digests[engine.with_suffix(".bin").name].sha256
        cpu = (core.get_property("CPU", "FULL_DEVICE_NAME"), _flags(self._cpuinfo))
        rest = json.dumps([weights, openvino.get_version(), cpu, sorted(config.items())])
        digests = (self._digests[engine.name], digest_of(rest.encode()))
        return self._folder / f"{'-'.join(digest.sha256[:_DIGITS] for digest in digests)}.graph"

    def _save(self, graph: bytes, path: Path) -> None:
        """Save a graph, unless it is large, and remove those of other generations.

        Raises:
            OSError: It can't be written.
        """
        if len(graph) > self._max_bytes:
            return
        self._folder.mkdir(exist_ok=True)
        part = path.with_suffix(".part")  # two writers may mix their bytes in it, which the digest then shows
        part.write_bytes(sha256(graph).digest() + graph)
        part.replace(path)
        own = {digest.sha256[:_DIGITS] for digest in self._digests.values()}
        for other in (*self._folder.glob("*-*.graph"), *self._folder.glob("*-*.part")):
            if other.name[:_DIGITS] not in own:
                other.unlink(missing_ok=True)


def _import(core: openvino.Core, path: Path, config: Config) -> openvino.CompiledModel | None:
    """Return the compiled engine of a saved graph; None where there is none, or it is damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, graph = data[:_SHA256_BYTES], data[_SHA256_BYTES:]
    try:
        if sha256(graph).digest() == digest:
            return core.import_model(graph, "CPU", dict(config))
        seen = "other bytes"
    except RuntimeError as error:
        seen = reason_of(error)
    _log.warning("%s: expected a graph of OpenVINO, seen %s; it is compiled again", path, seen)
    return None


def _flags(cpuinfo: Path) -> str:
    """Return the line of the CPU's instruction sets; nothing where there is none."""
    with suppress(OSError), cpuinfo.open(encoding="utf-8", errors="replace") as lines:
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return ""
