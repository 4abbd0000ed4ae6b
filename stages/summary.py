"""What `check` locked of every model, together: a table, the rows of its plots, and which targets were executed."""

import math
from collections.abc import Iterator, Mapping

Record = Mapping[str, Mapping[str, float]]  # by subject, as in build/check/MODEL.json
Records = Mapping[str, Record]  # by model


def executed(records: Records) -> dict[str, bool]:
    """Return whether every model's engine was executed, by target."""
    found: dict[str, bool] = {}
    for record in records.values():
        for subject, figures in record.items():
            if "executed" in figures:
                found[subject] = bool(figures["executed"]) and found.get(subject, True)
    return found


def table(records: Records) -> str:
    """Return a line a model and a column a subject."""
    subjects = list(dict.fromkeys(subject for record in records.values() for subject in record))
    rows = [["", *subjects]]
    rows += [[model, *(_cell(record.get(subject)) for subject in subjects)] for model, record in records.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def nines(records: Records) -> Iterator[tuple[str, int]]:
    """Yield each comparison of numbers and how many nines its cosine begins with."""
    for name, figures in _comparisons(records):
        if "cosine" in figures:
            yield name, round(-math.log10(1 - figures["cosine"]))


def decibels(records: Records) -> Iterator[tuple[str, float]]:
    """Yield each comparison of crops and its PSNR in dB."""
    for name, figures in _comparisons(records):
        if "psnr_db" in figures:
            yield name, figures["psnr_db"]


def _comparisons(records: Records) -> Iterator[tuple[str, Mapping[str, float]]]:
    for model, record in records.items():
        for subject, figures in record.items():
            yield f"{model} {subject}", figures


def _cell(figures: Mapping[str, float] | None) -> str:
    if figures is None:
        return "-"
    if not figures.get("executed", True):
        return "not executed"
    words = {"cosine": "cosine >= {}", "psnr_db": ">= {} dB", "labels_off": "<= {} off"}
    return ", ".join(words[name].format(value) for name, value in figures.items() if name in words)
