"""Graphs that OpenVINO compiles of a store's engines, saved so that the next process opens them sooner.

Conventions:

* A graph holds no weights, which OpenVINO maps from the engine's own file: for an engine of 529 MB it has 28 KB.
* A file is kept as `morphstream.session.kept` says; a graph depends on the weights, OpenVINO's version, the CPU and the
  configuration, too.
* An engine whose ``.xml`` is damaged has no graph. A graph that can't be read, verified or imported is compiled again.
  Where none can be saved, none is.

Source: docs.openvino.ai, 2026, "Model Caching", on ``CACHE_MODE`` and ``WEIGHTS_PATH``.
"""

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from morphstream.artifact.digest import Digest, verify_file
from morphstream.artifact.errors import DigestMismatchError
from morphstream.process import shortage_of
from morphstream.session.kept import keep, name_of, read_kept
from morphstream.session.openvino_library import openvino, reason_of

Config = Mapping[str, str | int]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedGraphs:
    """A folder of the graphs of one generation's engines, which threads and processes may share.

    Attributes:
        folder: It need not exist.
        digests: Digest of each file of the generation, by name.
        max_bytes: Size of the largest graph that is saved.
        cpuinfo: Lists the CPU's instruction sets, as Linux does; it need not exist.
    """

    folder: Path
    digests: Mapping[str, Digest]
    max_bytes: int = 16 << 20  # a larger graph holds weights after all, and takes longer to import than to compile
    cpuinfo: Path = Path("/proc/cpuinfo")

    def open(
        self,
        core: openvino.Core,
        engine: Path,
        config: Config,
        compile_engine: Callable[[], openvino.CompiledModel],
        size: tuple[int, int] | None = None,
    ) -> tuple[openvino.CompiledModel, Callable[[], None]]:
        """Import an engine's graph; if there is no good one, compile the engine.

        The engine is the ``.xml``, with the ``.bin`` of its weights in the same folder. The configuration that it is
        compiled with has ``OPTIMIZE_SIZE`` as its ``CACHE_MODE``. The size is that of images that it is compiled for,
        where that isn't its own.

        Returns:
            The compiled engine, and a function that saves its graph if that is new: for a time when nobody waits.
        """
        weights = engine.with_suffix(".bin")
        try:
            verify_file(engine, self.digests[engine.name])
        except (DigestMismatchError, OSError):
            return compile_engine(), _do_nothing  # OpenVINO says what is wrong with it
        path = self._path_of(core, engine, self.digests[weights.name], config, size)
        if (imported := _import(core, path, {**config, "WEIGHTS_PATH": str(weights)}, self.max_bytes)) is not None:
            return imported, _do_nothing
        compiled = compile_engine()
        return compiled, partial(self._save, compiled, weights, path)

    def _path_of(
        self, core: openvino.Core, engine: Path, weights: Digest, config: Config, size: tuple[int, int] | None
    ) -> Path:
        cpu = (core.get_property("CPU", "FULL_DEVICE_NAME"), _flags(self.cpuinfo))
        rest = json.dumps([weights.sha256, openvino.get_version(), cpu, sorted(config.items()), *filter(None, [size])])
        return self.folder / name_of(self.digests[engine.name], f"{sha256(rest.encode()).hexdigest()[:16]}.graph")

    def _save(self, compiled: openvino.CompiledModel, weights: Path, path: Path) -> None:
        """Save the graph of a compiled engine, and remove those of other generations; log why where that can't be."""
        try:
            verify_file(weights, self.digests[weights.name])  # a graph of damaged ones would outlast their repair
            if len(graph := compiled.export_model().getvalue()) <= self.max_bytes:
                keep(graph, path, self.digests, self.max_bytes)
        except (DigestMismatchError, OSError) as error:
            _log.info("%s: its graph is compiled, and not saved: %s", weights.name, error)


def _do_nothing() -> None:
    """Save no graph."""


def _import(core: openvino.Core, path: Path, config: Config, most_bytes: int) -> openvino.CompiledModel | None:
    """Return the compiled engine of a saved graph; None where there is none, or it is damaged."""
    try:
        return core.import_model(read_kept(path, most_bytes), "CPU", dict(config))
    except FileNotFoundError:
        return None
    except OSError as error:
        seen = error.strerror or "no file that can be read"
    except (RuntimeError, ValueError) as error:
        if shortage_of(error):
            raise  # to compile takes more than to import
        seen = reason_of(error)
    _log.warning("%s: expected a graph of OpenVINO, seen %s; it is compiled again", path, seen)
    return None


def _flags(cpuinfo: Path) -> str:
    """Return the line of the CPU's instruction sets; nothing where there is none."""
    with suppress(OSError), cpuinfo.open(encoding="utf-8", errors="replace") as lines:
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return ""
