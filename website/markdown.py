"""Write the site's Markdown: tables, code, and text that is shown as it is.

A bar in code needs no backslash in a table of the site's.
"""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, with a line feed at its end; each cell is Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def code(text: object) -> str:
    """Return a text as inline code, in a table too; nothing for nothing."""
    return f"`{text}`" if str(text) else ""


def plain(text: str) -> str:
    """Return a text of a program so that Markdown shows it as it is, in a table too; ``code`` stays code."""
    parts = text.replace("``", "`").split("`")
    for place in range(0, len(parts), 2):
        for mark in "\\*_[]<>|":
            parts[place] = parts[place].replace(mark, f"\\{mark}")
    return "`".join(parts)


def fence(text: str, language: str = "") -> str:
    """Return a block of code, which may have fences in it."""
    marks = "```"
    while marks in text:
        marks += "`"
    return f"{marks}{language}\n{text.rstrip()}\n{marks}\n"
