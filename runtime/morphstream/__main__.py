"""``python -m morphstream``: the command line."""

import sys

from morphstream.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
