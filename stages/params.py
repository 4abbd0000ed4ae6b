"""params.yaml, read and checked: every choice that changes what is published."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml

from morphstream.artifact import fields, vocabulary
from morphstream.artifact.errors import ManifestError, MorphstreamError
from morphstream.artifact.fields import Form, Object, check_form, inside, one_of, required, shown
from morphstream.artifact.target import KEY_PRECISIONS, Target

Origin = Literal["kit", "hub"]
Role = Literal["detector", "embedder", "swapper", "occluder", "parser", "landmarker", "person_detector", "restorer"]
Delivery = Literal["baked", "stream", "on_request"]
Precision = Literal["fp32", "fp16"]
SINGLE_ROLES = ("swapper", "occluder", "parser", "restorer")  # half precision shows in what they paint

REPOSITORY = Form(r"[\w.-]+/[\w.-]+", "organisation/name")
_COMMIT = Form(r"[0-9a-f]{40}", "a commit of 40 hexadecimal digits")
_ARCH = Form(r"sm[0-9]+|x86_64|aarch64", "an arch such as sm89")

_T = TypeVar("_T")


class ParamsError(MorphstreamError):
    """params.yaml says something that can't be built."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"params.yaml: {where or 'the file'}: {message}; correct it there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Where pinned models come from with ``origin: hub``."""

    repo: str
    revision: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveOptions:
    """What decides an archive's bytes: zstandard's exact version and level."""

    zstandard: str
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far outputs may be from the original where half precision, bfloat16 or a GPU made them.

    Attributes:
        cosine: Least cosine of numbers.
        levels: Greatest difference of a uint8 crop.
        labels: Greatest share of labels that differ, as they do where two logits are all but equal.
    """

    cosine: float
    levels: int
    labels: float = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model; `name` is its key in params.yaml."""

    name: str
    file: str
    sha256: str | None
    bytes: int | None
    role: Role
    worker: str
    group: str
    delivery: Delivery
    precision: Precision
    inputs: Mapping[str, tuple[int, ...]]
    batches: tuple[int, ...]
    licence: str
    tolerance: Tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """What engines are built for, and with which options.

    Attributes:
        name: Its key in params.yaml.
        target: Arch, builder, toolchain and precision.
        archs: What one of its engines runs on; several where the arch is ``portable``.
        tolerance: Of all its engines, instead of their models' tolerances; None where it has none.
    """

    name: str
    target: Target
    archs: tuple[str, ...]
    tolerance: Tolerance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A target that is built, its published cache key and the archive it is packed into."""

    target: TargetOptions
    cache_key: str
    archive: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """The whole of params.yaml."""

    origin: Origin
    hub: Hub
    archive: ArchiveOptions
    builds: Mapping[str, Build]
    targets: Mapping[str, TargetOptions]
    models: Mapping[str, Model]

    def model(self, name: str) -> Model:
        """Return a model by name."""
        return _named(self.models, "models", name)

    def target(self, name: str) -> TargetOptions:
        """Return a target by name."""
        return _named(self.targets, "targets", name)

    def build(self, name: str) -> Build:
        """Return a built target by name."""
        return _named(self.builds, "build_targets", name)


def load_params(path: Path) -> Params:
    """Read params.yaml."""
    try:
        document = json.loads(json.dumps(yaml.load(path.read_bytes(), yaml.CSafeLoader)))  # dates and sets are refused
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise ParamsError("", f"expected YAML of what JSON has, seen a fault: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise ParamsError("", f"expected an object, seen {shown(document)}")
    try:
        return _params(document)
    except ManifestError as error:
        raise ParamsError(error.where, error.message) from None


def _params(data: Object) -> Params:
    _check_keys(data, ("origin", "hub", "archive", "build_targets", "targets", "models"))
    targets = _each(data, "targets", _target)
    return Params(
        origin=_choice(data, "origin", Origin),
        hub=_within(data, "hub", _hub),
        archive=_within(data, "archive", _archive),
        builds=_each(data, "build_targets", lambda name, entry: _build(entry, _named(targets, "targets", name))),
        targets=targets,
        models=_each(data, "models", _model),
    )


def _hub(entry: Object) -> Hub:
    _check_keys(entry, Hub.__annotations__)
    hub = Hub(repo=required(entry, "repo", str), revision=_nullable(entry, "revision", str))
    check_form("repo", hub.repo, REPOSITORY)
    if hub.revision is not None:
        check_form("revision", hub.revision, _COMMIT)
    return hub


def _archive(entry: Object) -> ArchiveOptions:
    _check_keys(entry, ArchiveOptions.__annotations__)
    return ArchiveOptions(zstandard=required(entry, "zstandard", str), level=required(entry, "level", int))


def _model(name: str, entry: Object) -> Model:
    _check_keys(entry, list(Model.__annotations__)[1:])
    model = Model(
        name=name,
        file=required(entry, "file", str),
        sha256=_nullable(entry, "sha256", str),
        bytes=_nullable(entry, "bytes", int),
        role=_choice(entry, "role", Role),
        worker=required(entry, "worker", str),
        group=required(entry, "group", str),
        delivery=_choice(entry, "delivery", Delivery),
        precision=_choice(entry, "precision", Precision),
        inputs=_within(entry, "inputs", lambda shapes: {key: _list(shapes, key, int) for key in shapes}),
        batches=_list(entry, "batches", int),
        licence=required(entry, "licence", str),
        tolerance=_within(entry, "tolerance", _tolerance),
    )
    check_form("file", model.file, vocabulary.MODEL_PATH)
    check_form("group", model.group, one_of(vocabulary.GROUPS))
    if model.sha256 is not None:
        check_form("sha256", model.sha256, fields.SHA256)
    if model.role in SINGLE_ROLES and model.precision != "fp32":
        raise ManifestError("precision", f"expected fp32 for the role {model.role}, seen {shown(model.precision)}")
    sizes = list(model.batches)
    if not sizes or sizes != sorted({*sizes}) or sizes[0] < 1:
        raise ManifestError("batches", f"expected sizes from 1 on, each greater than the one before, seen {sizes}")
    return model


def _tolerance(entry: Object) -> Tolerance:
    _check_keys(entry, Tolerance.__annotations__)
    tolerance = Tolerance(cosine=required(entry, "cosine", float), levels=required(entry, "levels", int))
    return replace(tolerance, labels=required(entry, "labels", float)) if "labels" in entry else tolerance


def _target(name: str, entry: Object) -> TargetOptions:
    is_portable = entry.get("arch") == "portable"
    _check_keys(entry, ("builder", "arch", "toolchain", *["archs"] * is_portable, "precision", "tolerance"))
    arch, builder = required(entry, "arch", str), required(entry, "builder", str)
    toolchain = _within(  # without quotes YAML reads 2026.10 as the number 2026.1
        entry, "toolchain", lambda found: {library: required(found, library, str) for library in found}
    )
    try:
        target = Target(arch=arch, builder=builder, toolchain=toolchain)
    except (ValueError, TypeError) as error:
        raise ManifestError("", f"expected an arch, a builder and its toolchain, seen {error}") from None
    archs = _list(entry, "archs", str) if is_portable else (arch,)
    if not archs:
        raise ManifestError("archs", f"expected {_ARCH.words}, seen none")
    for one in archs:
        check_form("archs", one, _ARCH)
    tolerance = _within(entry, "tolerance", _tolerance) if "tolerance" in entry else None
    if "precision" in entry:
        precision, allowed = entry["precision"], KEY_PRECISIONS[target.builder]
        if precision not in allowed:
            expected = " or ".join(allowed) or f"no such key for builder {builder}"
            raise ManifestError("precision", f"expected {expected}, seen {shown(precision)}")
        if tolerance is None:
            raise ManifestError("", f"expected the key tolerance beside precision, seen {', '.join(entry)}")
        target = replace(target, precision=str(precision))
    return TargetOptions(name=name, target=target, archs=archs, tolerance=tolerance)


def _build(entry: Object, target: TargetOptions) -> Build:
    _check_keys(entry, list(Build.__annotations__)[1:])
    key, archive = required(entry, "cache_key", str), required(entry, "archive", str)
    if key != (expected := f"{target.target.cache_key}"):
        raise ManifestError("cache_key", f"expected {expected}, as targets.{target.name} has it, seen {shown(key)}")
    return Build(target=target, cache_key=key, archive=archive)


def _named(mapping: Mapping[str, _T], where: str, name: str) -> _T:
    if name not in mapping:
        raise ParamsError(where, f"expected one of {', '.join(sorted(mapping))}, seen {shown(name)}")
    return mapping[name]


def _check_keys(entry: Object, known: Iterable[str]) -> None:
    for key in entry:
        if key not in known:
            raise ManifestError(fields.path_of(key), f"expected one of {', '.join(known)}, seen {shown(key)}")


def _within(data: Object, key: str, read: Callable[[Object], _T]) -> _T:
    """Read the object under a key."""
    entry = required(data, key, dict)
    with inside(key):
        return read(entry)


def _each(data: Object, key: str, read: Callable[[str, Object], _T]) -> dict[str, _T]:
    """Read an object of objects by name."""
    return _within(data, key, lambda found: {name: _within(found, name, partial(read, name)) for name in found})


def _nullable(entry: Object, key: str, kind: type[_T]) -> _T | None:
    return None if entry.get(key, ...) is None else required(entry, key, kind)


def _list(entry: Object, key: str, kind: type[_T]) -> tuple[_T, ...]:
    return tuple(required({key: item}, key, kind) for item in required(entry, key, list))


def _choice(entry: Object, key: str, choices: Any) -> Any:
    """Read a string that is one of a literal type's."""
    value = required(entry, key, str)
    check_form(key, value, one_of(get_args(choices)))
    return value
