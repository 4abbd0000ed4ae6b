"""For how long what is signed may be used."""

from dataclasses import dataclass

from morphstream.artifact.fields import check
from stages.bounds import Range, check_number

_DAYS = Range(1, 3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Days for which lists of documents are valid, and for which such a list is taken for the newest."""

    lists_days: int
    timestamp_days: int

    def __post_init__(self) -> None:
        check(self)
        check_number("lists_days", self.lists_days, _DAYS)
        check_number("timestamp_days", self.timestamp_days, _DAYS)
