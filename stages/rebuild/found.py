"""What came of a comparison, and the text of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

VERDICTS = ("equal", "different", "not compared")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One thing that was built again, or couldn't be.

    Attributes:
        name: Its published path, or a recipe's engine.
        verdict: One of `VERDICTS`.
        expected: The published digest or recipe.
        seen: The one that was built; empty where none was.
        why: Why it wasn't compared, or how it differs; empty where it is equal.
    """

    name: str
    verdict: str
    expected: str = ""
    seen: str = ""
    why: str = ""

    @property
    def line(self) -> str:
        """It as a line of text."""
        reason = f": {self.why}" if self.why else ""
        return f"{self.verdict:12}  {self.expected[:16] or '-':16}  {self.name}{reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What came of a rebuild.

    Attributes:
        what: As it was asked for.
        compared: In the order in which things are built.
        first: What differs first, in words; empty where nothing does.
    """

    what: str
    compared: Sequence[Compared]
    first: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether everything that could be compared is equal, and something could."""
        verdicts = {one.verdict for one in self.compared}
        return "different" not in verdicts and "equal" in verdicts

    def __str__(self) -> str:
        counts = {verdict: sum(one.verdict == verdict for one in self.compared) for verdict in VERDICTS}
        summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        return "\n".join([*(one.line for one in self.compared), f"{self.what}: {summary}"])

    def to_object(self) -> dict[str, object]:
        """Return it as JSON has it."""
        compared = [asdict(one) for one in self.compared]
        return {"what": self.what, "is_equal": self.is_equal, "first_difference": self.first, "compared": compared}
