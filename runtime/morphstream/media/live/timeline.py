"""One timeline for what an input gives, whatever its clock does."""

import time
from collections.abc import Callable
from fractions import Fraction

PICTURES, SOUND = "pictures", "sound"
_MOST_BACK_S, _MOST_AHEAD_S = 1, 10  # from one time to the next of the same kind; more is a jump of the clock


class Timeline:
    """Maps the times of an input's clock to times from 0 that go on where that clock jumps or begins again.

    Pictures and sound have one clock and keep their distance: of a jump, the kind that meets it second follows the
    first.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            now: The clock of this machine, in seconds.
        """
        self._now, self._last, self._shifts = now, dict[str, Fraction](), dict[str, Fraction]()
        self._edge, self._edge_at = Fraction(0), now()  # the latest picture's time, and when that came
        self._is_new = True

    def restart(self) -> None:
        """Have the next times begin a new count, as after a connection was lost."""
        self._last.clear()
        self._shifts.clear()

    def time_of(self, kind: str, raw: Fraction) -> Fraction:
        """Return the time on the timeline; that after a jump is later by what has passed meanwhile, 10 s at most.

        Args:
            kind: Of what has that time, `PICTURES` or `SOUND`.
            raw: By the input's clock, in seconds.
        """
        last = self._last.get(kind)
        if last is None or not -_MOST_BACK_S <= raw - last <= _MOST_AHEAD_S:
            self._shifts[kind] = self._shift_of(kind, raw)
        self._last[kind] = raw
        placed = raw + self._shifts[kind]
        if kind == PICTURES and placed >= self._edge:  # sound may be read long before it is heard
            self._edge, self._edge_at, self._is_new = placed, self._now(), False
        return placed

    def _shift_of(self, kind: str, raw: Fraction) -> Fraction:
        own = self._shifts.get(kind)
        for other, shift in self._shifts.items():
            if other != kind and shift != own and abs(raw - self._last[other]) <= _MOST_AHEAD_S:
                return shift
        passed = 0.0 if self._is_new else min(self._now() - self._edge_at, _MOST_AHEAD_S)
        return self._edge + Fraction(round(passed * 1000), 1000) - raw
