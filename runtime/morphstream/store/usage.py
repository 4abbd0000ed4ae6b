"""The order in which models were last used, by counting, as a clock may jump."""

import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"([1-9][0-9]{0,17})\.(.+)")


class Usage:
    """A folder with an empty file ``NUMBER.MODEL`` for each model; the highest number was used last.

    Processes share it without a lock: of two uses at the same time either may count as the later one. On a volume that
    can't be written nothing is recorded.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def touch(self, model: str) -> None:
        """Record that a model is used now."""
        uses = self._uses()
        number, latest = uses[-1] if uses else (0, "")
        if model != latest and not self._folder.is_symlink():
            with suppress(OSError):
                self._folder.mkdir(exist_ok=True)
                (self._folder / f"{number + 1}.{model}").touch()
                self._remove(model, uses)

    def forget(self, model: str) -> None:
        """Remove the record of a model."""
        with suppress(OSError):
            self._remove(model, self._uses())

    def order(self, models: Iterable[str]) -> list[str]:
        """Return models in the order of their last use, those never used first, by name."""
        numbers = {model: number for number, model in self._uses()}
        return sorted(models, key=lambda model: (numbers.get(model, 0), model))

    def _remove(self, model: str, uses: Iterable[tuple[int, str]]) -> None:
        for number, used in uses:
            if used == model:
                (self._folder / f"{number}.{model}").unlink(missing_ok=True)

    def _uses(self) -> list[tuple[int, str]]:
        """Return the number and the model of each file, in order."""
        with suppress(OSError):
            found = (_NAME.fullmatch(path.name) for path in self._folder.iterdir() if _is_own(path))
            return sorted((int(match[1]), match[2]) for match in found if match)
        return []


def _is_own(path: Path) -> bool:
    """Return whether a path may be a record: an empty file."""
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_size == 0
