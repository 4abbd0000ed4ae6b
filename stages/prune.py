"""prune: make dvc.yaml's lists, dvc.lock and build/ hold what params.yaml names, and nothing it named before."""

import shutil
from collections.abc import Collection
from io import BytesIO
from pathlib import Path

from dvc.repo import Repo
from ruamel.yaml import YAML

from stages.files import write_whole
from stages.lists import listed
from stages.lock import read_lock, write_lock
from stages.params import Params, load_params
from stages.program import read_arguments, run_program
from stages.workspace import Workspace

_NOT_LISTED = ("stages/", "manifests/", "build/declared/", "build/manifests/")  # what a stage depends on besides


def main(workspace: Workspace) -> None:
    """Prune, and print what was removed."""
    read_arguments(__doc__)
    write_lists(load_params(workspace.params), workspace.dvc_yaml)
    with Repo(str(workspace.root)) as repo:
        names = {stage.name for stage in repo.index.stages}
        outs = {workspace.root / Path(out.fs_path).relative_to(repo.root_dir) for out in repo.index.outs}
    for name in forget_stages(workspace.dvc_lock, names):
        print(f"dvc.lock: {name}")
    for path in leftovers(workspace, outs):
        print(path)
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_lists(params: Params, dvc_yaml: Path) -> None:
    """Bring the lists of dvc.yaml in line with params.yaml, comments kept."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(dvc_yaml)
    is_changed = False
    for stage, wanted in listed(params).items():
        definition = document["stages"][stage]
        deps = definition.get("do", definition)["deps"]
        if [dep for dep in deps if not dep.startswith(_NOT_LISTED)] != wanted:
            deps[:] = [*(dep for dep in deps if dep.startswith(_NOT_LISTED)), *wanted]
            is_changed = True
    if is_changed:
        text = BytesIO()
        yaml.dump(document, text)
        write_whole(dvc_yaml, text.getvalue())


def forget_stages(dvc_lock: Path, names: Collection[str]) -> list[str]:
    """Remove from dvc.lock the stages that aren't named, and return their names."""
    stages = read_lock(dvc_lock)
    write_lock(dvc_lock, {name: stage for name, stage in stages.items() if name in names})
    return sorted(set(stages).difference(names))


def leftovers(workspace: Workspace, outs: Collection[Path]) -> list[Path]:
    """Return what is in build/ and is no stage's output, by the shortest path that names it."""
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
