"""prune: make dvc.yaml's lists, dvc.lock and build/ hold what params.yaml names, and nothing it named before."""

import argparse
import shutil
from io import BytesIO
from pathlib import Path

from dvc.repo import Repo
from ruamel.yaml import YAML

from stages.files import BUILD, TIMING, write_whole
from stages.lists import DVC_YAML, listed
from stages.lock import read_lock, write_lock
from stages.params import Params, load_params
from stages.program import run_program

_NOT_LISTED = ("stages/", "manifests/", "build/declared/", "build/manifests/")  # what a stage depends on besides
_UNTRACKED = {BUILD / "measured", BUILD / "demo", BUILD / "deploy", TIMING}  # nobody's outputs, and nobody's leftovers


def main() -> None:
    """Prune, and print what was removed.

    Raises:
        MorphstreamError: params.yaml is wrong, or dvc.lock broken.
        OSError: A file can't be read or written.
    """
    argparse.ArgumentParser(prog="python -m stages.prune", description=__doc__).parse_args()
    write_lists(load_params())
    with Repo() as repo:
        names = {stage.addressing for stage in repo.index.stages}
        outs = {Path(out.fs_path).relative_to(Path.cwd()) for out in repo.index.outs}
    for name in forget_stages(names):
        print(f"dvc.lock: {name}")
    for path in leftovers(outs):
        print(path)
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_lists(params: Params) -> None:
    """Bring the lists of dvc.yaml in line with params.yaml, comments kept.

    Raises:
        OSError: dvc.yaml can't be read or written.
    """
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(DVC_YAML)
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
        write_whole(DVC_YAML, text.getvalue())


def forget_stages(names: set[str]) -> list[str]:
    """Remove from dvc.lock the stages that dvc.yaml no longer has, and return their names.

    Raises:
        MorphstreamError: dvc.lock is broken.
        OSError: dvc.lock can't be read or written.
    """
    stages = read_lock()
    write_lock({name: stage for name, stage in stages.items() if name in names})
    return sorted(set(stages) - names)


def leftovers(outs: set[Path]) -> list[Path]:
    """Return what lies in build/ and is no stage's output, the shortest path that names it."""
    kept = outs | _UNTRACKED
    above = {parent for path in kept for parent in path.parents}

    def odd(folder: Path) -> list[Path]:
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        inside = [entry for entry in entries if entry in above]
        return [entry for entry in entries if entry not in above | kept] + [
            path for entry in inside for path in odd(entry)
        ]

    return odd(BUILD)


if __name__ == "__main__":
    run_program(main)
