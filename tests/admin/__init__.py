"""The admin page, on a workspace of three models and two targets whose farm is a script: it answers at once."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.manifest import EngineFile, EngineManifest
from stages.admin.access import Sessions
from stages.admin.admin import Admin
from stages.exclusive import engine_folder
from stages.params import load_params
from stages.workspace import Workspace
from tests.stages import copy_pipeline, reduced, write_params

MODELS, TARGETS = ("fan_68_5", "xseg_1", "xseg_2"), ("cpu", "rtx-sm89")
_FARM = """
case "$*" in
*"farm plan"*) cat plan.json;;
*) echo "$*" >> commands; . ./rebuild;;
esac
"""


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds, however slow the machine is."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def new_workspace(folder: Path) -> Workspace:
    """Return a workspace in a new folder, with its farm's script, which does nothing yet and finds nothing stale."""
    workspace = Workspace(folder)
    folder.mkdir()
    write_params(folder, reduced(MODELS, TARGETS))
    copy_pipeline(workspace)
    (folder / "farm").write_text(_FARM, "utf-8")
    write_plan(workspace)
    write_rebuild(workspace, "exit 0")
    return workspace


def new_admin(workspace: Workspace, *, hidden: Sequence[str] = (), sessions: Sessions | None = None) -> Admin:
    """Return what the pages of a workspace show, whose commands the script runs."""
    return Admin(workspace, interpreter=("/bin/sh", "farm"), hidden=hidden, sessions=sessions)


def write_plan(workspace: Workspace, **stale: list[str]) -> None:
    """Have the farm find stages stale, by their names with two underscores for an ``@``."""
    plan = [{"stage": stage.replace("__", "@"), "why": why} for stage, why in stale.items()]
    (workspace.root / "plan.json").write_text(json.dumps(plan), "utf-8")


def write_rebuild(workspace: Workspace, script: str) -> None:
    """Have each job but the farm's plan run a script."""
    (workspace.root / "rebuild").write_text(script, "utf-8")


def write_engine(workspace: Workspace, target: str, model: str, data: bytes = b"engine") -> None:
    """Write an engine of some bytes."""
    options = load_params(workspace.params).build(target).target
    folder = engine_folder(workspace, options, model)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "engine").write_bytes(data)
    entry = EngineFile(
        group="masks", onnx_model=model, digest=digest_of_file(folder / "engine"), kind="ir", recipe="0" * 64
    )
    manifest = EngineManifest(
        cache_key=options.target.cache_key, toolchain=options.target.toolchain, engine_files={"engine": entry}
    )
    (folder / "manifest.json").write_text(manifest.to_json(), "utf-8")


def commands(workspace: Workspace) -> list[str]:
    """Return the commands that were run, in their order."""
    path = workspace.root / "commands"
    return path.read_text("utf-8").splitlines() if path.exists() else []
