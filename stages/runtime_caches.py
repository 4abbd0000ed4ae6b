"""Add to an engine cache the kernels that TensorRT for RTX compiles for its engines on this machine's GPU.

They depend on exact versions of its libraries and differ from build to build, so no stage of the pipeline makes them:
who contributes engines from a machine with such a GPU adds them, as files of the group ``shared``.
"""

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime

from morphstream.artifact.digest import digest_of
from morphstream.artifact.manifest import EngineFile
from morphstream.artifact.vocabulary import RUNTIME_CACHE, SHARED
from morphstream.machine.probe import Machine
from morphstream.session.onnxruntime import OnnxRuntimeSession
from morphstream.session.provider import RTX
from morphstream.session.runtime_cache import RuntimeCaches, toolkit_of
from stages.caches import read_cache
from stages.files import write_whole
from stages.parity.run import THREADS


def add_runtime_caches(folder: Path, machine: Machine, runtime: Any = onnxruntime) -> int:
    """Open each engine of a cache of TensorRT for RTX once, and add what was compiled; return how many files that are.

    Args:
        folder: The engine cache, with its ``manifest.json``, which is replaced last.
        machine: This one, which can run the engines.
        runtime: The module ``onnxruntime`` or one like it.

    Raises:
        SessionError: An engine can't be opened.
        OSError: A file can't be written.
    """
    manifest, found = read_cache(folder), dict[str, EngineFile]()
    with tempfile.TemporaryDirectory() as kept:
        caches = RuntimeCaches(
            folder=Path(kept),
            generation=folder,
            digests=manifest.digests,
            toolkit=toolkit_of(manifest.cache_key, machine),
        )
        for name in manifest.files_where(lambda file: file.kind == "engine"):
            content, path = _compiled(caches, folder / name, runtime), folder / caches.name_of(folder / name)
            if content:
                write_whole(path, content)
                found[path.name] = EngineFile(
                    group=SHARED, onnx_model=None, digest=digest_of(content), kind=RUNTIME_CACHE
                )
    files = {**manifest.engine_files, **found}
    write_whole(folder / "manifest.json", replace(manifest, engine_files=files).to_json().encode())
    return len(found)


def _compiled(caches: RuntimeCaches, engine: Path, runtime: Any) -> bytes:
    """Return the kernels of an engine, compiled in all its batches."""
    with ExitStack() as opened:
        if (cache := caches.open(engine)) is not None:
            opened.enter_context(cache)
        path = engine.with_name(f"{engine.stem}_ctx.onnx")
        session = OnnxRuntimeSession(path, provider=RTX, threads=THREADS, cache=cache, runtime=runtime)
        opened.pop_all()
    session.close()
    return caches.read(engine)
