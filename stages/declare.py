"""declare: write down, a small file a stage, what decides the stage's result beside its inputs.

That is the part of params.yaml it uses and the digest of its own source. DVC reads all of params.yaml again for
every stage that names a parameter, and hashes every source file that a stage depends on; with 112 stages that made
a `dvc repro` with nothing to do take half as long again (docs/adr/0003-declared-files.md).
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from stages.files import BUILD, new_folder
from stages.lists import check_lists
from stages.params import Model, Params, TargetOptions, load_params
from stages.program import run_program

DECLARED = BUILD / "declared"
_SOURCE = Path("stages")
_FETCH, _PREPARE = ("fetch.py", "kit"), ("prepare.py", "surgery")
_CHECK = ("check.py", "parity", "photos.py", "surgery")
_LISTED = ("file", "role", "worker", "group", "delivery", "precision", "licence")  # of a model, in its manifest


def main() -> None:
    """Declare every fetch, prepare, compile, check and index.

    Raises:
        MorphstreamError: params.yaml is wrong, or names what dvc.yaml does not list.
        OSError: A file can't be read or written.
    """
    argparse.ArgumentParser(prog="python -m stages.declare", description=__doc__).parse_args()
    params = load_params()
    check_lists(params)
    with new_folder(DECLARED) as part:
        for stage, document in declarations(params):
            path = part / f"{stage}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(to_json(document))


def check_declared(stage: str, params: Params) -> None:
    """Check, where a stage's declaration was written, that it says what params and sources say now.

    DVC keeps a result under what was declared; a stage that read other params would be kept under a wrong name.

    Args:
        stage: Its verb and name, such as ``compile/cpu``.
        params: As the stage has read them.

    Raises:
        MorphstreamError: It says something else.
        OSError: It can't be read.
    """
    path = DECLARED / f"{stage}.json"
    if path.is_file() and path.read_bytes() != to_json(dict(declarations(params)).get(stage, {})):
        expected = f"{path}: expected what params.yaml and {_SOURCE} say now, seen what they said before"
        raise MorphstreamError(f"{expected}; run `dvc repro`")


def to_json(document: Mapping[str, object]) -> bytes:
    """Return a declaration as its file holds it."""
    return (json.dumps(document, indent=2) + "\n").encode()


def declarations(params: Params) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield verb/name of each stage and what decides its result.

    Raises:
        OSError: A source file can't be read.
    """
    sources = {files: source_digest(*files) for files in (_FETCH, _PREPARE, _CHECK)}
    own = {name: asdict(build.target.tolerance) for name, build in params.builds.items() if build.target.tolerance}
    for model in params.models.values():
        yield f"fetch/{model.name}", {**_origin(params, model), "source": sources[_FETCH]}
        choices = {key: getattr(model, key) for key in ("role", "group", "precision", "inputs", "batches")}
        yield f"prepare/{model.name}", {**choices, "source": sources[_PREPARE]}
        bounds = {"tolerance": asdict(model.tolerance), "targets": list(params.builds), "tolerances": own}
        yield f"check/{model.name}", {**bounds, "source": sources[_CHECK]}
    for build in params.builds.values():
        yield (
            f"compile/{build.target.name}",
            {**_target(build.target), "source": builder_source(build.target)},
        )
        yield f"index/{build.target.name}", {**asdict(build.target.target), "models": list(params.models)}
    entries = {name: {key: getattr(model, key) for key in _LISTED} for name, model in params.models.items()}
    yield "gather/models", {"origin": params.origin, "models": entries}
    yield "gather/archives", {build.archive: build.cache_key for build in params.builds.values()}
    yield "gather/pack", asdict(params.archive)


def builder_source(options: TargetOptions) -> str:
    """Return the digest of the source that decides a target's engines, which is part of their recipes.

    Raises:
        OSError: It can't be read.
    """
    builder = options.target.builder
    parts = ("builders/ep_context.py",) if builder != "openvino" else ()
    return source_digest("compile.py", "builders/__init__.py", f"builders/{builder}.py", *parts)


def source_digest(*names: str) -> str:
    """Return the sha256 over files of stages/, and over the Python files of folders there.

    Raises:
        OSError: One can't be read.
    """
    sha256 = hashlib.sha256()
    for name in names:
        path = _SOURCE / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            sha256.update(f"{file.as_posix()} {file.stat().st_size}\n".encode())
            sha256.update(file.read_bytes())
    return sha256.hexdigest()


def _origin(params: Params, model: Model) -> dict[str, object]:
    if params.origin == "kit":
        return {"origin": "kit", "file": model.file}
    pins = {"file": model.file, "sha256": model.sha256, "bytes": model.bytes}
    return {"origin": "hub", **asdict(params.hub), **pins}


def _target(options: TargetOptions) -> dict[str, object]:
    return {**asdict(options.target), "archs": options.archs}


if __name__ == "__main__":
    run_program(main)
