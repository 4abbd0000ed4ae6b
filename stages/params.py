"""params.yaml, read and checked: every choice that changes what is published."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml

from morphstream.artifact import vocabulary
from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.target import KEY_PRECISIONS, Target

PARAMS = Path("params.yaml")

Origin = Literal["kit", "hub"]
Role = Literal["detector", "embedder", "swapper", "occluder", "parser", "landmarker", "person_detector", "restorer"]
Delivery = Literal["baked", "stream", "on_request"]
Precision = Literal["fp32", "fp16"]
SINGLE_ROLES = ("swapper", "occluder", "parser", "restorer")  # half precision shows in what they paint

_T = TypeVar("_T")
_REVISION = re.compile(r"[0-9a-f]{40}")


class ParamsError(MorphstreamError):
    """params.yaml says something that can't be built."""

    def __init__(self, where: str, expected: str, seen: object) -> None:
        super().__init__(f"params.yaml: {where}: expected {expected}, seen {seen!r}; correct it there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Where pinned models come from with ``origin: hub``."""

    repo: str
    revision: str | None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repo):
            raise ParamsError("hub.repo", "organisation/name", self.repo)
        if self.revision is not None and not _REVISION.fullmatch(str(self.revision)):
            raise ParamsError("hub.revision", "a commit of 40 hexadecimal digits", self.revision)


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
        labels: As large a share of labels may differ: where two logits are all but equal.
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
        tolerance: Of all its engines, in place of their models'; None where it has none.
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
        """Return a model by name.

        Raises:
            ParamsError: There is none of that name.
        """
        return _named(self.models, "models", name)

    def target(self, name: str) -> TargetOptions:
        """Return a target by name.

        Raises:
            ParamsError: There is none of that name.
        """
        return _named(self.targets, "targets", name)

    def build(self, name: str) -> Build:
        """Return a built target by name.

        Raises:
            ParamsError: There is none of that name.
        """
        return _named(self.builds, "build_targets", name)


def load_params(path: Path = PARAMS) -> Params:
    """Read params.yaml.

    Raises:
        ParamsError: A key is unknown or missing, or a value is not of its kind.
        OSError: The file can't be read.
    """
    try:
        document = yaml.load(path.read_bytes(), yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ParamsError("the file", "YAML", " ".join(str(error).split())) from None
    keys = ("origin", "hub", "archive", "build_targets", "targets", "models")
    top = _keys(document, "the file", keys)
    targets = {name: _target(name, value) for name, value in _mapping(top["targets"], "targets").items()}
    hub, archive = _fields(Hub, top["hub"], "hub"), _fields(ArchiveOptions, top["archive"], "archive")
    _kind(hub["repo"], "hub.repo", str)
    _kind(archive["zstandard"], "archive.zstandard", str)
    _kind(archive["level"], "archive.level", int)
    return Params(
        origin=_choice(top["origin"], "origin", Origin),
        hub=Hub(**hub),
        archive=ArchiveOptions(**archive),
        builds={
            name: _build(name, value, targets)
            for name, value in _mapping(top["build_targets"], "build_targets").items()
        },
        targets=targets,
        models={name: _model(name, value) for name, value in _mapping(top["models"], "models").items()},
    )


def _model(name: str, value: object) -> Model:
    where = f"models.{name}"
    entry = _fields(Model, value, where, given={"name": name})
    for key, choices in (("role", Role), ("delivery", Delivery), ("precision", Precision)):
        _choice(entry[key], f"{where}.{key}", choices)
    if entry["role"] in SINGLE_ROLES and entry["precision"] != "fp32":
        raise ParamsError(f"{where}.precision", f"fp32 for the role {entry['role']}", entry["precision"])
    for key in ("file", "worker", "group", "licence"):
        _kind(entry[key], f"{where}.{key}", str)
    if not re.fullmatch(vocabulary.MODEL_PATH.pattern, entry["file"]):
        raise ParamsError(f"{where}.file", vocabulary.MODEL_PATH.words, entry["file"])
    if entry["group"] not in vocabulary.GROUPS:
        raise ParamsError(f"{where}.group", f"one of {', '.join(vocabulary.GROUPS)}", entry["group"])
    if entry["sha256"] is not None and not re.fullmatch("[0-9a-f]{64}", str(entry["sha256"])):
        raise ParamsError(f"{where}.sha256", "64 hexadecimal digits or null", entry["sha256"])
    if entry["bytes"] is not None:
        _kind(entry["bytes"], f"{where}.bytes", int)
    inputs = {}
    for key, shape in _mapping(entry["inputs"], f"{where}.inputs").items():
        dims = _kind(shape, f"{where}.inputs.{key}", list)
        inputs[key] = tuple(_kind(dim, f"{where}.inputs.{key}", int) for dim in dims)
    batches = [_kind(size, f"{where}.batches", int) for size in _kind(entry["batches"], f"{where}.batches", list)]
    if not batches or batches != sorted({*batches}) or batches[0] < 1:
        raise ParamsError(f"{where}.batches", "sizes from 1 on, each greater than the one before", batches)
    tolerance = _tolerance(entry["tolerance"], f"{where}.tolerance")
    return Model(**{**entry, "inputs": inputs, "batches": tuple(batches), "tolerance": tolerance})


def _tolerance(value: object, where: str) -> Tolerance:
    entry = _keys(value, where, ("cosine", "levels"), optional=("labels",))
    for key in entry:
        _kind(entry[key], f"{where}.{key}", int if key == "levels" else float)
    return Tolerance(**entry)


def _target(name: str, value: object) -> TargetOptions:
    where = f"targets.{name}"
    entry = _mapping(value, where)
    is_portable = entry.get("arch") == "portable"
    keys = ("builder", "arch", "toolchain", *(["archs"] if is_portable else []))
    entry = _keys(entry, where, keys, optional=("precision", "tolerance"))
    toolchain = {
        key: _kind(version, f"{where}.toolchain.{key}", str)  # without quotes YAML reads 2026.10 as 2026.1
        for key, version in _mapping(entry["toolchain"], f"{where}.toolchain").items()
    }
    try:
        target = Target(arch=entry["arch"], builder=entry["builder"], toolchain=toolchain)
    except (ValueError, TypeError) as error:
        raise ParamsError(where, "an arch, a builder and its toolchain", str(error)) from None
    archs = _kind(entry["archs"], f"{where}.archs", list) if is_portable else [target.arch]
    if not archs or not all(isinstance(arch, str) and re.fullmatch(r"sm[0-9]+|x86_64|aarch64", arch) for arch in archs):
        raise ParamsError(f"{where}.archs", "archs such as sm89", archs)
    tolerance = _tolerance(entry["tolerance"], f"{where}.tolerance") if "tolerance" in entry else None
    if "precision" in entry:
        target = _in_precision(target, entry["precision"], where)
        if tolerance is None:
            raise ParamsError(where, "the key tolerance beside precision", sorted(entry))
    return TargetOptions(name=name, target=target, archs=tuple(archs), tolerance=tolerance)


def _in_precision(target: Target, precision: object, where: str) -> Target:
    allowed = KEY_PRECISIONS[target.builder]
    if precision not in allowed:
        expected = " or ".join(allowed) or f"no such key for builder {target.builder}"
        raise ParamsError(f"{where}.precision", expected, precision)
    return replace(target, precision=str(precision))


def _build(name: str, value: object, targets: Mapping[str, TargetOptions]) -> Build:
    where = f"build_targets.{name}"
    entry = _fields(Build, value, where, given={"target": _named(targets, "targets", name)})
    key = str(targets[name].target.cache_key)
    if entry["cache_key"] != key:
        raise ParamsError(f"{where}.cache_key", f"{key}, as targets.{name} has it", entry["cache_key"])
    _kind(entry["archive"], f"{where}.archive", str)
    return Build(**entry)


def _named(mapping: Mapping[str, _T], where: str, name: str) -> _T:
    if name not in mapping:
        raise ParamsError(where, f"one of {', '.join(sorted(mapping))}", name)
    return mapping[name]


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ParamsError(where, "a mapping of names", value)
    return value


def _keys(value: object, where: str, keys: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    entry, known = _mapping(value, where), (*keys, *optional)
    for key in entry:
        if key not in known:
            raise ParamsError(f"{where}.{key}", f"one of {', '.join(known)}", key)
    for key in keys:
        if key not in entry:
            raise ParamsError(where, f"the key {key}", sorted(entry))
    return entry


def _fields(kind: type, value: object, where: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    given = given or {}
    names = tuple(field.name for field in fields(kind) if field.name not in given and field.default is MISSING)
    return {**given, **_keys(value, where, names)}


def _kind(value: Any, where: str, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ParamsError(where, f"a value of type {kind.__name__}", value)
    return value


def _choice(value: Any, where: str, choices: Any) -> Any:
    if value not in get_args(choices):
        raise ParamsError(where, f"one of {', '.join(get_args(choices))}", value)
    return value
