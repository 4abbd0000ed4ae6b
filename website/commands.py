"""The reference of the command line, out of what ``--help`` prints: a page of the runtime, one of the pipeline."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from website.markdown import code, fence, plain, table
from website.programs import Program, help_of

_CHOICES = re.compile(r"^usage: .*?\{([a-z,-]+)\} \.\.\.$", re.MULTILINE)
_USAGE_WIDTH = 84


def command_pages(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the Markdown of each page."""
    own = _with_commands(("morphstream",), root)
    yield "reference/morphstream.md", _page("morphstream", "The commands of the runtime.", own, root)
    stages = [program for name in stage_names(root) for program in _with_commands(("python", "-m", name), root)]
    yield "reference/stages.md", _page("python -m stages", "The programs of the pipeline.", stages, root)


def stage_names(root: Path) -> list[str]:
    """Return the modules of the pipeline that are programs, for people or for DVC."""
    paths = [*(root / "stages").glob("[a-z]*.py"), *(root / "stages").glob("*/__main__.py")]
    programs = [path for path in paths if 'if __name__ == "__main__":' in path.read_text("utf-8")]
    return sorted(f"stages.{path.parent.name if path.stem == '__main__' else path.stem}" for path in programs)


def _with_commands(program: Program, root: Path) -> Sequence[Program]:
    """Return a program and those that it has as commands; only these where it is nothing without one."""
    found = _CHOICES.search(help_of(program, root))
    return [(*program, command) for command in found[1].split(",")] if found else [program]


def _page(title: str, first: str, programs: Sequence[Program], root: Path) -> str:
    sections = [_section(program, help_of(program, root)) for program in programs]
    return f"# {title}\n\n{first} What each prints with `--help`.\n\n" + "\n".join(sections)


def _section(program: Program, text: str) -> str:
    """Return a program's help as a section: its usage, what it says of itself, and a table a group of options."""
    usage, *paragraphs = re.split(r"\n\n(?=\S)", text.strip())
    parts = [f"## {' '.join(program)}\n", fence(_wrapped(usage.removeprefix("usage: ")), "text")]
    for paragraph in paragraphs:
        head, _, body = paragraph.partition("\n")
        if head.endswith(":") and body.startswith("  "):
            kind = head.removesuffix(":").removeprefix("positional ").capitalize()
            rows = [row for row in _rows(body) if row[0] != "`-h, --help`"]
            parts += [table([kind, ""], rows)] if rows else []
        else:
            parts.append(f"{plain(paragraph)}\n")
    return "\n".join(parts)


def _rows(body: str) -> Iterator[tuple[str, str]]:
    """Yield each option and what it does: on one line with two spaces between, or the latter on a line of its own."""
    option = ""
    for line in body.splitlines():
        if line.startswith("   "):
            yield code(option), plain(line.strip())
            option = ""
            continue
        if option:
            yield code(option), ""
        option, _, said = line.strip().partition("  ")
        if said:
            yield code(option), plain(said.strip())
            option = ""
    if option:
        yield code(option), ""


def _wrapped(usage: str) -> str:
    """Break a usage before options, so that it fits on a page."""
    lines = [""]
    for word in re.findall(r"\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]|\S+", usage):
        if len(lines[-1]) + len(word) > _USAGE_WIDTH:
            lines.append("   ")
        lines[-1] += f" {word}"
    return "\n".join(lines).strip()
