"""What a boot did, step by step, for people, for other programs and for metrics."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Self

from morphstream.artifact.errors import MorphstreamError, NoEngineError
from morphstream.artifact.target import CacheKey

_log = logging.getLogger("morphstream.boot")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootStep:
    """One thing that a boot did.

    Attributes:
        name: Such as ``install``.
        seconds: How long it took.
        reason: What came of it, in one line.
    """

    name: str
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootReport:
    """What a boot did.

    Attributes:
        cache_key: Of the engines that the store holds now.
        archive: Where they came from: the name of an archive, or ``trt_cache/CACHE_KEY``.
        was_good: They were there already, and nothing was touched.
        steps: In their order.
        fallbacks: What the second best was taken for, in a few words each; empty where all went as it should.
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
        """Return the report as one JSON object."""
        return json.dumps(asdict(self) | {"cache_key": str(self.cache_key)}, indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a report as `to_json` gives it.

        Raises:
            MorphstreamError: It is none.
        """
        try:
            data = json.loads(text)
            data["cache_key"] = CacheKey.parse(data["cache_key"])
            data["steps"] = tuple(BootStep(**step) for step in data["steps"])
            data["fallbacks"] = tuple(data["fallbacks"])
            return cls(**data)
        except (ValueError, KeyError, TypeError) as error:
            raise MorphstreamError(
                f"boot report: expected what `morphstream boot --json` says, seen {error}"
            ) from error


class Steps(list[BootStep]):
    """The steps that a boot has done so far."""

    @contextmanager
    def timed(self, name: str) -> Iterator[list[str]]:
        """Time a step, and note what it says of itself, or the error that ended it."""
        said, start = list[str](), time.perf_counter()
        level = logging.INFO
        try:
            yield said
        except Exception as error:
            said.append(str(error))
            level = logging.INFO if isinstance(error, NoEngineError) else logging.WARNING
            raise
        finally:
            self.append(
                BootStep(name=name, seconds=time.perf_counter() - start, reason=" ".join("; ".join(said).split()))
            )
            _log.log(level, "%s %.2f s: %s", name, self[-1].seconds, self[-1].reason)
