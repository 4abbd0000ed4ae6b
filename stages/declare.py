"""declare: write down, a small file a stage, what decides the stage's result beside its inputs.

That is the part of params.yaml it uses and the digest of its own source. DVC reads all of params.yaml again for
every stage that names a parameter, and hashes every source file that a stage depends on; with 112 stages that made
a `dvc repro` with nothing to do take half as long again (docs/adr/0003-declared-files.md).
"""

from collections.abc import Iterator
from dataclasses import asdict

from morphstream.artifact.errors import MorphstreamError
from stages.files import json_bytes, new_folder, write_json
from stages.lists import check_lists
from stages.origin.named import origin_of
from stages.params import Params, load_params
from stages.program import read_arguments, run_program
from stages.source import builder_files, session_source, source_digest
from stages.workspace import Workspace

_FETCH, _PREPARE = ("fetch.py", "origin", "kit"), ("prepare.py", "surgery")
_CHECK = ("check.py", "parity", "photos.py", "tolerance.py", "surgery")


def main(workspace: Workspace) -> None:
    """Declare every fetch, prepare, compile, check and index."""
    read_arguments(__doc__)
    params = load_params(workspace.params)
    check_lists(params, workspace.dvc_yaml)
    with new_folder(workspace.declared) as part:
        for stage, document in declarations(params):
            write_json(part / f"{stage}.json", document)


def check_declared(workspace: Workspace, stage: str, params: Params) -> None:
    """Check that what was declared of a stage such as ``compile/cpu``, if anything, is what `declare` would write now.

    DVC keeps a result under what was declared; a stage that read other params would be kept under a wrong name.
    """
    path = workspace.declared / f"{stage}.json"
    if path.is_file() and path.read_bytes() != json_bytes(dict(declarations(params)).get(stage, {})):
        expected = f"{path}: expected the content of params.yaml and stages now, seen that of an earlier time"
        raise MorphstreamError(f"{expected}; run `dvc repro`")


def declarations(params: Params) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield verb/name of each stage and what decides its result."""
    sources = {files: source_digest(*files) for files in (_FETCH, _PREPARE, _CHECK)}
    own = {name: asdict(build.target.tolerance) for name, build in params.builds.items() if build.target.tolerance}
    origin = origin_of(params)
    for model in params.models.values():
        yield f"fetch/{model.name}", {**origin.declared(model), "source": sources[_FETCH]}
        keys = ("role", "group", "delivery", "precision", "inputs", "batches", "emap")
        choices = {key: getattr(model, key) for key in keys}
        yield f"prepare/{model.name}", {**choices, "source": sources[_PREPARE]}
        bounds = {"tolerance": asdict(model.tolerance), "targets": list(params.builds), "tolerances": own}
        yield f"check/{model.name}", {**bounds, "source": [sources[_CHECK], session_source()]}
    for options in (build.target for build in params.builds.values()):
        target, source = asdict(options.target), source_digest("compile.py", *builder_files(options.target))
        yield f"compile/{options.name}", {**target, "archs": options.archs, "source": source}
        yield f"index/{options.name}", {**target, "models": list(params.models)}
    listed = {name: model.listed for name, model in params.models.items()}
    yield "gather/models", {"origin": params.origin, "models": listed}
    yield "gather/archives", {build.archive: build.cache_key for build in params.builds.values()}
    yield "gather/pack", asdict(params.archive)


if __name__ == "__main__":
    run_program(main)
