"""The lists that dvc.yaml files write out, as DVC has none there: docs/adr/0005-written-lists.md."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, cast

from morphstream.artifact.errors import ManifestError, MorphstreamError
from morphstream.artifact.regular_file import read_regular
from morphstream.yaml_file import MOST_BYTES, read_object
from stages.exclusive import built_alone, engine_folder
from stages.files import write_whole
from stages.params import Params
from stages.workspace import Workspace

Lists = Mapping[str, Any]  # by the key of a stage: deps, outs, or what it is run for each of
_NOT_LISTED = ("stages/", "manifests/", "build/declared/", "build/manifests/")  # what a stage depends on besides


def listed(params: Params) -> dict[str, dict[str, Lists]]:
    """Return what each dvc.yaml, by its path, lists of what params.yaml names, for each of its stages."""
    here = Workspace(Path())  # paths are from the project's root
    files = {name: model.file for name, model in params.models.items()}
    models = [f"{here.build / file}" for file in files.values()]
    caches = [f"{here.caches / build.cache_key}" for build in params.builds.values()]
    archives = [f"{here.archives / name}" for name in params.archive_names]
    alone = {
        f"{target}-{name}": {"target": target, "model": name, "file": file}
        for target in built_alone(params)
        for name, file in files.items()
    }
    built = {
        name: {
            "cache_key": build.cache_key,
            "archive": build.archive,
            "engines": engine_folder(here, build.target, "").parent.name,
        }
        for name, build in params.builds.items()
    }
    packed = [f"{here.archives / name}.tar.zst" for name in params.model_archives]
    return {
        "dvc.yaml": {"validate": {"deps": [*models, *caches, *archives]}, "report": {"deps": _reported(params)}},
        "pipeline/fetch/dvc.yaml": {"fetch": {"foreach": files}},
        "pipeline/engines/dvc.yaml": {
            "engines": {"foreach": files},
            "gpu_engine": {"foreach": alone},
        },
        "pipeline/pack/dvc.yaml": {
            "pack": {
                "foreach": built,
                "deps": [f"{here.build}/${{item.engines}}/{name}/${{key}}" for name in params.models],
            },
            "models": {
                "deps": models,
                "outs": ["build/manifests/models.json", {"manifests/models.json": {"cache": False}}, *packed],
            },
        },
    }


def _reported(params: Params) -> list[str]:
    """Return what the report is made of: the archive that it boots from, and what was found of each engine."""
    here, targets = Workspace(Path()), {build.archive: build.target.target for build in params.builds.values()}
    booted = [name for name, target in targets.items() if (target.builder, target.precision) == ("openvino", None)]
    return [
        "runtime/morphstream",
        f"{here.build}/validated.json",
        *(f"{here.archives / name}.tar.zst" for name in booted),
        *(f"{here.checked / name}.json" for name in params.models),
        *(f"{here.checked / target / name}.json" for target in built_alone(params) for name in params.models),
    ]


def pipeline_files(workspace: Workspace) -> list[Path]:
    """Return the dvc.yaml files of a workspace."""
    here = workspace.root
    return [path for path in (here / "dvc.yaml", *sorted(here.glob("pipeline/*/dvc.yaml"))) if path.is_file()]


def stage_names(dvc_yaml: Path) -> list[str]:
    """Return the stages of a dvc.yaml in its order, as DVC names them."""
    names = []
    for name, stage in _stages(dvc_yaml).items():
        names += [f"{name}@{key}" for key in stage["foreach"]] if "foreach" in stage else [name]
    return names


def check_lists(params: Params, workspace: Workspace) -> None:
    """Check that the dvc.yaml files list what params.yaml names, and nothing else."""
    for file, stages in listed(params).items():
        found = _stages(workspace.root / file)
        for stage, lists in stages.items():
            seen = found.get(stage, {})
            for key, wanted in lists.items():
                if odd := next(_odd(wanted, _of_stage(seen, key)), None):
                    expected = f"expected the {key} of {stage} to be what params.yaml names, seen a difference in {odd}"
                    raise MorphstreamError(f"{file}: {expected}; run: python -m stages.prune")


def write_lists(params: Params, workspace: Workspace) -> None:
    """Bring the lists of every dvc.yaml in line with params.yaml; comments, and files that are right, stay."""
    from ruamel.yaml import YAML  # here, as stages that only check lists need to start fast

    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    for file, stages in listed(params).items():
        path = workspace.root / file
        document, is_changed = yaml.load(read_regular(path, MOST_BYTES)), False
        for stage, lists in stages.items():
            for key, wanted in lists.items():
                definition = document["stages"].get(stage)
                if definition is None:
                    expected = f"expected the stage {stage}, seen none"
                    raise MorphstreamError(f"{file}: {expected}; run: git checkout {file}")
                if list(_odd(wanted, _of_stage(definition, key))):
                    _put(definition, key, wanted)
                    is_changed = True
        if is_changed:
            text = BytesIO()
            yaml.dump(document, text)
            write_whole(path, text.getvalue())


def _stages(dvc_yaml: Path) -> dict[str, Any]:
    try:
        stages = cast("dict[str, dict[str, Any]]", read_object(dvc_yaml)["stages"])
        return {name: dict(stage) for name, stage in stages.items()}
    except (ManifestError, KeyError, TypeError, ValueError, AttributeError) as error:
        expected = "expected the stages of a pipeline, seen a fault"
        raise MorphstreamError(f"{dvc_yaml}: {expected}: {error}; run: git checkout {dvc_yaml}") from None


def _of_stage(stage: Any, key: str) -> Any:
    """Return what a stage lists under a key, of its dependencies those that are listed here."""
    value = stage.get(key, stage.get("do", {}).get(key, []))
    return [dep for dep in value if not dep.startswith(_NOT_LISTED)] if key == "deps" else value


def _put(stage: Any, key: str, wanted: Any) -> None:
    holder = stage if key == "foreach" else stage.get("do", stage)
    holder[key] = [*(dep for dep in holder[key] if dep.startswith(_NOT_LISTED)), *wanted] if key == "deps" else wanted


def _odd(wanted: Any, seen: Any) -> Iterator[str]:
    """Yield what one of two lists has and not the other, or that their order differs."""
    for one, other in ((wanted, seen), (seen, wanted)):
        for entry in one:
            if entry not in other or (isinstance(one, dict) and isinstance(other, dict) and one[entry] != other[entry]):
                yield str(entry if isinstance(entry, str) else next(iter(entry)))
    if list(wanted) != list(seen):
        yield "their order"
