"""prune: make the lists of dvc.yaml files, dvc.lock files and build/ hold what params.yaml names, and nothing else."""

import shutil
from collections.abc import Collection
from pathlib import Path

from stages.farm.pipeline import open_repo
from stages.lists import write_lists
from stages.lock import order_locks
from stages.params import load_params
from stages.program import read_arguments, run_program
from stages.workspace import Workspace


def main(workspace: Workspace) -> None:
    """Prune, and print what was removed."""
    read_arguments(__doc__)
    params = load_params(workspace.params)
    write_lists(params, workspace)
    for name in order_locks(workspace):
        print(f"dvc.lock: {name}")
    with open_repo(workspace) as repo:
        outs = {workspace.root / Path(out.fs_path).relative_to(repo.root_dir) for out in repo.index.outs}
    for path in leftovers(workspace, outs.union(workspace.prepared / name for name in params.models)):
        print(path)
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def leftovers(workspace: Workspace, outs: Collection[Path]) -> list[Path]:
    """Return what is in build/ and isn't kept as a stage's output or the like, by the shortest path that names it."""
    untracked = {workspace.measured, workspace.demo, workspace.build / "deploy", workspace.timing}  # no stage's outputs
    kept = untracked.union(outs)
    above = {parent for path in kept for parent in path.parents}

    def unknown(folder: Path) -> list[Path]:
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        inside = [entry for entry in entries if entry in above]
        return [entry for entry in entries if entry not in above | kept] + [
            path for entry in inside for path in unknown(entry)
        ]

    return unknown(workspace.build)


if __name__ == "__main__":
    run_program(main)
