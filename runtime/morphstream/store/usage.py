"""The order in which models were last used, by counting, as a clock may jump."""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"([0-9]{1,18})\.(.+)")


class Usage:
    """A folder with an empty file ``NUMBER.MODEL`` for each model; the highest number was used last.

    Processes share it without a lock: of two uses at the same time either may count as the later one. On a volume that
    can't be written nothing is recorded.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def touch(self, model: str) -> None:
        """Record that a model is used now."""
        counts = self._counts()
        latest = max(counts.values(), default=0)
        if counts and counts.get(model) == latest:
            return
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            (self._folder / f"{latest + 1}.{model}").touch()
            self._remove(model, latest)

    def forget(self, model: str) -> None:
        """Remove the record of a model."""
        with suppress(OSError):
            self._remove(model, 10**18)

    def order(self, models: Iterable[str]) -> list[str]:
        """Return models in the order of their last use, those never used first, by name."""
        counts = self._counts()
        return sorted(models, key=lambda model: (counts.get(model, 0), model))

    def _remove(self, model: str, most: int) -> None:
        """Remove the files of a model, up to a number."""
        for path in self._folder.iterdir():
            if (found := _NAME.fullmatch(path.name)) and found[2] == model and int(found[1]) <= most:
                path.unlink(missing_ok=True)

    def _counts(self) -> dict[str, int]:
        """Return the highest number of each model."""
        counts = dict[str, int]()
        with suppress(OSError):
            for path in self._folder.iterdir():
                if found := _NAME.fullmatch(path.name):
                    counts[found[2]] = max(counts.get(found[2], 0), int(found[1]))
        return counts
