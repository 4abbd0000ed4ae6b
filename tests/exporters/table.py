"""The table in docs/models.md of what works, made by exporting and preparing: ``python -m tests.exporters.table``."""

import re
import subprocess
import tempfile
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tests.exporters.outcome import outcome
from tests.stages import PARAMS, ROOT

PAGE = ROOT / "docs/models.md"
HERE = Path(__file__).parent
PACKAGES = (
    *("torch==2.13.0", "onnx==1.23.2", "onnxscript==0.7.2", "onnxruntime==1.32.0", "onnxsim==0.8.1"),
    *("onnxslim==0.1.98", "onnxconverter-common==1.16.0", "sympy==1.14.0"),
)
_BEGIN, _END = "<!-- table of exporters -->", "<!-- end of the table -->"
_KINDS = {  # of each model that is exported: its column
    "det_10g": "SCRFD",
    "w600k_r50": "IResNet",
    "2dfan4": "FAN",
    "fan_68_5": "5 to 68",
    "inswapper_128": "inswapper",
    "hyperswap_1a_256": "hyperswap",
    "xseg_1": "XSeg",
    "bisenet_resnet_18": "BiSeNet",
    "yolov8n": "YOLOv8",
    "gfpgan": "GFPGAN",
}

Outcomes = Mapping[str, Mapping[str, str]]  # by case and model


def export(folder: Path) -> Path:
    """Install torch and the tools into a folder, export there, and return the folder of cases."""
    venv.create(folder / "venv", with_pip=True)
    python, cases = folder / "venv/bin/python", folder / "cases"
    cases.mkdir()
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    subprocess.run([python, HERE / "export.py", cases], check=True, stdout=subprocess.DEVNULL)
    return cases


def outcomes_of(cases: Path, work: Path) -> Outcomes:
    """Prepare every exported file, and return what became of it."""
    found: dict[str, dict[str, str]] = {}
    for name in _KINDS:
        with np.load(cases / f"{name}.npz") as torch:
            arrays = dict(torch)
        for case in sorted(
            path for path in cases.iterdir() if (path / f"{name}.onnx").is_file() or (path / f"{name}.txt").is_file()
        ):
            found.setdefault(case.name, {})[name] = outcome(
                PARAMS.model(name), case / f"{name}.onnx", arrays, work / case.name / name
            )
    return found


def table_of(outcomes: Outcomes) -> str:
    """Return the table as Markdown: a row for cases that differ in nothing but the opset, with numbers for advices."""
    notes: dict[str, int] = {}
    lines = ["| made by | " + " | ".join(_KINDS.values()) + " |", "|---" * (len(_KINDS) + 1) + "|"]
    for case, row in _merged(outcomes):
        cells = []
        for name in _KINDS:
            said = row.get(name, "")
            cells.append(said if said in ("yes", "") else f"no ({notes.setdefault(said, len(notes) + 1)})")
        lines.append("| " + " | ".join([case, *cells]) + " |")
    lines += ["", *(f"{number}. {said}." for said, number in notes.items())]
    return "\n".join(lines)


def _merged(outcomes: Outcomes) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield rows; those of one exporter and batch with consecutive opsets and the same outcomes as one."""
    kinds: dict[str, list[tuple[int, Mapping[str, str]]]] = {}
    for case in sorted(outcomes):
        if found := re.fullmatch(r"(legacy|dynamo) (\d+), (.*)", case):
            kinds.setdefault(f"{found[1]}, {found[3]}", []).append((int(found[2]), outcomes[case]))
    for kind, rows in kinds.items():
        exporter, batch = kind.split(", ")
        while rows:
            first, row = rows[0]
            same = next((i for i, (_, other) in enumerate(rows) if other != row), len(rows))
            last, rows = rows[same - 1][0], rows[same:]
            yield f"torch, {exporter} exporter, opset {first}{f' to {last}' if last > first else ''}, {batch}", row
    yield from ((case, outcomes[case]) for case in sorted(outcomes) if not re.match("legacy|dynamo", case))


def written() -> str:
    """Return the table that the page has."""
    return PAGE.read_text("utf-8").partition(_BEGIN)[2].partition(_END)[0].strip()


def write(table: str) -> None:
    """Put a table into the page."""
    text = PAGE.read_text("utf-8")
    PAGE.write_text(f"{text.partition(_BEGIN)[0]}{_BEGIN}\n{table}\n{_END}{text.partition(_END)[2]}", "utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        write(table_of(outcomes_of(export(Path(name)), Path(name) / "work")))
