"""params.yaml, read and checked: every choice that changes what is published."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from morphstream.artifact import vocabulary
from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError, MorphstreamError
from morphstream.artifact.fields import (
    SHA256,
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
from morphstream.yaml_file import read_object
from stages.bounds import (
    ARCHIVE,
    FULL_VERSION,
    LEVELS,
    MODEL_FILE,
    NAME,
    check_archs,
    check_batches,
    check_inputs,
    check_model_bytes,
    check_number,
    check_sides,
    check_toolchain,
)
from stages.consistency import check_delivery, check_names
from stages.hub.pinned import Hub
from stages.sign.validity import Validity
from stages.tolerance import Tolerance
from stages.workspace import Workspace

Role = Literal["detector", "embedder", "swapper", "occluder", "parser", "landmarker", "person_detector", "restorer"]

_SINGLE_ROLES = ("swapper", "occluder", "parser", "restorer")  # half precision shows in what they paint

_T = TypeVar("_T")


class ParamsError(MorphstreamError):
    """params.yaml says something that can't be built."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"params.yaml: {where or 'the file'}: {message}; correct it there")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveOptions:
    """What decides an archive's bytes: zstandard's exact version and level."""

    zstandard: Annotated[str, FULL_VERSION]
    level: int

    def __post_init__(self) -> None:
        check(self)
        check_number("level", self.level, LEVELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model.

    Attributes:
        name: Its key in params.yaml.
        redistribution: Whether the licence allows to publish the weights, and engines of them, for everybody.
        origin: None where it comes from where all do.
        emap: Whether a swapper's input is the embedding times a matrix that its file has to hold; absent, it is.
        sides: Of further square images that a detector's engines take, one at a time.
    """

    name: Annotated[str, NAME]
    file: Annotated[str, MODEL_FILE]
    sha256: Annotated[str, SHA256] | None
    bytes: int | None
    role: Annotated[Role, one_of(vocabulary.ROLES)]
    worker: Annotated[str, vocabulary.CLASS_NAME] | None
    group: Annotated[str, NAME]
    delivery: Annotated[str, one_of(vocabulary.DELIVERIES)]
    precision: Annotated[str, one_of(vocabulary.MODEL_PRECISIONS)]
    inputs: Mapping[str, tuple[int, ...]]
    batches: tuple[int, ...]
    licence: Annotated[str, vocabulary.LICENCE]
    redistribution: Annotated[str, one_of(("allowed", "forbidden"))]
    tolerance: Tolerance
    origin: Annotated[str, one_of(vocabulary.ORIGINS)] | None = None
    emap: bool | None = None
    sides: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check(self)
        if self.emap is not None and self.role != "swapper":
            raise ManifestError("emap", f"expected no such key for the role {self.role}, seen {shown(self.emap)}")
        if self.group == vocabulary.SHARED:
            raise ManifestError("group", f"expected a group of models, seen {self.group}, that of files they share")
        check_model_bytes(self.bytes)
        check_inputs(self.role, self.inputs)
        check_batches(self.batches)
        check_sides(self.role, self.inputs, self.sides)
        if self.role in _SINGLE_ROLES and self.precision != "fp32":
            raise ManifestError("precision", f"expected fp32 for the role {self.role}, seen {shown(self.precision)}")

    @property
    def listed(self) -> dict[str, str]:
        """What its manifest says of it, beside its digest."""
        keys = ("file", "role", "worker", "group", "delivery", "precision", "licence", "origin")
        return {key: getattr(self, key) for key in keys}

    @property
    def needs_emap(self) -> bool:
        """Whether it is a swapper whose file must hold an emap: each of which params don't say the contrary."""
        return self.role == "swapper" and self.emap is not False

    @property
    def pin(self) -> Digest | None:
        """Digest of its file in the hub's pinned revision or a folder; None where it has none yet."""
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

    name: Annotated[str, NAME]
    target: Target
    archs: tuple[str, ...]
    tolerance: Tolerance | None = None

    def __post_init__(self) -> None:
        check_form("", self.name, NAME)
        check_toolchain(self.target)
        check_archs(self.target, self.archs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A target that is built, its published cache key and the archive it is packed into."""

    target: TargetOptions
    cache_key: str
    archive: Annotated[str, ARCHIVE]

    def __post_init__(self) -> None:
        check(self)
        if self.cache_key != (expected := str(self.target.target.cache_key)):
            seen = f"as targets.{self.target.name} has it, seen {shown(self.cache_key)}"
            raise ManifestError("cache_key", f"expected {expected}, {seen}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """The whole of params.yaml.

    Attributes:
        origin: Of every model that has none of its own.
        hub: Where the models of the origin ``hub`` are.
        archive: What decides archives' bytes.
        model_archives: The groups of models that each archive of ONNX files holds, by the archive's name.
        builds: The targets that are built, by name.
        targets: All that are described.
        models: The models.
        signing: For how long signatures of what is published are valid; None where nothing is signed.
    """

    origin: str
    hub: Hub
    archive: ArchiveOptions
    model_archives: Mapping[Annotated[str, ARCHIVE], tuple[str, ...]]
    builds: Mapping[str, Build]
    targets: Mapping[str, TargetOptions]
    models: Mapping[str, Model]
    signing: Validity | None = None

    def __post_init__(self) -> None:
        check_form("origin", self.origin, one_of(vocabulary.ORIGINS))
        check_names(self)
        for model in self.models.values():
            check_delivery(self, model)

    def origin_of(self, model: Model) -> str:
        """Return where a model comes from."""
        return model.origin or self.origin

    @property
    def archive_names(self) -> list[str]:
        """The file name of each archive."""
        return [
            f"{name}.tar.zst" for name in (*self.model_archives, *(build.archive for build in self.builds.values()))
        ]

    def model(self, name: str) -> Model:
        """Return a model by name."""
        return _named(self.models, "models", name)

    def model_archive(self, name: str) -> tuple[str, ...]:
        """Return the groups of an archive of models by its name."""
        return _named(self.model_archives, "model_archives", name)

    def target(self, name: str) -> TargetOptions:
        """Return a target by name."""
        return _named(self.targets, "targets", name)

    def build(self, name: str) -> Build:
        """Return a built target by name."""
        return _named(self.builds, "build_targets", name)


def load_params(path: Path | None = None) -> Params:
    """Read a params.yaml; None for that of the current folder."""
    try:
        return _params(read_object(path or Workspace(Path()).params))
    except ManifestError as error:
        raise ParamsError(error.where, error.message) from None


def _params(data: Object) -> Params:
    is_signed = "signing" in data
    keys = ("origin", "hub", "archive", "model_archives", "build_targets", "targets", "models")
    check_keys(data, (*keys, *["signing"] * is_signed))
    targets = _each(data, "targets", _target)
    return Params(
        origin=required(data, "origin", str),
        hub=read_value(Hub, data, "hub", is_strict=True),
        archive=read_value(ArchiveOptions, data, "archive", is_strict=True),
        model_archives=read_value(Mapping[str, tuple[str, ...]], data, "model_archives"),
        builds=_each(data, "build_targets", lambda name, entry: _build(_named(targets, "targets", name), entry)),
        targets=targets,
        models=_each(data, "models", lambda name, entry: read(Model, entry, {"name": name}, is_strict=True)),
        signing=read_value(Validity, data, "signing", is_strict=True) if is_signed else None,
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
