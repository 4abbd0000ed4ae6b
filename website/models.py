"""A page of each model of params.yaml: what it is for, its contract, which exporters' files are taken, its licence."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from morphstream.yaml_file import read_object
from stages.params import Model, Params
from stages.surgery.contract import STRIDES, anchors_of, promised_outputs
from website.markdown import code, plain, table

Contract = Mapping[str, str]  # name of an input or output -> its type and shape


def model_pages(params: Params, docs: Path, words: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the Markdown of each model's page.

    Args:
        params: With the models.
        docs: The folder with ``models.md``, whose table of exporters is shown model by model.
        words: The YAML file with what no contract says.
    """
    said = read_object(words)
    exporters = (docs / "models.md").read_text("utf-8").partition("<!-- table of exporters -->")[2]
    for name, model in params.models.items():
        own = {key: str(text) for key, text in dict(said.get(name) or {}).items()}  # type: ignore[call-overload]
        yield f"models/{name}.md", _page(model, own, exporters.partition("<!-- end of the table -->")[0])


def prepared_contract(model: Model) -> tuple[Contract, Contract]:
    """Return the inputs and outputs of a prepared model, as `prepare` writes them into ``contract.json``; N is any."""
    shape = max(model.inputs.values(), key=len)
    side = max(shape[1:])
    crop, frame = {"crop": _pixels(side, side, 3)}, {"frame": _pixels(side, side, 3)}
    match model.role:
        case "detector" if model.sides:
            return {"frame": _pixels("height", "width", 3)}, {"anchors": _numbers("rows", 15)}
        case "detector":
            return frame, {"anchors": _numbers(sum(anchors_of(side, side, stride) for stride in STRIDES), 15)}
        case "person_detector":
            return frame, {"persons": _numbers(84, 8400)}
        case "embedder":
            return crop, {"embedding": _numbers(512)}
        case "swapper":
            return {**crop, "source": _numbers(512)}, {"swapped": _pixels(side, side, 4 if side == 256 else 3)}
        case "restorer":
            return crop, {"swapped": _pixels(side, side, 3)}
        case "occluder":
            return crop, {"mask": _numbers(side, side, 1)}
        case "parser":
            return crop, {"labels": _pixels(side, side)}
        case _ if len(shape) == 3:
            return {"input": _numbers(5, 2)}, {"points68": _numbers(68, 2)}
        case _:
            return crop, {"points68": _numbers(68, 3)}


def _pixels(*sizes: int | str) -> str:
    return f"uint8 {_shape(-1, *sizes)}"


def _numbers(*sizes: int | str) -> str:
    return f"float32 {_shape(-1, *sizes)}"


def _shape(*sizes: int | str) -> str:
    return f"({', '.join('N' if size == -1 else str(size) for size in sizes)})"


def _page(model: Model, said: Mapping[str, str], exporters: str) -> str:
    facts = {
        "role": model.role.replace("_", " "),
        "whose": plain(said.get("owner", "")),
        "licence of its weights": plain(model.licence),
        "class that runs it": code(model.worker or ""),
        "file": code(model.file),
        "sha256 of that file": code(model.sha256 or "") or "pinned by `python -m stages.fetch --pin`",
        "bytes": f"{model.bytes:,}".replace(",", " ") if model.bytes else "",
        "group": code(model.group),
        "delivery": {
            "baked": "in the image",
            "stream": "when a stream asks for it",
            "on_request": "on request only",
        }.get(model.delivery, model.delivery),
        "precision of its engines on GPUs": code(model.precision),
        "batches that engines are built for": ", ".join(map(str, model.batches)),
        "what it gets": plain(said.get("crop", "")),
    }
    bounds = ", ".join(f"{key} {value:g}" for key, value in asdict(model.tolerance).items())
    return f"""# {model.name}

{said.get("does", f"A model of the role {model.role.replace('_', ' ')}.")}

{table(["", ""], [(key, text) for key, text in facts.items() if text])}
## Contract

{_contract(model)}
Half precision and GPUs may be off by as much as {bounds}: [Checks](../checks.md) says what is measured.

## Exporters that work

{_exporters(exporters, said.get("column", ""))}
[Models](../models.md) says what differs between files, and what is refused.
"""


def _contract(model: Model) -> str:
    """Return the table of inputs and outputs, of the file and of the prepared model."""
    inputs, outputs = prepared_contract(model)
    promised = {} if model.role == "detector" else promised_outputs(model)
    rows = [("file", "input", code(name), f"float {_shape(*shape)}") for name, shape in model.inputs.items()]
    rows += [("file", "output", code(name), f"float {_shape(*shape)}") for name, shape in promised.items()]
    if not promised:
        widths = (("scores", 1), ("boxes", 4), ("points", 10))
        rows += [("file", "output", f"three of {what}", f"float {_shape('rows', width)}") for what, width in widths]
    rows += [("prepared", "input", code(name), shape) for name, shape in inputs.items()]
    rows += [("prepared", "output", code(name), shape) for name, shape in outputs.items()]
    return table(["of the", "", "name", "type and shape"], rows)


def _exporters(text: str, column: str) -> str:
    """Return a model's column of the table of exporters, with the advice where a file is refused."""
    head, _, *rows = [_cells(line) for line in text.strip().splitlines() if line.startswith("|")]
    advice = dict(re.findall(r"^([0-9]+)\. (.*)$", text, re.MULTILINE))
    if column not in head:
        return "No exports of such a network were tried.\n"
    place, found = head.index(column), list[tuple[str, str, str]]()
    for row in filter(lambda row: row[place], rows):
        refused = re.fullmatch(r"no \(([0-9]+)\)", row[place])
        found.append((row[0], "no" if refused else row[place], advice[refused[1]] if refused else ""))
    return table(["made by", "taken", "else"], found)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
