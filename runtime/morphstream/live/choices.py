"""What the user of a page has chosen: people, who becomes whom, the look; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType

from morphstream.face.assign import ONE_PERSON, Rule, Wanted, everyone, like
from morphstream.face.look import LANDMARKERS, OCCLUDERS, PARSERS, REGIONS, RESTORERS, Look
from morphstream.face.types import FoundFaces, Identity

LOOKS: Mapping[str, list[object]] = {  # what a page offers of each field, of regions several
    "occluder": [*OCCLUDERS, None],
    "regions": list(REGIONS),
    "parser": list(PARSERS),
    "own": [True, False],
    "landmarker": [*LANDMARKERS, None],
    "pixel_boost": [None, 256, 384, 512],
    "restorer": [*RESTORERS, None],
}
_FIELDS = frozenset(one.name for one in fields(Look))


@dataclass(frozen=True, slots=True)
class Person:
    """Someone whose face is put in.

    Attributes:
        name: As the user calls them.
        identity: Of their picture.
    """

    name: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class ChosenFace:
    """A face of the stream that becomes a person.

    Attributes:
        person: Number of that person.
        seen: Whose face it is, by which it is known when it comes back.
    """

    person: int
    seen: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user of a page has chosen.

    Attributes:
        look: How swaps are drawn.
        people: By number.
        everyone: Number of the person that all faces become which aren't in `faces`; None for nobody.
        faces: Faces that were chosen, one for each who is seen.
    """

    look: Look
    people: Mapping[int, Person] = field(default_factory=lambda: MappingProxyType({}))
    everyone: int | None = None
    faces: Sequence[ChosenFace] = ()

    @classmethod
    def of(cls, people: Sequence[Person], look: Look) -> "Choices":
        """Return choices with people, the first of whom everyone becomes."""
        return cls(look=look, people=dict(enumerate(people, 1)), everyone=1 if people else None)

    @property
    def wanted(self) -> Wanted:
        """Who becomes whom. Whom everyone becomes comes last, so that it has no face that was chosen for another."""
        rules = dict[Identity, list[Rule]]()
        for face in self.faces:
            rules.setdefault(self.people[face.person].identity, []).append(like(face.seen))
        if self.everyone is not None:
            identity = self.people[self.everyone].identity
            rules[identity] = [*rules.pop(identity, []), everyone]
        return rules

    def with_person(self, person: Person) -> "tuple[int, Choices]":
        """Return the number of a new person, and the choices with them; nobody becomes them yet."""
        number = max(self.people, default=0) + 1
        return number, replace(self, people={**self.people, number: person})

    def without_person(self, number: int) -> "Choices":
        """Return the choices without a person; faces that became them stay as they are."""
        return replace(
            self,
            people={key: person for key, person in self.people.items() if key != number},
            everyone=None if self.everyone == number else self.everyone,
            faces=[face for face in self.faces if face.person != number],
        )

    def with_face(self, seen: Identity, person: int | None) -> "Choices":
        """Return the choices with a person for who is seen, in place of one before; None for what everyone becomes."""
        others = [face for face in self.faces if face.seen.similarity(seen) < ONE_PERSON]
        return replace(self, faces=others if person is None else [*others, ChosenFace(person, seen)])

    def person_of(self, found: FoundFaces, index: int) -> int | None:
        """Return the number of the person that a face of a frame became; None for none."""
        identity = found.assignment.get(index)
        return next((number for number, person in self.people.items() if person.identity == identity), None)


def look_object(look: Look) -> dict[str, object]:
    """Return a look as JSON has it."""
    return {**asdict(look), "regions": sorted(look.regions) if look.regions else None}


def changed_look(look: Look, changes: Mapping[str, object]) -> Look:
    """Return a look with fields changed, as JSON has them.

    Raises:
        ValueError: There is no such field, or it takes no such value.
    """
    if odd := sorted(changes.keys() - _FIELDS):
        raise ValueError(f"look: expected {', '.join(sorted(_FIELDS))}, seen {', '.join(odd)}")
    try:
        return replace(look, **{name: _value_of(name, given) for name, given in changes.items()})  # type: ignore[arg-type]
    except TypeError as error:
        raise ValueError(f"look: expected values as /api/state has them, seen {error}") from None


def _value_of(name: str, given: object) -> object:
    """Return a field's value, which may be a list in JSON."""
    if not isinstance(given, list):
        return given
    return frozenset(given) if name == "regions" else tuple(given)
