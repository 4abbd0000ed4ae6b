"""Kernels that TensorRT for RTX compiles for an engine at its first run, kept in the store for the next process.

Conventions:

* NVIDIA calls a file of them a runtime cache. It is for an engine, an arch of GPUs, and versions of TensorRT for RTX
  and CUDA, which its name has. The provider ignores one that doesn't fit, and compiles again.
* The provider reads the file when a session is opened and overwrites it, in place, when that is closed. So each session
  has a copy in a folder of its own; when it is closed, the copy replaces the kept file in one step.
* The files are kept as `morphstream.session.kept` says.

No GPU has run this yet.

Source: NVIDIA, TensorRT-RTX-EP-ABI, ``tensorrt_rtx_execution_provider.cc`` of 0.5.0, on ``nv_runtime_cache_path``.
"""

import logging
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from morphstream.artifact.digest import Digest, digest_of, verify_file
from morphstream.artifact.errors import DigestMismatchError
from morphstream.artifact.regular_file import read_regular
from morphstream.artifact.staged import scratch_folder
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import RUNTIME_CACHE
from morphstream.machine.probe import Machine
from morphstream.machine.select import PORTABLE
from morphstream.session.kept import keep, name_of, read_kept

_log = logging.getLogger(__name__)


def toolkit_of(key: CacheKey, machine: Machine) -> str:
    """Return what kernels depend on beside their engine, such as ``sm89-rtx1.7.1-cuda12.9``."""
    arch = machine.gpu_archs[0] if key.arch == PORTABLE and machine.gpu_archs else key.arch
    return f"{arch}-rtx{machine.libraries.get('tensorrt_rtx', '0')}-cuda{machine.cuda or '0'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeCaches:
    """A folder of the runtime caches of one generation's engines, which threads and processes may share.

    Attributes:
        folder: It need not exist.
        generation: The folder of the engines, which may hold published runtime caches.
        digests: Digest of each file of the generation, by name.
        toolkit: What they depend on, as `toolkit_of` says it.
        most_bytes: Size of the largest that is kept.
    """

    folder: Path
    generation: Path
    digests: Mapping[str, Digest]
    toolkit: str
    most_bytes: int = 256 << 20

    def name_of(self, engine: Path) -> str:
        """Return the name of an engine's runtime cache, in the folder and where it is published."""
        return name_of(self.digests[engine.name], f"{self.toolkit}.{RUNTIME_CACHE}")

    def read(self, engine: Path) -> bytes:
        """Return an engine's runtime cache, the kept one before a published one; empty where there is no good one."""
        name = self.name_of(engine)
        try:
            return read_kept(self.folder / name, self.most_bytes)
        except (ValueError, OSError) as error:
            if not isinstance(error, FileNotFoundError):
                _log.warning("%s: expected kept kernels, seen %s; they are compiled again", self.folder / name, error)
        with suppress(KeyError, DigestMismatchError, OSError):
            verify_file(self.generation / name, self.digests[name])
            return read_regular(self.generation / name, self.most_bytes)
        return b""

    def open(self, engine: Path) -> "RuntimeCache | None":
        """Copy an engine's runtime cache for a session; None where the store can't be written."""
        try:
            return RuntimeCache(self, engine)
        except OSError as error:
            _log.info("%s: its kernels are compiled, and not kept: %s", engine.name, error)
            return None


class RuntimeCache:
    """The runtime cache of an engine for one session, kept when the session is closed; a context manager.

    Attributes:
        folder: Where the provider reads and writes it.
    """

    def __init__(self, caches: RuntimeCaches, engine: Path) -> None:
        """Copy what is kept, if anything, into a folder of this session's own."""
        self._caches, self._engine, content = caches, engine, caches.read(engine)
        self._digest, self._path = digest_of(content), caches.folder / caches.name_of(engine)
        caches.folder.mkdir(exist_ok=True)
        with ExitStack() as opened:
            self.folder = opened.enter_context(scratch_folder(caches.folder / "session")).absolute()
            if content:
                (self.folder / engine.stem).write_bytes(content)  # as the engine's EPContext node is named
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Keep what the provider has written, if that is new, once it has closed the session."""
        with self._opened:
            try:
                content = read_regular(self.folder / self._engine.stem, self._caches.most_bytes)
                if content and digest_of(content) != self._digest:
                    keep(content, self._path, self._caches.digests, self._caches.most_bytes)
            except OSError as error:
                _log.info("%s: its kernels aren't kept: %s", self._engine.name, error)
