"""Open the engine of a model from a store."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from morphstream.artifact.errors import SessionError
from morphstream.session.session import Session
from morphstream.store.store import Installed


def open_session(installed: Installed, model: str, *, threads: int = 0, blobs: Path | None = None) -> Session:
    """Open a model's engine.

    Args:
        installed: What a store holds.
        model: Its name, such as ``det_10g``.
        threads: Threads to run on; 0 lets the library choose.
        blobs: Folder for what the library compiles for this machine.

    Raises:
        NoEngineError: The store has no engine of that model.
        SessionError: It can't be opened, or this version has no session for its kind.
    """
    files = installed.files_of(model)
    if "ir" in files:
        from morphstream.session.openvino import OpenVINOSession  # here, as it takes long to load

        return OpenVINOSession(files["ir"], threads=threads, blobs=blobs)
    builder = installed.cache_key.builder
    raise SessionError(
        f"{model}: expected an engine of openvino, seen one of {builder}; run: morphstream boot --target cpu"
    )


def load_emap(installed: Installed, model: str) -> npt.NDArray[np.float32] | None:
    """Return a swap model's emap, ``(512, 512)``, or None where it has none.

    Raises:
        NoEngineError: The store has no engine of that model.
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
