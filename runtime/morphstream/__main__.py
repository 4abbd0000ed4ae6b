"""``python -m morphstream`` and the command ``morphstream``: the command line, which a signal ends at any moment."""

import sys

from morphstream.process import begin_process, run_process


def main() -> int:
    """Run the command line of this process, and return its exit status."""
    begin_process(_name)
    from morphstream.cli.main import main as run  # here, as it takes long to load

    return run_process(_name, run)


def _name() -> str:
    return " ".join(["morphstream", *sys.argv[1:2]])


if __name__ == "__main__":
    sys.exit(main())
