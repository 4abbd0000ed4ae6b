"""The pipeline works in any folder: no module names a path of the current one, and the farm plans from elsewhere."""

import ast
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from stages.workspace import MADE, Workspace
from tests.stages import ROOT

MODULES = sorted((ROOT / "stages").rglob("*.py"))


def outside_functions(tree: ast.AST) -> list[ast.AST]:
    """Return the nodes that run when a module is imported: all but the bodies of functions and lambdas."""
    found: list[ast.AST] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        found.append(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        else:
            pending += ast.iter_child_nodes(node)
    return found


def is_path(node: ast.AST) -> bool:
    """Return whether a node makes a path, of the current folder or of a constant."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("Path", "Path.cwd", "Workspace", "pathlib.Path")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_has_a_path_of_the_current_folder(module: Path) -> None:
    tree = ast.parse(module.read_text("utf-8"))
    constants = [ast.unparse(node) for node in outside_functions(tree) if is_path(node)]
    assert set(constants) <= {"Path(__file__)"}
    literals = [ast.unparse(node) for node in ast.walk(tree) if is_path(node)]
    assert not [call for call in literals if call.startswith(("Path('", 'Path("', "Path.cwd"))]


def test_every_path_is_below_the_root_and_cannot_be_changed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    names = [name for name in dir(workspace) if not name.startswith("_")]
    assert {"root", "params", "build", "caches"} <= set(names)
    for name in names:
        assert getattr(workspace, name).is_relative_to(tmp_path)
    assert Workspace(tmp_path) == workspace != Workspace(Path())
    with pytest.raises(FrozenInstanceError):
        workspace.build = tmp_path


def test_build_mirrors_the_published_repository() -> None:
    here = Workspace(Path())
    published = {here.caches: "trt_cache", here.archives: "archives", here.manifests: "manifests"}
    assert {path.relative_to(here.build).as_posix() for path in published} == set(published.values())


def test_no_model_can_be_in_a_folder_that_stages_make() -> None:
    here = Workspace(Path())
    paths = [getattr(here, name) for name in dir(here) if not name.startswith("_")]
    made = {
        path.parts[1]
        for path in paths
        if isinstance(path, Path) and path.parts[:1] == ("build",) and path != here.build
    }
    assert made <= set(MADE)
