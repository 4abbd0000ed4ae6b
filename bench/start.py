"""Time the start of the package and of the command line, each run in a new process.

Promised: ``import morphstream`` within 0.3 s and ``morphstream --help`` within 0.4 s.
"""

import argparse
import subprocess
import sys
from functools import partial
from pathlib import Path

from bench.face_host import median_ms

PROMISED_MS = {"import morphstream": 300.0, "morphstream --help": 400.0}


def main() -> int:
    """Print a line a command; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of which the median is taken")
    runs = parser.parse_args().runs
    commands = {
        "import morphstream": [sys.executable, "-c", "import morphstream"],
        "morphstream --help": [str(Path(sys.executable).parent / "morphstream"), "--help"],
    }
    found = {name: median_ms(partial(_run, command), runs, before=2) for name, command in commands.items()}
    for name, ms in found.items():
        print(f"{name}: {ms:.0f} ms, promised {PROMISED_MS[name]:.0f}")
    return 0 if all(found[name] <= ms for name, ms in PROMISED_MS.items()) else 1


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
