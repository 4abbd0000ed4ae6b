"""The options that say which face of which source goes to which face of a target, and the `Wanted` that they make."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import NoFaceError
from morphstream.cli.options import UsageError, checked, read_names, whole_number

if TYPE_CHECKING:
    from morphstream.face.assign import Rule, Wanted
    from morphstream.face.types import FoundFaces, Identity
    from morphstream.frame import Frame
    from morphstream.pipeline import SwapPipeline

_WORDS = ("left", "right", "largest")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose faces."""
    text = "another source, as often as there are more; its options below come in the same order"
    parser.add_argument("--add-source", type=Path, action="append", default=[], metavar="PICTURE", help=text)
    text = "which face of a source: its number from the left, left, right or largest (largest)"
    parser.add_argument("--source-face", type=checked(_read_face), action="append", default=[], help=text)
    text = (
        "which faces of a target, with commas between: numbers from the left, left, right, largest or all (all; of "
        "several sources the first becomes the leftmost face, and so on)"
    )
    parser.add_argument("--target-face", type=checked(_read_faces), action="append", default=[], help=text)


def source_paths(options: argparse.Namespace) -> list[Path]:
    """Return the pictures of the sources, in their order.

    Raises:
        UsageError: There are more or fewer choices of faces than sources.
    """
    paths = [options.source, *options.add_source]
    if len(options.source_face) > len(paths):
        seen = len(options.source_face)
        raise UsageError(f"--source-face: expected one for each of {len(paths)} sources at most, seen {seen}")
    if len(options.target_face) not in (0, len(paths)):
        seen = len(options.target_face)
        raise UsageError(f"--target-face: expected one for each of {len(paths)} sources, or none, seen {seen}")
    return paths


def wanted_of(
    pipeline: "SwapPipeline", sources: Sequence[tuple[Path, "Frame"]], options: argparse.Namespace
) -> tuple["Wanted", list[str]]:
    """Identify the faces of sources; return who becomes whom, and what was chosen where there was a choice.

    Raises:
        NoFaceError: A source has no face, or fewer than its number.
        SessionError: An engine failed.
    """
    choices = [*options.source_face, *["largest"] * len(sources)]
    rules = [[_rule_of(face) for face in faces] for faces in options.target_face]
    if not rules:
        rules = [[_rule_of("all" if len(sources) == 1 else number)] for number in range(1, len(sources) + 1)]
    wanted: dict[Identity, list[Rule]] = {}
    notes = []
    for (path, frame), choice, own in zip(sources, choices, rules, strict=False):
        identity, note = _identify(pipeline, path, frame, choice)
        wanted[identity] = wanted.get(identity, []) + own  # one person from two pictures may be one identity
        notes += [note] if note else []
    return wanted, notes


def why_nobody(found: "FoundFaces", options: argparse.Namespace) -> str:
    """Return why no face of a frame is swapped, and what to do."""
    if not found.faces:
        return f"expected a face to swap, {found.reason}"
    chosen = " and ".join(",".join(map(str, faces)) for faces in options.target_face) or "its place"
    return (
        f"expected a face to swap, seen {len(found.faces)} and none that --target-face {chosen} picks; "
        "run morphstream faces, which numbers them"
    )


def _identify(pipeline: "SwapPipeline", path: Path, frame: "Frame", choice: int | str) -> tuple["Identity", str]:
    """Return the identity of the chosen face of a source, and a note where it has several."""
    from morphstream.face.assign import from_left, pick

    found = pipeline.analyser.find(frame, pipeline.look)
    if not found.faces:
        raise NoFaceError(f"{path}: expected a face to identify, {found.reason}")
    picked = list(pick(_rule_of(choice), found.faces, list))
    if not picked:
        seen = f"seen {len(found.faces)} faces"
        raise NoFaceError(f"{path}: expected face {choice} from the left, {seen}; run: morphstream faces {path}")
    identity = pipeline.identify(frame, found.faces[picked[0]])
    if len(found.faces) == 1:
        return identity, ""
    which = "" if isinstance(choice, int) else f", the {choice}"
    number = from_left(found.faces).index(picked[0]) + 1
    took = f"{len(found.faces)} faces found, took number {number} from the left{which}"
    return identity, f"{path}: {took}; --source-face N takes another, and morphstream faces numbers them"


def _rule_of(face: int | str) -> "Rule":
    from morphstream.face.assign import At, everyone, largest

    if face == "all":
        return everyone
    return largest if face == "largest" else At(face)  # type: ignore[arg-type]  # the texts were checked


def _read_face(text: str) -> int | str:
    if text in _WORDS:
        return text
    try:
        return whole_number(1, 10**6)(text)
    except ValueError:
        raise ValueError(f"expected a number from the left, 1 or more, {', '.join(_WORDS)}, seen {text!r}") from None


def _read_faces(text: str) -> list[int | str]:
    if not (names := read_names(text)):
        raise ValueError(f"expected numbers from the left, {', '.join(_WORDS)} or all, seen {text!r}")
    return [name if name == "all" else _read_face(name) for name in names]
