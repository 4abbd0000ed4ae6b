"""What `check` locked of every model, together: a table, the rows of its plots, and which targets were executed."""

import math
from collections.abc import Iterator, Mapping

Record = Mapping[str, Mapping[str, float]]  # by subject, as in build/check/MODEL.json
Records = Mapping[str, Record]  # by model


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
    rows += [[model, *(_cell(record.get(subject)) for subject in subjects)] for model, record in records.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def nines(records: Records) -> dict[str, int]:
    """Return how many nines the cosine of each comparison of numbers begins with."""
    return {" ".join(names): round(-math.log10(1 - cosine)) for names, cosine in _figures(records, "cosine")}


def decibels(records: Records) -> dict[str, float]:
    """Return the PSNR in dB of each comparison of crops."""
    return {" ".join(names): psnr_db for names, psnr_db in _figures(records, "psnr_db")}


def _figures(records: Records, kind: str) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield each model and subject that has a figure of a kind, and the figure."""
    for model, record in records.items():
        for subject, figures in record.items():
            if kind in figures:
                yield (model, subject), figures[kind]


def _cell(figures: Mapping[str, float] | None) -> str:
    if figures is None:
        return "-"
    if not figures.get("executed", True):
        return "not executed"
    words = {"cosine": "cosine >= {}", "psnr_db": ">= {} dB", "labels_off": "<= {} off"}
    return ", ".join(words[name].format(value) for name, value in figures.items() if name in words)
