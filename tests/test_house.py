"""The house stays in order: no import circle, no long file or function, and a table of places that are there."""

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("runtime", "stages", "tests", "bench", "fuzz", "website")
MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_ROWS = 300, 40, 30

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules(folder: str) -> dict[str, ast.Module]:
    """Return the tree of each module of a folder, by its dotted name."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[1:] if parts[0] == "runtime" else parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_bytes())
    return found


def imports(tree: ast.AST, known: Collection[str]) -> Iterator[str]:
    """Yield the known modules that one imports, inside functions too, but for what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif not isinstance(node, ast.expr):
            yield from imports(node, known)


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield every function, those of classes and within others too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield node
        if not isinstance(node, ast.expr):
            yield from functions(node)


def test_no_modules_import_each_other_in_a_circle() -> None:
    trees = modules("runtime") | modules("stages")
    graph = {name: {other for other in imports(tree, trees) if other in trees} for name, tree in trees.items()}
    assert sum(map(len, graph.values())) > 500
    assert len([*TopologicalSorter(graph).static_order()]) == len(trees)  # else a CycleError names the circle


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_is_longer_than_a_reader_bears(folder: str) -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert lengths
    assert {str(path): length for path, length in lengths.items() if length > MOST_LINES} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_function_is_longer_than_a_screen(folder: str) -> None:
    lengths = {
        f"{name}.{node.name}, line {node.lineno}": (node.end_lineno or 0) - node.lineno + 1
        for name, tree in modules(folder).items()
        for node in functions(tree)
    }
    assert lengths
    assert {place: length for place, length in lengths.items() if length > MOST_LINES_OF_A_FUNCTION} == {}


def test_the_table_of_places_names_what_is_there_and_fits_on_a_screen() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("## Where things are")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert 0 < len(rows) <= MOST_ROWS
    for row in rows:
        paths = re.findall(r"`([^`]+)`", row.split("|")[2])
        assert paths, row
        assert [path for path in paths if not (ROOT / path).exists()] == [], row
