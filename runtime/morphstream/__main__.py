"""``python -m morphstream`` and the command ``morphstream``: the command line, which a signal ends at any moment."""

import os
import sys

from morphstream.process import begin_process, run_process


def main() -> int:
    """Run the command line of this process, and return its exit status."""
    begin_process(_name)
    if other := _other_runtime():
        seen = f"seen that of {__file__.removesuffix('/__main__.py')}, as .venv was copied or moved"
        sys.exit(f"{_name()}: expected to run the code of {other}, {seen}; run there: rm -rf .venv && make setup")
    from morphstream.cli.main import main as run  # here, as it takes long to load

    return run_process(_name, run)


def _other_runtime() -> str:
    """Return the package of the checkout whose .venv runs this, if it isn't this one; empty if it is, or by choice."""
    from pathlib import Path

    own = Path(__file__).parent
    if str(own.parent) in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        return ""
    for venv in (Path(sys.prefix), Path(sys.argv[0]).resolve().parent.parent):
        package = venv.parent / "runtime" / own.name
        if package.is_dir() and not package.samefile(own):
            return str(package)
    return ""


def _name() -> str:
    return " ".join(["morphstream", *sys.argv[1:2]])


if __name__ == "__main__":
    sys.exit(main())
