"""What `check` locked of every model, together: a table, the rows of its plots, and which targets were executed."""

import math
from collections.abc import Iterator, Mapping

Record = Mapping[str, Mapping[str, float]]  # by subject, as in build/check/MODEL.json
Records = Mapping[str, Record]  # by model

_PLOTS = {"pixels": "pixels", "scores": "score", "decibels": "psnr_db", "labels": "labels_off"}  # figure by plot


def executed(records: Records) -> dict[str, bool]:
    """Return whether every model's engine was executed, by target."""
    found: dict[str, bool] = {}
    for (_, subject), is_executed in _figures(records, "executed"):
        found[subject] = bool(is_executed) and found.get(subject, True)
    return found


def table(records: Records) -> str:
    """Return a line a model and a column a subject."""
    subjects = list(dict.fromkeys(subject for record in records.values() for subject in record))
    rows = [["", *subjects]]
    rows += [[model, *(words_of(record.get(subject)) for subject in subjects)] for model, record in records.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def plots(records: Records) -> dict[str, dict[str, float]]:
    """Return the bars of every plot, by its name: of each comparison, by model and subject, one meaning's figure.

    Nines are those that the least cosine begins with, of any column or embedding.
    """
    found = {name: bars(records, kind) for name, kind in _PLOTS.items()}
    cosines = bars(records, "cosine") | bars(records, "column_cosine")
    return found | {"nines": {name: round(-math.log10(1 - cosine)) for name, cosine in cosines.items()}}


def bars(records: Records, kind: str) -> dict[str, float]:
    """Return a figure of each comparison that has it."""
    return {" ".join(names): value for names, value in _figures(records, kind)}


def _figures(records: Records, kind: str) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield each model and subject that has a figure of a kind, and the figure."""
    for model, record in records.items():
        for subject, figures in record.items():
            if kind in figures:
                yield (model, subject), figures[kind]


def words_of(figures: Mapping[str, float] | None) -> str:
    """Return what was found of one comparison, in words."""
    if figures is None:
        return "-"
    if not figures.get("executed", True):
        return "not executed"
    words = {
        "pixels": "<= {} px",
        "score": "scores <= {} off",
        "cosine": "cosine >= {}",
        "column_cosine": "columns >= {}",
        "psnr_db": ">= {} dB",
        "labels_off": "<= {} of labels off",
    }
    return ", ".join(text.format(figures[name]) for name, text in words.items() if name in figures)
