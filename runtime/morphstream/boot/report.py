"""The report of a boot, step by step, for people, for other programs and for metrics."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Self

from morphstream.artifact.errors import MorphstreamError, NoEngineError, message_of
from morphstream.artifact.target import CacheKey

_log = logging.getLogger("morphstream.boot")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootStep:
    """A step of a boot: its name, such as ``install``, how long it took, and its result in one line."""

    name: str
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootReport:
    """What a boot did.

    Attributes:
        cache_key: Cache key of the engines that the store holds now.
        archive: Where they came from: the name of an archive, or ``trt_cache/CACHE_KEY``.
        was_good: They were there already, and nothing was touched.
        steps: The steps in their order.
        fallbacks: Why something other than the best was selected, in a few words each; empty where nothing went wrong.
    """

    cache_key: CacheKey
    archive: str
    was_good: bool
    steps: tuple[BootStep, ...]
    fallbacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        done = "was there already" if self.was_good else "booted"
        steps = ", ".join(f"{step.name} {step.seconds:.2f} s" for step in self.steps)
        fallbacks = f"; second best: {', '.join(self.fallbacks)}" if self.fallbacks else ""
        return f"{self.cache_key} from {self.archive} {done}: {steps}{fallbacks}"

    def to_json(self) -> str:
        """Return the report as one JSON object; the ``error`` in it is null, as the boot succeeded."""
        return json.dumps(asdict(self) | {"cache_key": str(self.cache_key), "error": None}, indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a report that `to_json` has written.

        Raises:
            MorphstreamError: The text is no such report.
        """
        try:
            data = json.loads(text)
            if error := data.pop("error", None):
                raise MorphstreamError(f"boot report: expected that of a boot that succeeded, seen: {error}")
            data["cache_key"] = CacheKey.parse(data["cache_key"])
            data["steps"] = tuple(BootStep(**step) for step in data["steps"])
            data["fallbacks"] = tuple(data["fallbacks"])
            return cls(**data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            expected = "boot report: expected what `morphstream boot --json` says"
            raise MorphstreamError(f"{expected}, seen {error}") from error


class BootLog:
    """The steps and the fallbacks of a boot so far, which are logged as they come."""

    def __init__(self) -> None:
        self._steps, self._fallbacks = list[BootStep](), dict[str, None]()

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time a step; yields a list for notes on its result, to which an error that ends it is added."""
        notes, start, level = list[str](), time.perf_counter(), logging.INFO
        try:
            yield notes
        except Exception as error:
            notes.append(str(error))
            level = logging.INFO if isinstance(error, NoEngineError) else logging.WARNING
            raise
        finally:
            step = BootStep(name=name, seconds=time.perf_counter() - start, reason=message_of("; ".join(notes)))
            self._steps.append(step)
            _log.log(level, "%s %.2f s: %s", name, step.seconds, step.reason)

    def fall_back(self, reason: str, seen: object = "") -> None:
        """Note that the second best is selected, and log what was seen, if anything."""
        self._fallbacks[reason] = None
        if seen:
            _log.warning("%s: %s", reason, message_of(seen))

    def so_far(self) -> dict[str, object]:
        """Return what a report in JSON says of a boot that hasn't ended, or was refused."""
        done = {"steps": [asdict(step) for step in self._steps], "fallbacks": list(self._fallbacks)}
        return {"cache_key": None, "archive": None, "was_good": False, **done}

    def report(self, key: CacheKey, archive: str, *, was_good: bool) -> BootReport:
        """Return the report of a boot that has ended."""
        steps, fallbacks = tuple(self._steps), tuple(self._fallbacks)
        return BootReport(cache_key=key, archive=archive, was_good=was_good, steps=steps, fallbacks=fallbacks)
