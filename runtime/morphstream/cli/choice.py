"""The options that say which face of which source goes to which face of a target, and the `Wanted` that they make."""

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import NoFaceError
from morphstream.cli.options import UsageError, checked, number, read_names, whole_number

if TYPE_CHECKING:
    from morphstream.face.analyser import FaceAnalyser
    from morphstream.face.assign import Rule, Wanted
    from morphstream.face.look import Look
    from morphstream.face.types import FoundFaces, Identity

Place = int | str | Path  # which faces: a number from the left, a word, or a picture of who it is
_WORDS = ("left", "right", "largest")
NAME = "[^=/,]+"
_NAMED = re.compile(f"({NAME})=(.*)", re.DOTALL)
_REMEDY = "--source-face N takes another, and morphstream faces numbers them"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePerson:
    """Someone whose face is put in.

    Attributes:
        name: As options name them.
        pictures: Of them; their identity is the mean of these.
        face: Which face of each picture it is.
        places: Which faces of a target become theirs; none where nothing was chosen.
    """

    name: str
    pictures: Sequence[Path]
    face: Place = "largest"
    places: Sequence[Place] = ()


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose faces."""
    text = "another source, as often as there are more; its options below come in the same order"
    parser.add_argument("--add-source", type=Path, action="append", default=[], metavar="PICTURE", help=text)
    add_people(parser)
    text = "YAML file with source, map and threshold, as these options have them"
    parser.add_argument("--people", type=Path, metavar="FILE", help=text)
    text = "which face of a source: its number from the left, left, right or largest (largest)"
    parser.add_argument("--source-face", type=checked(_read_face), action="append", default=[], help=text)
    text = (
        "which faces of a target, with commas between: numbers from the left, left, right, largest or all (all; of "
        "several sources the first becomes the leftmost face, and so on)"
    )
    parser.add_argument("--target-face", type=checked(_read_faces), action="append", default=[], help=text)


def add_people(parser: argparse.ArgumentParser) -> None:
    """Add the options that name people: ``--source``, ``--map`` and ``--threshold``."""
    text = (
        "a source with a name, and its pictures with commas between, whose mean it is; as often as there are more. "
        "With it every other name on the command line is a target"
    )
    parser.add_argument(
        "--source", type=checked(_read_source), action="append", default=[], metavar="NAME=PICTURE[,...]", help=text
    )
    text = (
        "which faces become a source, with commas between: pictures of the person who is replaced, numbers from the "
        "left, left, right, largest or all; the other faces stay. A source without a name has that of its file"
    )
    parser.add_argument(
        "--map", type=checked(_read_map), action="append", default=[], metavar="NAME=FACE[,...]", help=text
    )
    text = "minimum cosine of a face and a picture of --map, -1 to 1: less finds more (0.4)"
    parser.add_argument("--threshold", type=checked(number(-1, 1)), metavar="COSINE", help=text)


def people_of(paths: Sequence[Path], options: argparse.Namespace) -> list[SourcePerson]:
    """Return the sources in their order: those without an option, of ``--add-source``, of ``--source``.

    Args:
        paths: The sources without an option.
        options: Those of `add_choice`.

    Raises:
        UsageError: A choice of faces has no source, or a source none.
    """
    named = [*((path.stem, (path,)) for path in [*paths, *options.add_source]), *options.source]
    people = [SourcePerson(name=name, pictures=pictures) for name, pictures in named]
    if len(options.source_face) > len(people):
        seen = len(options.source_face)
        raise UsageError(f"--source-face: expected one for each of {len(people)} sources at most, seen {seen}")
    people = [replace(person, face=face) for person, face in zip(people, options.source_face, strict=False)] + people[
        len(options.source_face) :
    ]
    if options.map:
        if options.target_face:
            raise UsageError("--map: expected it or --target-face, seen both; map every source")
        return _mapped(people, options.map)
    if len(options.target_face) not in (0, len(people)):
        seen = len(options.target_face)
        raise UsageError(f"--target-face: expected one for each of {len(people)} sources, or none, seen {seen}")
    return [
        replace(person, places=places) for person, places in zip(people, options.target_face, strict=False)
    ] or people


def _mapped(people: Sequence[SourcePerson], maps: Iterable[tuple[str, Sequence[Place]]]) -> list[SourcePerson]:
    """Return people with the faces that ``--map`` gives them."""
    names, places = Counter(person.name for person in people), dict[str, list[Place]]()
    for name, own in maps:
        if names[name] != 1:
            seen = f"{name!r} of {names[name]}" if names[name] else repr(name)
            raise UsageError(f"--map: expected the name of one source, of {', '.join(names)}, seen {seen}")
        places.setdefault(name, []).extend(own)
    if unmapped := [name for name in names if name not in places]:
        raise UsageError(f"--map: expected faces for each source, seen none for {', '.join(unmapped)}")
    return [replace(person, places=places[person.name]) for person in people]


def pictures_of(people: Iterable[SourcePerson]) -> list[Path]:
    """Return every picture that people are known by: their own, and those of whom they replace."""
    places = [place for person in people for place in person.places if isinstance(place, Path)]
    return [*chain.from_iterable(person.pictures for person in people), *places]


def wanted_of(
    analyser: "FaceAnalyser", people: Sequence[SourcePerson], look: "Look", *, threshold: float | None, max_pixels: int
) -> tuple["Wanted", list[str]]:
    """Identify the faces of sources; return who becomes whom, and what was chosen where there was a choice.

    Args:
        analyser: Finds and identifies faces.
        people: The sources.
        look: Says how faces are found.
        threshold: Minimum cosine of a face and a reference picture; None for that of `Like`.
        max_pixels: Of a picture, as in `read_picture`.

    Raises:
        ImageError: A picture can't be read.
        NoFaceError: A picture has no face, or fewer than its number.
        SessionError: An engine failed.
    """
    identities, notes = identities_of(analyser, people, look, max_pixels=max_pixels)

    def like(path: Path) -> "Rule":
        identity, note = _identify(analyser, path, "largest", look, max_pixels)
        notes.extend([f"{note}; crop it to another for another"] if note else [])
        return _like(identity, threshold)

    wanted: dict[Identity, list[Rule]] = {}
    for own_place, (person, identity) in enumerate(zip(people, identities, strict=True), 1):
        places = person.places or ["all" if len(people) == 1 else own_place]
        rules = [like(place) if isinstance(place, Path) else _rule_of(place) for place in places]
        wanted.setdefault(identity, []).extend(rules)  # two sources may be one identity
    return wanted, notes


def identities_of(
    analyser: "FaceAnalyser", people: Sequence[SourcePerson], look: "Look", *, max_pixels: int
) -> tuple[list["Identity"], list[str]]:
    """Identify sources; return the identity of each, and what was chosen where there was a choice.

    Args, Raises: as of `wanted_of`.
    """
    from morphstream.face.types import Identity

    identities, notes = list[Identity](), list[str]()
    for person in people:
        own = list[Identity]()
        for path in person.pictures:
            identity, note = _identify(analyser, path, person.face, look, max_pixels)
            own.append(identity)
            notes += [f"{note}; {_REMEDY}"] if note else []
        notes += _strangers(person, own)
        identities.append(Identity.mean_of(own))
    return identities, notes


def why_nobody(found: "FoundFaces", people: Sequence[SourcePerson]) -> str:
    """Return why no face of a frame is swapped, and what to do."""
    if not found.faces:
        return f"expected a face to swap, {found.reason}"
    places = [place for person in people for place in person.places]
    chosen = " and ".join(",".join(map(str, person.places)) for person in people if person.places) or "its place"
    remedy = "run morphstream faces, which numbers them"
    if any(isinstance(place, Path) for place in places):
        remedy = "lower --threshold, or name another picture of that person"
    return f"expected a face to swap, seen {len(found.faces)} and none that {chosen} picks; {remedy}"


def _strangers(person: SourcePerson, identities: Sequence["Identity"]) -> Iterable[str]:
    """Yield a note for each picture that isn't like any other of its person."""
    from morphstream.face.assign import ONE_PERSON

    for place, identity in enumerate(identities):
        others = [*identities[:place], *identities[place + 1 :]]
        if others and (cosine := max(map(identity.similarity, others))) < ONE_PERSON:
            expected = f"expected who {person.name}'s other pictures show, seen a cosine of {cosine:.2f} at most"
            yield f"{person.pictures[place]}: {expected}; leave it out if it shows another"


def _identify(
    analyser: "FaceAnalyser", path: Path, choice: Place, look: "Look", max_pixels: int
) -> tuple["Identity", str]:
    """Return the identity of the chosen face of a picture, and a note where it has several."""
    from morphstream.cli.pictures import hushed
    from morphstream.face.assign import from_left, pick
    from morphstream.media.image import read_image

    with hushed():
        frame = read_image(path, max_pixels=max_pixels)
    found = analyser.find(frame, look)
    if not found.faces:
        raise NoFaceError(f"{path}: expected a face to identify, {found.reason}")
    picked = list(pick(_rule_of(choice), found.faces, list))
    if not picked:
        seen = f"seen {len(found.faces)} faces"
        raise NoFaceError(f"{path}: expected face {choice} from the left, {seen}; run: morphstream faces {path}")
    (identity,) = analyser.embed(frame, [found.faces[picked[0]]])
    if len(found.faces) == 1:
        return identity, ""
    which = "" if isinstance(choice, int) else f", the {choice}"
    place_number = from_left(found.faces).index(picked[0]) + 1
    took = f"{len(found.faces)} faces found, took number {place_number} from the left{which}"
    return identity, f"{path}: {took}"


def _like(reference: "Identity", threshold: float | None) -> "Rule":
    from morphstream.face.assign import ONE_PERSON, Like

    return Like(reference, ONE_PERSON if threshold is None else threshold)


def _rule_of(place: Place) -> "Rule":
    from morphstream.face.assign import At, everyone, largest

    if place == "all":
        return everyone
    return largest if place == "largest" else At(place)  # type: ignore[arg-type]  # the texts were checked


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


def _read_source(text: str) -> tuple[str, list[Path]]:
    """Return the name of a source, of its first picture where it has none, and its pictures."""
    named = _NAMED.fullmatch(text)
    if not (paths := [Path(name) for name in read_names(named[2] if named else text)]):
        raise ValueError(f"expected NAME=PICTURE, or several pictures with commas between, seen {text!r}")
    return named[1].strip() if named else paths[0].stem, paths


def _read_map(text: str) -> tuple[str, list[Place]]:
    """Return the name of a source, and which faces become it; what is no place in a frame is a picture."""
    named = _NAMED.fullmatch(text)
    if not named or not (names := read_names(named[2])):
        seen = f"numbers from the left, {', '.join(_WORDS)} or all, seen {text!r}"
        raise ValueError(f"expected NAME=FACE, with FACE a picture of who is replaced, or {seen}")
    return named[1].strip(), [place_of(name) for name in names]


def place_of(text: str) -> Place:
    """Return which faces a text names: a whole number, a word, or else the path of a picture."""
    if text in ("all", *_WORDS):
        return text
    return _read_face(text) if text.isdecimal() else Path(text)
