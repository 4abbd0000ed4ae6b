"""Who else runs DVC in a workspace: what its two locks in .dvc/tmp say, and what to do about one that was left there.

``lock`` is held, and has the process number of its last holder, while DVC reads or writes its own files. ``rwlock``
lists the paths that a running stage reads and writes, with process numbers; a DVC that is killed leaves it as it was,
empty or in half.
"""

import json
import os
import sys
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.regular_file import read_regular
from morphstream.source.source import SMALL_BYTES_MAX

_OURS = ("dvc", "stages.")  # in the command of a process that may hold a lock


def check_alone(folder: Path) -> None:
    """Refuse while a DVC runs a stage, during which its lock is free; remove its list if a kill left half of it."""
    path = folder / "rwlock"
    try:
        listed = json.loads(read_regular(path, SMALL_BYTES_MAX))
        writers = {int(writer["pid"]): str(writer["cmd"]) for writer in listed.get("write", {}).values()}
    except FileNotFoundError:
        return
    except (ValueError, TypeError, KeyError, AttributeError):
        print(f"{path}: removed, as a DVC that was killed left half of it", file=sys.stderr)
        path.unlink()
        return
    for pid, command in writers.items():
        if (now := command_of(pid)) is None:
            continue
        if any(word in now for word in _OURS):
            seen = f"seen one that runs (process {pid}: {command})"
            raise MorphstreamError(f"expected no other DVC here, {seen}; wait for it, or if it isn't DVC remove {path}")
        seen = f"seen {path} name process {pid}, which is another program by now ({now})"
        raise MorphstreamError(f"expected no other DVC here, {seen}; remove that file")


def holder(folder: Path) -> str:
    """Return who holds DVC's lock, in words; empty where that isn't known."""
    try:
        pid = int(read_regular(folder / "lock", SMALL_BYTES_MAX))
    except (OSError, ValueError):
        return ""
    command = command_of(pid)
    return "" if command is None else f" (process {pid}: {command})"


def command_of(pid: int) -> str | None:
    """Return the command of a process that runs, ``dvc?`` where that isn't known; None where there is none."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (OSError, OverflowError):
        return None
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip() or "dvc?"
    except OSError:
        return "dvc?"
