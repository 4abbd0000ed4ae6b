"""The dependencies that dvc.yaml writes out one by one, as DVC has no list there: docs/adr/0005-written-lists.md."""

from pathlib import Path

import yaml

from morphstream.artifact.errors import MorphstreamError
from stages.pack import archive_names, model_files
from stages.params import Params
from stages.workspace import Workspace


def listed(params: Params) -> dict[str, list[str]]:
    """Return the dependencies of each gathering stage, one for each model, cache or archive of params.yaml."""
    here = Workspace(Path())  # dvc.yaml has paths from its own folder
    models = [f"{here.build / model.file}" for model in params.models.values()]
    caches = [f"{here.caches / build.cache_key}" for build in params.builds.values()]
    archives = [f"{here.archives / name}" for name in archive_names(params)]
    targets = {build.archive: build.target.target for build in params.builds.values()}
    booted = [name for name, target in targets.items() if (target.builder, target.precision) == ("openvino", None)]
    return {
        "index": [f"{here.engines}/${{key}}/{name}" for name in params.models],
        "index_models": models,
        "pack_models": [f"{here.build / file}" for file in model_files(params)],
        "index_archives": archives,
        "validate": [*models, *caches, *archives],
        "check": [
            f"{here.build}/${{item.file}}",
            f"{here.prepared}/${{key}}",
            *(f"{here.engines / target}/${{key}}" for target in params.builds),
        ],
        "report": [
            "runtime/morphstream",
            f"{here.build}/validated.json",
            *(f"{here.archives / name}.tar.zst" for name in booted),
            *(f"{here.checked / name}.json" for name in params.models),
        ],
    }


def check_lists(params: Params, dvc_yaml: Path) -> None:
    """Check that dvc.yaml lists all that params.yaml names; what it lists beyond that is removed by prune."""
    stages = yaml.load(dvc_yaml.read_text("utf-8"), yaml.CSafeLoader)["stages"]
    for stage, wanted in listed(params).items():
        deps = stages[stage].get("do", stages[stage])["deps"]
        if missing := [dep for dep in wanted if dep not in deps]:
            expected = f"expected {missing[0]} among the deps of {stage}, as params.yaml has it"
            raise MorphstreamError(f"dvc.yaml: {expected}, seen no such line; run: python -m stages.prune")
