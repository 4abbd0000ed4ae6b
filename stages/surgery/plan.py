"""What a prepared model takes and gives, by role: what surgery writes into the graph and `check` does on the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import onnx

from stages.params import Model
from stages.surgery.contract import detector_outputs, main_output, promised_outputs, sized_outputs
from stages.surgery.crop_input import Normalisation

# What the models' owners do to pixels. Source: InsightFace, FaceFusion, face-parsing, Ultralytics.
_UNIT = Normalisation(mean=[0.0], std=[255.0])
_SYMMETRIC = Normalisation(mean=[127.5], std=[127.5])
_SCRFD = Normalisation(mean=[127.5], std=[128.0])
_XSEG = Normalisation(mean=[0.0], std=[255.0], is_rgb=False, is_nchw=False)
_IMAGENET = Normalisation(mean=[255 * m for m in (0.485, 0.456, 0.406)], std=[255 * s for s in (0.229, 0.224, 0.225)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output of a prepared model.

    Attributes:
        source: The original's output it is made from.
        form: ``numbers`` as they are, a uint8 ``crop``, or uint8 ``labels``.
        scale: Of a crop: ``round(clip(source * scale + shift, 0, 255))``.
        shift: The same.
        mask: Of a crop: the original's output that becomes its fourth channel, if any.
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
        pixels: The original's input that takes pixels.
        crop: Its name in the prepared model, which takes uint8 NHWC BGR.
        normalisation: What lies between them; None for a model that takes no pixels.
        outputs: What the prepared model gives, by name.
        joined: The one output that these are joined into, if they are.
    """

    pixels: str
    crop: str
    normalisation: Normalisation | None
    outputs: Mapping[str, Output]
    joined: str | None = None


def plan_of(original: onnx.ModelProto, model: Model) -> Plan:
    """Return how a model that keeps its contract is prepared."""
    pixels = next(iter(model.inputs))
    if model.role == "detector":
        outputs = {new: Output(source=old) for new, old in detector_outputs(sized_outputs(original, model)).items()}
        return Plan(pixels=pixels, crop="frame", normalisation=_SCRFD, outputs=outputs, joined="anchors")
    main = main_output(original, model)
    match model.role:
        case "person_detector":
            return _numbers(pixels, "frame", _UNIT, {"persons": main})
        case "embedder":
            return _numbers(pixels, "crop", _SYMMETRIC, {"embedding": main})
        case "occluder":
            return _numbers(pixels, "crop", _XSEG, {"mask": main})
        case "landmarker" if len(model.inputs[pixels]) == 3:
            return _numbers(pixels, pixels, None, {"points68": main})
        case "landmarker":
            return _numbers(pixels, "crop", _UNIT, {"points68": main})
        case "parser":
            labels = Output(source=main, form="labels")
            return Plan(pixels=pixels, crop="crop", normalisation=_IMAGENET, outputs={"labels": labels})
        case "swapper" if "mask" not in promised_outputs(model):  # inswapper
            swapped = Output(source=main, form="crop", scale=255.0)
            return Plan(pixels="target", crop="crop", normalisation=_UNIT, outputs={"swapped": swapped})
        case "swapper" | "restorer":
            is_masked = model.role == "swapper"
            swapped = Output(source=main, form="crop", scale=127.5, shift=127.5, mask="mask" if is_masked else None)
            return Plan(
                pixels="target" if is_masked else pixels,
                crop="crop",
                normalisation=_SYMMETRIC,
                outputs={"swapped": swapped},
            )


def _numbers(pixels: str, crop: str, normalisation: Normalisation | None, outputs: Mapping[str, str]) -> Plan:
    named = {new: Output(source=old) for new, old in outputs.items()}
    return Plan(pixels=pixels, crop=crop, normalisation=normalisation, outputs=named)
