"""Who becomes whom: rules that pick faces of a frame, and the new identity of each face; pure.

A face is named by its index in the list of the frame's faces.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from math import nan
from typing import Literal, SupportsIndex

from morphstream.face.types import Face, Identity

ONE_PERSON = 0.4  # cosine of two faces, above which they are one person's. Source: FaceFusion


class Rule:
    """Picks faces of a frame."""

    __slots__ = ()


class Named(Rule, Enum):
    """The rules without parameters."""

    EVERYONE = "picks every face"
    LARGEST = "picks the face with the largest box; of equal ones the first"


@dataclass(frozen=True, slots=True)
class At(Rule):
    """Picks one face by the order of the boxes' centres from left to right; no face where there are fewer.

    Attributes:
        position: ``left``, ``right``, or a number that counts from the left, 1 or more.

    Raises:
        ValueError: It is none of these.
    """

    position: int | Literal["left", "right"]

    def __post_init__(self) -> None:
        if self.position not in ("left", "right") and not (type(self.position) is int and self.position >= 1):
            raise ValueError(f"at: expected left, right, or 1 or more from the left, seen {self.position!r}")


@dataclass(frozen=True, slots=True)
class Like(Rule):
    """Picks every face of one person.

    Attributes:
        reference: Who it is, as another picture shows.
        threshold: Minimum cosine of a face and the reference, -1..1.

    Raises:
        TypeError: The reference is no identity.
        ValueError: The threshold is no cosine.
    """

    reference: Identity
    threshold: float = ONE_PERSON

    def __post_init__(self) -> None:
        if not isinstance(self.reference, Identity):
            seen = type(self.reference).__name__
            raise TypeError(f"like: expected an identity as reference, seen {seen}; identify the picture first")
        if not -1 <= self.threshold <= 1:
            raise ValueError(f"like: expected a cosine of -1..1 as threshold, seen {self.threshold}")


Wanted = Identity | Mapping[int, Identity] | Mapping[Identity, Rule | Sequence[Rule]]
everyone, largest, at, like = Named.EVERYONE, Named.LARGEST, At, Like


def from_left(faces: Sequence[Face]) -> list[int]:
    """Return the indices of faces by the order of their boxes' centres from left to right, as `at` counts them."""
    return sorted(range(len(faces)), key=lambda face: float(faces[face].box_xyxy[[0, 2]].sum()))


def assign(
    faces: Sequence[Face],
    wanted: Wanted,
    identities: Callable[[], Sequence[Identity]],
    *,
    held: Mapping[object, int] | None = None,
) -> dict[int, Identity]:
    """Return the new identity of faces, by index; faces that nothing picks are left out.

    A face that several rules pick gets the identity named first. But where that one's rule is a `like`, it gets the
    identity of the `like` with the greatest cosine.

    Args:
        faces: Of one frame.
        wanted: An identity for every face; or identities by index, of which those without a face are ignored; or a rule
            for each identity, or several.
        identities: Returns the identities of the faces, in their order; called once at most, and only for a `like`.
        held: The face that each rule by place or size has picked earlier, as in `hold`; None to let it pick now.
    """
    assignment, cosines, identities = dict[int, Identity](), dict[int, float](), cache(identities)
    for identity, rule in wishes_of(wanted):
        for face, cosine in pick(rule, faces, identities, held).items():
            if face not in assignment or cosine > cosines[face]:
                assignment[face], cosines[face] = identity, cosine
    return assignment


def wishes_of(wanted: Wanted) -> list[tuple[Identity, object]]:
    """Return each identity that is wanted with its rule, or its rules.

    Raises:
        TypeError: There is something else than identities.
    """
    wishes: Mapping[int, Identity] | Mapping[Identity, Rule | Sequence[Rule]]
    wishes = {wanted: everyone} if isinstance(wanted, Identity) else wanted
    if not isinstance(wishes, Mapping):
        raise TypeError(f"assign: expected an identity, or a mapping with identities, seen {type(wishes).__name__}")
    found: list[tuple[Identity, object]] = []
    for key, value in wishes.items():
        identity, rule = (key, value) if isinstance(key, Identity) else (value, key)
        if not isinstance(identity, Identity):
            raise TypeError(f"assign: expected an identity, seen {identity!r}")
        found.append((identity, rule))
    return found


def rules_of(wanted: Wanted) -> list[object]:
    """Return the rules of all that is wanted, in order; errors as in `wishes_of`."""
    rules = [rule for _, rule in wishes_of(wanted)]
    return [one for rule in rules for one in (rule if isinstance(rule, list | tuple) else [rule])]


def is_by_place(rule: object) -> bool:
    """Return whether a rule picks one face by where it is or how large, so that it is decided once for a track."""
    return rule is not everyone and (rule is largest or isinstance(rule, At | SupportsIndex))


def hold(
    faces: Sequence[Face], tracks: Sequence[int], begun: Collection[int], wanted: Wanted, held: Mapping[object, int]
) -> dict[object, int]:
    """Return which track has each rule by place or size, now that tracks have begun.

    A rule stays with its track. One that no track has picks among all faces, and has whom it picks if that track has
    just begun.

    Args:
        faces: Of a frame.
        tracks: The number of each.
        begun: Of the tracks that begin with this frame.
        wanted: Who becomes whom.
        held: The track of each rule so far; those whose track has ended are left out.
    """
    found = dict(held)
    for rule in rules_of(wanted):
        if is_by_place(rule) and rule not in found:
            for face in pick(rule, faces, list):
                if tracks[face] in begun:
                    found[rule] = tracks[face]
    return found


def pick(
    rule: object,
    faces: Sequence[Face],
    identities: Callable[[], Sequence[Identity]],
    held: Mapping[object, int] | None = None,
) -> Mapping[int, float]:
    """Return the faces that a rule picks, each with its cosine: NaN, which is never greater, if it isn't a `like`."""
    order = from_left(faces)
    match rule:
        case Named.EVERYONE:  # this and others before SupportsIndex, as to ask for that takes long
            picked = order
        case Like(reference=reference, threshold=threshold):
            cosines = [identity.similarity(reference) for identity in identities()] if faces else []
            return {face: cosine for face, cosine in enumerate(cosines) if cosine >= threshold}
        case [*rules] if rules:
            return {face: cosine for one in rules for face, cosine in pick(one, faces, identities, held).items()}
        case Named.LARGEST | At() | SupportsIndex() if held is not None:
            picked = [face for face in order if face == held.get(rule)]
        case Named.LARGEST:
            picked = sorted(range(len(faces)), key=lambda face: -faces[face].area)[:1]
        case At(position="left" | "right"):
            picked = order[:1] if rule.position == "left" else order[-1:]
        case At(position=int(number)):
            picked = order[number - 1 : number]
        case SupportsIndex():
            picked = [face for face in order if face == rule]
        case _:
            raise TypeError(f"assign: expected a rule such as largest, at(2) or like(identity), seen {rule!r}")
    return dict.fromkeys(picked, nan)
