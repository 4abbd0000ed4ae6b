"""When models were used last, as against others: by counting, as a clock may jump."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_LONGEST = 20  # digits of a count


class Usage:
    """A folder with a file a model, whose number is higher than those of all that were used before it.

    Processes share it without a lock: what gets lost between two of them is an order that nobody saw. A volume that
    can't be written to will do; nothing is noted then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def touch(self, model: str) -> None:
        """Note that a model is used now."""
        with suppress(OSError):
            latest = max(map(self._count, self._models()), default=0)
            if latest and self._count(model) == latest:
                return
            self._folder.mkdir(exist_ok=True)
            (self._folder / model).write_text(str(latest + 1))

    def forget(self, model: str) -> None:
        """Note nothing of a model any more."""
        with suppress(OSError):
            (self._folder / model).unlink()

    def order(self, models: Iterable[str]) -> list[str]:
        """Return models in the order of their last use; those that never were come first, by name."""
        return sorted(models, key=lambda model: (self._count(model), model))

    def _models(self) -> list[str]:
        return [path.name for path in self._folder.glob("*")]

    def _count(self, model: str) -> int:
        """Return the number of a model; 0 where there is none, or it is damaged."""
        try:
            text = (self._folder / model).read_text("ascii", "replace")
        except OSError:
            return 0
        return int(text) if text.isdecimal() and len(text) <= _LONGEST else 0
