"""How each role's models are prepared: surgery applies the plan to the graph, and `check` applies it on the host."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import onnx

from stages.params import Model
from stages.surgery.contract import detector_outputs, main_output, promised_outputs, sized_outputs
from stages.surgery.crop_input import Normalisation

# How the models' authors normalise pixels. Source: InsightFace, FaceFusion, face-parsing, Ultralytics.
_UNIT = Normalisation(mean=[0.0], std=[255.0])
_SYMMETRIC = Normalisation(mean=[127.5], std=[127.5])
_SCRFD = Normalisation(mean=[127.5], std=[128.0])
_XSEG = Normalisation(mean=[0.0], std=[255.0], is_rgb=False, is_nchw=False)
_IMAGENET = Normalisation(mean=[255 * m for m in (0.485, 0.456, 0.406)], std=[255 * s for s in (0.229, 0.224, 0.225)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output of a prepared model.

    Attributes:
        source: The original's output that it is made from.
        form: ``numbers``, unchanged; a uint8 ``crop``; or uint8 ``labels``.
        scale: For a crop: ``round(clip(source * scale + shift, 0, 255))``.
        shift: The same.
        mask: For a crop: the original's output that becomes its fourth channel, if any.
    """

    source: str
    form: Literal["numbers", "crop", "labels"] = "numbers"
    scale: float = 0.0
    shift: float = 0.0
    mask: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a model is prepared.

    Attributes:
        pixels: The original's input for pixels.
        crop: Its name in the prepared model, where it is uint8 NHWC BGR.
        normalisation: The conversion from `crop` to `pixels`; None for a model without pixels.
        outputs: The outputs of the prepared model, by name.
        joined: Name of the one output that they are joined into, if any.
    """

    pixels: str
    crop: str
    normalisation: Normalisation | None
    outputs: Mapping[str, Output]
    joined: str | None = None


def names_of(plan: Plan) -> set[str]:
    """Return the names that edits give to inputs and outputs, and begin the names of inner values with."""
    crop = {plan.crop} if plan.normalisation is not None else set()
    return {*crop, *plan.outputs, *([plan.joined] if plan.joined else [])}


def with_sources(plan: Plan, names: Mapping[str, str]) -> Plan:
    """Return the plan for an original whose outputs have other names."""
    outputs = {
        name: replace(
            output,
            source=names.get(output.source, output.source),
            mask=names.get(output.mask, output.mask) if output.mask else None,
        )
        for name, output in plan.outputs.items()
    }
    return replace(plan, outputs=outputs)


def plan_of(original: onnx.ModelProto, model: Model) -> Plan:
    """Return how a model that keeps its contract is prepared."""
    pixels = max(model.inputs, key=lambda name: len(model.inputs[name]))
    if model.role == "detector":
        outputs = {new: Output(source=old) for new, old in detector_outputs(sized_outputs(original, model)).items()}
        return Plan(pixels=pixels, crop="frame", normalisation=_SCRFD, outputs=outputs, joined="anchors")
    source = main_output(original, model)
    match model.role:
        case "person_detector":
            return _plan(pixels, _UNIT, "persons", Output(source=source), crop="frame")
        case "embedder":
            return _plan(pixels, _SYMMETRIC, "embedding", Output(source=source))
        case "occluder":
            return _plan(pixels, _XSEG, "mask", Output(source=source))
        case "landmarker" if len(model.inputs[pixels]) == 3:  # points in place of pixels
            return _plan(pixels, None, "points68", Output(source=source), crop=pixels)
        case "landmarker":
            return _plan(pixels, _UNIT, "points68", Output(source=source))
        case "parser":
            return _plan(pixels, _IMAGENET, "labels", Output(source=source, form="labels"))
        case "swapper" if "mask" not in promised_outputs(model):  # inswapper
            return _plan(pixels, _UNIT, "swapped", Output(source=source, form="crop", scale=255.0))
        case "swapper" | "restorer":
            mask = "mask" if model.role == "swapper" else None
            swapped = Output(source=source, form="crop", scale=127.5, shift=127.5, mask=mask)
            return _plan(pixels, _SYMMETRIC, "swapped", swapped)


def _plan(pixels: str, normalisation: Normalisation | None, name: str, output: Output, *, crop: str = "crop") -> Plan:
    return Plan(pixels=pixels, crop=crop, normalisation=normalisation, outputs={name: output})
