"""Names, numbers and archs that params.yaml may have: what files, DVC, the builders and the libraries take."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.fields import Form, check_form, path_of, shown
from morphstream.artifact.target import KEY_LIBRARIES, Target
from stages.workspace import MADE

_WORD = "[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
_YAML_WORDS = "(?i:yes|no|on|off|true|false|null)"  # DVC's YAML writes some without quotes, and ours reads no string

NAME = Form(
    rf"(?!{_YAML_WORDS}$){_WORD}",
    "a name of at most 100 letters, digits, _, . and -, the first a letter or digit, and no word of YAML such as yes",
)
ARCHIVE = Form(rf"(?!.*\.tar\.zst$){NAME.pattern}", f"{NAME.words}, without .tar.zst")
MODEL_FILE = Form(
    rf"(?!(?i:{'|'.join(MADE)})/|.*\.onnx/)({_WORD}/){{0,8}}(?=.*\.onnx$){_WORD}",
    "a path such as models/NAME.onnx of letters, digits, _, . and -, outside the folders that stages make in build/",
)
REPOSITORY = Form(rf"{_WORD}/{_WORD}", "organisation/name")
COMMIT = Form(r"[0-9a-f]{40}", "a commit of 40 hexadecimal digits")
FULL_VERSION = Form(r"[0-9]{1,9}(\.[0-9]{1,9}){2,3}", "a full version such as 1.31.1, in quotes if YAML needs them")

# What each builder builds for. Source: TensorRT for RTX 1.7, `ComputeCapability` of its Python API.
ARCHS: Mapping[str, Form] = {
    "openvino": Form("x86_64|aarch64", "x86_64 or aarch64"),
    "tensorrt_rtx": Form("sm(75|80|86|89|120|121)", "sm75, sm80, sm86, sm89, sm120 or sm121"),
    "tensorrt": Form("sm[1-9][0-9]{1,2}", "an arch such as sm89"),
}


class Range(NamedTuple):
    """The least and the greatest value that a number may have."""

    least: int
    most: int


LEVELS = Range(1, 19)  # that archives may have
BATCHES = Range(1, 1024)
_SIZES = Range(1, 1 << 16)  # of an axis of an input
_SIDES, _COARSEST = Range(32, 4096), 32  # pixels; the largest stride of a detector
_BYTES = Range(1, (1 << 31) - 1)  # of an ONNX file, which Protocol Buffers limits
_MOST_AXES = 8
_PIXELS = "one, [batch, 3, height, width],"
_INPUTS = {  # where they are others than pixels
    "swapper": f"source, [batch, 512], and {_PIXELS}",
    "landmarker": f"input, [batch, 5, 2], or {_PIXELS}",
    "occluder": "one, [batch, height, width, 3],",
}
_MOST_BATCHES = 16


def check_number(where: str, value: int, bounds: Range) -> None:
    """Check that a number is in a range."""
    if not bounds.least <= value <= bounds.most:
        raise ManifestError(where, f"expected {bounds.least} to {bounds.most}, seen {value}")


def check_model_bytes(size: int | None) -> None:
    """Check the size of an ONNX file; None where it isn't known."""
    if size is not None:
        check_number("bytes", size, _BYTES)


def check_inputs(role: str, inputs: Mapping[str, Sequence[int]]) -> None:
    """Check names and shapes of the inputs of a role's model: -1 is a dynamic batch, the first axis."""
    for name, shape in inputs.items():
        where = path_of("inputs", name)
        if not name.strip() or not name.isprintable():
            raise ManifestError(where, f"expected the name of an input on one line, seen {shown(name)}")
        if not 1 <= len(shape) <= _MOST_AXES:
            raise ManifestError(where, f"expected 1 to {_MOST_AXES} axes, seen {len(shape)}")
        for size in shape[shape[0] == -1 :]:
            check_number(where, size, _SIZES)
    if not _fit(role, {name: tuple(shape[1:]) for name, shape in inputs.items()}):
        seen = ", ".join(f"{name} {[*shape]}" for name, shape in inputs.items())
        raise ManifestError("inputs", f"expected {_INPUTS.get(role, _PIXELS)} for the role {role}, seen {seen}")


def _fit(role: str, rows: dict[str, tuple[int, ...]]) -> bool:
    """Return whether a role has such inputs, by their axes but for the batch."""
    if role == "swapper" and rows.pop("source", ()) != (512,):
        return False
    if role == "landmarker" and rows == {"input": (5, 2)}:
        return True
    pixels = [row for row in rows.values() if len(row) == 3 and row[-1 if role == "occluder" else 0] == 3]
    return len(pixels) == len(rows) == 1


def check_batches(batches: Sequence[int]) -> None:
    """Check the batch sizes that engines are built for."""
    sizes = list(batches)
    if not 1 <= len(sizes) <= _MOST_BATCHES or sizes != sorted({*sizes}):
        expected = f"expected 1 to {_MOST_BATCHES} sizes, each greater than the one before"
        raise ManifestError("batches", f"{expected}, seen {shown(' '.join(map(str, sizes)))}")
    for size in sizes:
        check_number("batches", size, BATCHES)


def check_sides(role: str, inputs: Mapping[str, Sequence[int]], sides: Sequence[int]) -> None:
    """Check the sides of further square images that a detector's engines take."""
    if sides and role != "detector":
        raise ManifestError("sides", f"expected no such key for the role {role}, seen it")
    own = [tuple(shape[2:]) for shape in inputs.values()]
    if len({*sides}) != len(sides) or any((side, side) in own for side in sides):
        seen = shown(" ".join(map(str, sides)))
        raise ManifestError("sides", f"expected sides other than those of inputs, each once, seen {seen}")
    for side in sides:
        check_number("sides", side, _SIDES)
        if side % _COARSEST:
            raise ManifestError("sides", f"expected multiples of {_COARSEST} pixels, seen {side}")


def check_toolchain(target: Target) -> None:
    """Check that a target names its builder's libraries by their full versions."""
    for _, library in KEY_LIBRARIES[target.builder]:
        check_form(path_of("toolchain", library), target.toolchain[library], FULL_VERSION)


def check_archs(target: Target, archs: Sequence[str]) -> None:
    """Check that a target's builder builds for its archs, several of which a portable engine runs on."""
    known = ARCHS[target.builder]
    form = Form(known.pattern, f"{known.words}: the builder {target.builder} has no other")
    if target.arch != "portable":
        check_form("arch", target.arch, form)
        return
    if target.builder != "tensorrt_rtx":
        raise ManifestError("arch", f"expected {form.words}, seen {shown(target.arch)}")
    if not archs:
        raise ManifestError("archs", f"expected some of {known.words}, seen none")
    for arch in archs:
        check_form("archs", arch, form)
    if len({*archs}) != len(archs):
        raise ManifestError("archs", f"expected every arch once, seen {shown(' '.join(archs))}")


def check_unique(what: str, owned: Iterable[tuple[str, str]]) -> None:
    """Check that no two owners have one name, nor two that differ in case alone, which some disks don't tell apart."""
    owners: dict[str, str] = {}
    for owner, name in owned:
        if (other := owners.setdefault(name.casefold(), owner)) is not owner:
            raise ManifestError(owner, f"expected {what} of its own, seen {shown(name)}, which {other} has too")


def is_name(text: str) -> bool:
    """Return whether a text may name a model, a group or a target."""
    return re.fullmatch(NAME.pattern, text) is not None
