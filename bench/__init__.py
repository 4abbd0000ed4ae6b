"""Benchmarks: what the code promises, measured; each is runnable alone, as ``python -m bench.NAME``."""

import os
from pathlib import Path


def with_bytecode(folder: Path) -> dict[str, str]:
    """Return an environment in which programs have bytecode, kept in a folder, as installed ones do."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return own | {"PYTHONPYCACHEPREFIX": str(folder)}
