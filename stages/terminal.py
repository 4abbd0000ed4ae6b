"""Tables for people: on a terminal within its width, elsewhere a line a row, which other programs can search."""

import os
import sys
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns, to be printed on stdout; the head is for terminals alone.

    Args:
        head: The name of each column.
        rows: Each with a cell a column.
    """
    if sys.stdout.isatty() or os.environ.get("FORCE_COLOR"):
        return _drawn(head, rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _drawn(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns that are broken where they are too wide, the head bold; by NO_COLOR it isn't."""
    from rich.console import Console  # here, as it takes a while to load
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="" if os.environ.get("NO_COLOR") else "bold"
    )
    for name in head:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    console = Console(file=sys.stdout)
    with console.capture() as captured:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
