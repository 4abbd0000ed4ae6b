"""declare: write down, a small file a stage, what decides the stage's result beside its inputs.

That is the part of params.yaml it uses and the digest of its own source. DVC reads all of params.yaml again for
every stage that names a parameter, and hashes every source file that a stage depends on; with 112 stages that made
a `dvc repro` with nothing to do take half as long again (docs/adr/0003-declared-files.md).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.regular_file import read_regular
from morphstream.source.source import SMALL_BYTES_MAX
from stages.exclusive import built_alone, built_together
from stages.files import json_bytes, new_folder, write_json
from stages.licences import licences_of
from stages.origin.named import origin_of
from stages.params import Params, TargetOptions, load_params
from stages.program import read_arguments, run_program
from stages.source import builder_files, session_source, source_digest
from stages.workspace import Workspace

_FETCH, _PREPARE = ("fetch.py", "origin", "kit"), ("engines.py", "prepare.py", "surgery")
_CHECK = ("check.py", "parity", "photos.py", "tolerance.py", "surgery")
_PACK, _MODELS = ("index.py", "caches.py", "pack.py"), ("index.py", "pack.py")
_VALIDATE = ("validate.py", "index.py", "caches.py", "pack.py")


def main(workspace: Workspace) -> None:
    """Declare every stage but `report`, which depends on source alone."""
    from stages.lists import check_lists  # here, as every stage imports this module

    read_arguments(__doc__)
    params = load_params(workspace.params)
    check_lists(params, workspace)
    with new_folder(workspace.declared) as part:
        for stage, document in declarations(params):
            write_json(part / f"{stage}.json", document)


def check_declared(workspace: Workspace, stage: str, params: Params) -> dict[str, Any]:
    """Return what decides the result of a stage such as ``pack/cpu``: what was declared of it, if anything was.

    DVC keeps a result under what was declared; a stage that read other params would be kept under a wrong name.
    """
    path, now = workspace.declared / f"{stage}.json", dict(declarations(params)).get(stage, {})
    if path.exists() and read_regular(path, SMALL_BYTES_MAX) != json_bytes(now):
        expected = f"{path}: expected the content of params.yaml and stages now, seen that of an earlier time"
        raise MorphstreamError(f"{expected}; run `dvc repro`")
    return now


def declarations(params: Params) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each stage's declaration, and what decides the stage's result."""
    together, origin, source = built_together(params), origin_of(params), source_digest(*_FETCH)
    for model in params.models.values():
        yield f"fetch/{model.name}", {**origin.declared(model), "source": source}
    targets = {name: _target(build.target) for name, build in params.builds.items()}
    prepare, check = source_digest(*_PREPARE), [source_digest(*_CHECK), session_source()]
    keys = ("role", "group", "delivery", "precision", "inputs", "batches", "sides", "emap")
    for model in params.models.values():
        prepared = {"prepare": {**{key: getattr(model, key) for key in keys}, "source": prepare}}
        yield (
            f"engines/{model.name}",
            {
                **prepared,
                "targets": {name: targets[name] for name in together},
                "check": {"tolerance": asdict(model.tolerance), "tolerances": _own(together), "source": check},
            },
        )
        for name, options in built_alone(params).items():
            bounds = {"tolerance": asdict(model.tolerance), "tolerances": _own({name: options}), "source": check}
            yield f"gpu_engine/{name}-{model.name}", {**prepared, "targets": {name: targets[name]}, "check": bounds}
    archive, pack = asdict(params.archive), source_digest(*_PACK)
    for name, build in params.builds.items():
        target = asdict(build.target.target)
        yield f"pack/{name}", {**target, "models": licences_of(params), "archive": archive, "source": pack}
    listed = {name: model.listed for name, model in params.models.items()}
    models = {"origin": params.origin, "models": listed, "model_archives": params.model_archives, "archive": archive}
    yield "models", {**models, "source": source_digest(*_MODELS)}
    caches = {build.archive: build.cache_key for build in params.builds.values()}
    yield "validate", {"archives": caches, "model_archives": params.model_archives, "source": source_digest(*_VALIDATE)}


def _target(options: TargetOptions) -> dict[str, Any]:
    source = source_digest("compile.py", *builder_files(options.target))
    return {**asdict(options.target), "archs": options.archs, "source": source}


def _own(targets: Mapping[str, TargetOptions]) -> dict[str, Any]:
    """Return the tolerances of targets that have their own."""
    return {name: asdict(options.tolerance) for name, options in targets.items() if options.tolerance}


if __name__ == "__main__":
    run_program(main)
