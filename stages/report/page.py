"""One page of all that the report found: HTML without scripts, whose pictures and styles are in it."""

import base64
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from morphstream import __version__
from morphstream.session.load import usable_cores
from stages.report.engine_times import EngineTime
from stages.report.pictures import Pictures
from stages.report.sizes import Sizes
from stages.report.swaps import Swap
from stages.summary import Records, executed, words_of

Found = Mapping[str, Mapping[str, Mapping[str, object]]]  # by model and subject, as in build/measured/check
_HERE = Path(__file__).parent
_UNITS = ("bytes", "KiB", "MiB", "GiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the page shows.

    Attributes:
        passed: Swap models that were judged.
        faces_at_least: How many faces each of them had to bring nearer to the source.
        swaps: What each swap model made of the photo.
        pictures: Of the first of them; None where there is none.
        engine_times: What each engine for this machine costs.
        sizes: What is published.
        records: The locked verdicts, by model.
        measured: The exact figures of this machine; of models that were checked here.
    """

    passed: Sequence[str]
    faces_at_least: int
    swaps: Sequence[Swap]
    pictures: Pictures | None
    engine_times: Sequence[EngineTime]
    sizes: Sizes
    records: Records
    measured: Found

    @property
    def subjects(self) -> list[str]:
        """What was compared: prepared models, half precision, targets."""
        return list(dict.fromkeys(subject for record in self.records.values() for subject in record))

    @property
    def steps_ms(self) -> list[float]:
        """Milliseconds of all steps of each swap."""
        return [sum(swap.steps_ms.values()) for swap in self.swaps]

    @property
    def not_executed(self) -> dict[tuple[str, str], list[str]]:
        """The models whose engines nothing here could execute, by target and reason."""
        found: dict[tuple[str, str], list[str]] = {}
        for model, record in self.records.items():
            for subject, figures in record.items():
                if not figures.get("executed", True):
                    reason = self.measured.get(model, {}).get(subject, {}).get("reason", "not checked on this machine")
                    found.setdefault((subject, str(reason)), []).append(model)
        return found

    @property
    def exact(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Model, subject, reference, output and its exact figures in words."""
        for model, record in self.measured.items():
            for subject, references in record.items():
                for reference, outputs in references.items():
                    if isinstance(outputs, Mapping):
                        for output, figures in outputs.items():
                            yield model, subject, reference, output, _exact_words(figures)


def render(page: Page) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"data": _data_uri, "size": size_words, "ms": _milliseconds}
    html = environment.get_template("page.html.jinja").render(
        page=page,
        executed=executed(page.records),
        words_of=words_of,
        zip=zip,
        low=_floor_of(page.swaps),
        machine=f"{platform.machine()}, {usable_cores()} cores, {platform.system()} {platform.release()}",
        version=__version__,
    )
    return html.lstrip()


def size_words(count: int) -> str:
    """Return a number of bytes in words."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.{0 if unit == 0 or value >= 100 else 1}f} {_UNITS[unit]}"


def _milliseconds(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _floor_of(swaps: Sequence[Swap]) -> float:
    """Return where the axis of cosines begins: a multiple of 0.2 below all of them, 0 at most."""
    least = min((value for swap in swaps for value in (*swap.before, *swap.after)), default=0.0)
    return min(0.0, least // 0.2 * 0.2)


def _exact_words(figures: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {value:.8g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
