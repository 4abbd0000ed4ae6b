"""prune: make dvc.yaml files and dvc.lock files name what params.yaml names, and remove what stages made beyond it.

What stages made is known by its place, a folder of theirs in build/, and by its content, which DVC's cache has, so that
it can be had again. A prepared model has a record. All else in build/ that nothing names is a person's own: it stays,
and is named.
"""

import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from morphstream.artifact.staged import is_part, remove_part
from morphstream.source.signed import METADATA
from stages.dvc_cache import cached_file, md5_of
from stages.farm.pipeline import open_repo
from stages.lists import write_lists
from stages.lock import order_locks, read_locks
from stages.made import is_recorded
from stages.params import load_params
from stages.program import read_arguments, run_program
from stages.provenance.bom import BOM
from stages.provenance.notice import NOTICE
from stages.workspace import MADE, Workspace


def main(workspace: Workspace) -> Mapping[str, object]:
    """Prune, and print what was removed; return it, too."""
    read_arguments(__doc__)
    locked = [Path(out["path"]) for stage in read_locks(workspace).values() for out in stage.get("outs", ())]
    params = load_params(workspace.params)
    write_lists(params, workspace)
    unlocked, removed, left = [*order_locks(workspace)], list[str](), list[str]()
    for name in unlocked:
        print(f"dvc.lock: {name}")
    with open_repo(workspace) as repo:
        outs = {workspace.root / Path(out.fs_path).relative_to(repo.root_dir) for out in repo.index.outs}
    folders = {path.relative_to(workspace.build).parts[0] for path in outs if path.is_relative_to(workspace.build)}
    folders = folders.union(MADE, (path.parts[1] for path in locked if path.parts[0] == workspace.build.name))
    for path in leftovers(workspace, outs.union(workspace.prepared / name for name in params.models)):
        if remove_made(workspace, path, folders):
            removed.append(str(path))
            print(path)
        else:
            left.append(str(path))
            print(f"{path}: left alone: not known as what a stage made, it may be your own", file=sys.stderr)
    return {"unlocked": unlocked, "removed": removed, "left_alone": left}


def leftovers(workspace: Workspace, outs: Collection[Path]) -> list[Path]:
    """Return what is in build/ and isn't kept as a stage's output or the like, by the shortest path that names it."""
    documents = (workspace.build / METADATA, workspace.build / BOM, workspace.build / NOTICE)
    statements = workspace.archives.glob("*.intoto.json")
    others = (workspace.build / "deploy", workspace.build / "site", workspace.report, *documents, *statements)
    untracked = {workspace.measured, workspace.demo, workspace.timing, *others}  # no stage's outputs
    kept = untracked.union(outs)
    above = {parent for path in kept for parent in path.parents}

    def unknown(folder: Path) -> list[Path]:
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        inside = [entry for entry in entries if entry in above]
        return [entry for entry in entries if entry not in above | kept] + [
            path for entry in inside for path in unknown(entry)
        ]

    return unknown(workspace.build)


def remove_made(workspace: Workspace, path: Path, folders: Collection[str]) -> bool:
    """Remove a file or folder of build/ that stages made, in one of these folders of theirs; return whether it was."""
    if is_part(path.name):
        return remove_part(path)
    if path.relative_to(workspace.build).parts[0] not in folders:
        return False
    is_folder = path.is_dir() and not path.is_symlink()
    files = [file for file in path.rglob("*") if file.is_symlink() or not file.is_dir()] if is_folder else [path]
    is_prepared = path.parent == workspace.prepared and is_recorded(path)
    if not is_prepared and (not files or not all(_is_cached(workspace, file) for file in files)):
        return False
    shutil.rmtree(path) if is_folder else path.unlink()
    return True


def _is_cached(workspace: Workspace, file: Path) -> bool:
    """Return whether DVC's cache has the content of a file, and a link leads there."""
    if not file.is_file():
        return False
    cached = cached_file(workspace, md5_of(file))
    return cached.is_file() and (not file.is_symlink() or file.resolve() == cached.resolve())


if __name__ == "__main__":
    run_program(main)
