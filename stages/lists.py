"""The dependencies that dvc.yaml writes out one by one, as DVC has no list there: docs/adr/0005-written-lists.md."""

from pathlib import Path

import yaml

from morphstream.artifact.errors import MorphstreamError
from stages.files import ARCHIVES, BUILD, CACHES
from stages.pack import MODELS_ARCHIVE, model_files
from stages.params import Params

DVC_YAML = Path("dvc.yaml")


def listed(params: Params) -> dict[str, list[str]]:
    """Return the dependencies of each gathering stage, one for each model, cache or archive of params.yaml."""
    models = [str(BUILD / model.file) for model in params.models.values()]
    caches = [str(CACHES / build.cache_key) for build in params.builds.values()]
    names = [MODELS_ARCHIVE, *(build.archive for build in params.builds.values())]
    archives = [str(ARCHIVES / f"{name}.tar.zst") for name in names]
    targets = {build.archive: build.target.target for build in params.builds.values()}
    booted = [name for name, target in targets.items() if (target.builder, target.precision) == ("openvino", None)]
    return {
        "index": [f"build/engines/${{key}}/{name}" for name in params.models],
        "index_models": models,
        "pack_models": [str(BUILD / file) for file in model_files(params)],
        "index_archives": archives,
        "validate": [*models, *caches, *archives],
        "check": [
            "build/${item.file}",
            "build/prepared/${key}",
            *(f"build/engines/{target}/${{key}}" for target in params.builds),
        ],
        "report": [
            "runtime/morphstream",
            str(BUILD / "validated.json"),
            *(str(ARCHIVES / f"{name}.tar.zst") for name in booted),
            *(str(BUILD / "check" / f"{name}.json") for name in params.models),
        ],
    }


def check_lists(params: Params) -> None:
    """Check that dvc.yaml lists all that params.yaml names; what it lists beyond that is left to prune.

    Raises:
        MorphstreamError: It lacks something, so that a stage could run before what it gathers is there.
        OSError: dvc.yaml can't be read.
    """
    stages = yaml.load(DVC_YAML.read_text("utf-8"), yaml.CSafeLoader)["stages"]
    for stage, wanted in listed(params).items():
        deps = stages[stage].get("do", stages[stage])["deps"]
        if missing := [dep for dep in wanted if dep not in deps]:
            expected = f"expected {missing[0]} among the deps of {stage}, as params.yaml has it"
            raise MorphstreamError(f"dvc.yaml: {expected}, seen no such line; run: python -m stages.prune")
