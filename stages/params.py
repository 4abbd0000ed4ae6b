"""params.yaml, read and checked: every choice that changes what is published."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml

from morphstream.artifact import vocabulary
from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError, MorphstreamError
from morphstream.artifact.fields import (
    SHA256,
    Form,
    Object,
    check,
    check_form,
    check_keys,
    inside,
    one_of,
    read,
    read_value,
    required,
    shown,
)
from morphstream.artifact.target import KEY_PRECISIONS, Target
from stages.tolerance import Tolerance

Role = Literal["detector", "embedder", "swapper", "occluder", "parser", "landmarker", "person_detector", "restorer"]

REPOSITORY = Form(r"[\w.-]+/[\w.-]+", "organisation/name")
_COMMIT = Form(r"[0-9a-f]{40}", "a commit of 40 hexadecimal digits")
_ARCH = Form(r"sm[0-9]+|x86_64|aarch64", "an arch such as sm89")
_SINGLE_ROLES = ("swapper", "occluder", "parser", "restorer")  # half precision shows in what they paint

_T = TypeVar("_T")


class ParamsError(MorphstreamError):
    """params.yaml says something that can't be built."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"params.yaml: {where or 'the file'}: {message}; correct it there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Where pinned models come from with ``origin: hub``."""

    repo: Annotated[str, REPOSITORY]
    revision: Annotated[str, _COMMIT] | None

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveOptions:
    """What decides an archive's bytes: zstandard's exact version and level."""

    zstandard: str
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model; `name` is its key in params.yaml.

    Attributes:
        emap: Whether a swapper's input is the embedding times a matrix that its file has to hold; absent, it is.
    """

    name: str
    file: Annotated[str, vocabulary.MODEL_PATH]
    sha256: Annotated[str, SHA256] | None
    bytes: int | None
    role: Annotated[Role, one_of(vocabulary.ROLES)]
    worker: str
    group: Annotated[str, one_of(vocabulary.GROUPS)]
    delivery: Annotated[str, one_of(vocabulary.DELIVERIES)]
    precision: Annotated[str, one_of(vocabulary.MODEL_PRECISIONS)]
    inputs: Mapping[str, tuple[int, ...]]
    batches: tuple[int, ...]
    licence: str
    tolerance: Tolerance
    emap: bool | None = None

    def __post_init__(self) -> None:
        check(self)
        if self.emap is not None and self.role != "swapper":
            raise ManifestError("emap", f"expected no such key for the role {self.role}, seen {shown(self.emap)}")
        if self.role in _SINGLE_ROLES and self.precision != "fp32":
            raise ManifestError("precision", f"expected fp32 for the role {self.role}, seen {shown(self.precision)}")
        sizes = list(self.batches)
        if not sizes or sizes != sorted({*sizes}) or sizes[0] < 1:
            raise ManifestError("batches", f"expected sizes from 1 on, each greater than the one before, seen {sizes}")

    @property
    def listed(self) -> dict[str, str]:
        """What its manifest says of it, beside its digest."""
        keys = ("file", "role", "worker", "group", "delivery", "precision", "licence")
        return {key: getattr(self, key) for key in keys}

    @property
    def needs_emap(self) -> bool:
        """Whether it is a swapper whose file must hold an emap: each of which params don't say the contrary."""
        return self.role == "swapper" and self.emap is not False

    @property
    def pin(self) -> Digest | None:
        """Digest of its file in the hub's pinned revision; None where it has none yet."""
        return None if self.sha256 is None or self.bytes is None else Digest(self.sha256, self.bytes)


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

    def __post_init__(self) -> None:
        if self.cache_key != (expected := str(self.target.target.cache_key)):
            seen = f"as targets.{self.target.name} has it, seen {shown(self.cache_key)}"
            raise ManifestError("cache_key", f"expected {expected}, {seen}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """The whole of params.yaml."""

    origin: str
    hub: Hub
    archive: ArchiveOptions
    builds: Mapping[str, Build]
    targets: Mapping[str, TargetOptions]
    models: Mapping[str, Model]

    def __post_init__(self) -> None:
        check_form("origin", self.origin, one_of(vocabulary.ORIGINS))

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
        document = yaml.load(path.read_bytes(), yaml.CSafeLoader)
        is_json = json.loads(json.dumps(document)) == document
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise ParamsError("", f"expected YAML of what JSON has, seen a fault: {' '.join(str(error).split())}") from None
    if not is_json:
        raise ParamsError("", "expected names that are strings and numbers that are finite, seen others")
    if not isinstance(document, dict):
        raise ParamsError("", f"expected an object, seen {shown(document)}")
    try:
        return _params(document)
    except ManifestError as error:
        raise ParamsError(error.where, error.message) from None


def _params(data: Object) -> Params:
    check_keys(data, ("origin", "hub", "archive", "build_targets", "targets", "models"))
    targets = _each(data, "targets", _target)
    return Params(
        origin=required(data, "origin", str),
        hub=read_value(Hub, data, "hub", is_strict=True),
        archive=read_value(ArchiveOptions, data, "archive", is_strict=True),
        builds=_each(data, "build_targets", lambda name, entry: _build(_named(targets, "targets", name), entry)),
        targets=targets,
        models=_each(data, "models", lambda name, entry: read(Model, entry, {"name": name}, is_strict=True)),
    )


def _build(target: TargetOptions, entry: Object) -> Build:
    return read(Build, entry, {"target": target}, is_strict=True)


def _target(name: str, entry: Object) -> TargetOptions:
    is_portable = entry.get("arch") == "portable"
    check_keys(entry, ("builder", "arch", "toolchain", *["archs"] * is_portable, "precision", "tolerance"))
    arch, builder = required(entry, "arch", str), required(entry, "builder", str)
    toolchain = read_value(
        Mapping[str, str], entry, "toolchain"
    )  # without quotes YAML reads 2026.10 as the number 2026.1
    try:
        target = Target(arch=arch, builder=builder, toolchain=toolchain)
    except (ValueError, TypeError) as error:
        raise ManifestError("", f"expected an arch, a builder and its toolchain, seen {error}") from None
    archs = read_value(tuple[str, ...], entry, "archs") if is_portable else (arch,)
    if not archs:
        raise ManifestError("archs", f"expected {_ARCH.words}, seen none")
    for one in archs:
        check_form("archs", one, _ARCH)
    tolerance = read_value(Tolerance, entry, "tolerance", is_strict=True) if "tolerance" in entry else None
    if "precision" in entry:
        precision, allowed = entry["precision"], KEY_PRECISIONS[target.builder]
        if precision not in allowed:
            expected = " or ".join(allowed) or f"no such key for builder {builder}"
            raise ManifestError("precision", f"expected {expected}, seen {shown(precision)}")
        if tolerance is None:
            raise ManifestError("", f"expected the key tolerance beside precision, seen {', '.join(entry)}")
        target = replace(target, precision=str(precision))
    return TargetOptions(name=name, target=target, archs=archs, tolerance=tolerance)


def _named(mapping: Mapping[str, _T], where: str, name: str) -> _T:
    if name not in mapping:
        raise ParamsError(where, f"expected one of {', '.join(sorted(mapping))}, seen {shown(name)}")
    return mapping[name]


def _each(data: Object, key: str, read_entry: Callable[[str, Object], _T]) -> dict[str, _T]:
    """Read an object of objects by name."""
    entries, found = required(data, key, dict), {}
    with inside(key):
        for name in entries:
            entry: Object = required(entries, name, dict)
            with inside(name):
                found[name] = read_entry(name, entry)
    return found
