"""The options that say how a swap is drawn, and the `Look` that they make."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from morphstream.cli.options import UsageError, checked, number, read_names, whole_number

if TYPE_CHECKING:
    from morphstream.face.look import Look
    from morphstream.pipeline import SwapPipeline

_MASKS = ("box", "occlusion", "regions", "own")


def add_look(parser: argparse.ArgumentParser) -> None:
    """Add the options of a look."""
    parser.add_argument(
        "--masks",
        type=checked(_read_masks),
        default="box,occlusion,own",
        help="masks that limit the new face, of box, occlusion, regions and own, the swap model's (%(default)s)",
    )
    parser.add_argument(
        "--feather",
        type=checked(number(0, 0.5)),
        help="part of the crop's side over which the box fades, 0..0.5 (0.08)",
    )
    parser.add_argument("--occluder", help="xseg_1, xseg_2, xseg_3, or many for what all three call visible (xseg_1)")
    parser.add_argument("--regions", type=read_names, help="parts of the face to swap, such as skin,nose,mouth (all)")
    parser.add_argument("--parser", help="bisenet_resnet_34 or bisenet_resnet_18 (bisenet_resnet_34)")
    parser.add_argument(
        "--pixel-boost",
        type=checked(whole_number(64, 512)),
        metavar="SIDE",
        help="swap at 256, 384 or 512 pixels a side",
    )
    parser.add_argument("--landmarker", choices=("2dfan4", "fan_68_5"), help="align faces by 68 points (no)")
    parser.add_argument("--restorer", choices=("gfpgan",), help="sharpen the swapped faces (no)")
    add_finding(parser)


def add_finding(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how faces are found."""
    text = (
        "degrees, with commas between, to turn a picture by where one look finds no face; none for one look (all 30s)"
    )
    parser.add_argument("--angles", type=checked(_read_angles), help=text)
    text = "minimum score of a face, 0.05..1 (0.5)"
    parser.add_argument("--min-score", type=checked(number(0.05, 1)), default=0.5, help=text)
    text = "pixels that the picture's longer side is looked at with, 32..8192: more finds smaller faces (640)"
    parser.add_argument("--detector-size", type=checked(whole_number(32, 8192)), metavar="PIXELS", help=text)
    text = "persons: find people, and look closer at their heads, for faces that are far away (no)"
    parser.add_argument("--search", choices=("persons",), help=text)


def finding_of(options: argparse.Namespace) -> "Look":
    """Return a look with the choices of `add_finding`.

    Raises:
        UsageError: A value is out of range.
    """
    from morphstream.face.look import ANGLES, Look

    angles = ANGLES if options.angles is None else options.angles
    try:
        return Look(
            angles=angles, min_score=options.min_score, detector_size=options.detector_size, search=options.search
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def read_look(options: argparse.Namespace) -> "Look":
    """Return the look that options name.

    Raises:
        UsageError: A value is out of range, or names no model or region.
    """
    from morphstream.face.look import FACE_REGIONS

    masks, default = options.masks, finding_of(options)
    feather = default.feather if options.feather is None else options.feather
    has_regions = bool(options.regions or options.parser) or "regions" in masks
    try:
        return replace(
            default,
            feather=feather if "box" in masks else 0.0,
            occluder=options.occluder or (default.occluder if "occlusion" in masks else None),
            regions=frozenset(options.regions or FACE_REGIONS) if has_regions else None,
            parser=options.parser or default.parser,
            own="own" in masks,
            pixel_boost=options.pixel_boost,
            landmarker=options.landmarker,
            restorer=options.restorer,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def check_boost(look: "Look", pipeline: "SwapPipeline") -> None:
    """Check that a pixel boost fits the swap model of a pipeline.

    Raises:
        UsageError: It is no multiple of the model's side.
    """
    if look.pixel_boost and look.pixel_boost % pipeline.swapper.side:
        expected = f"a multiple of {pipeline.swapper.side} pixels, the side of {pipeline.swap_model}"
        raise UsageError(f"--pixel-boost: expected {expected}, seen {look.pixel_boost}")


def _read_angles(text: str) -> tuple[float, ...]:
    return () if text == "none" else tuple(map(number(-360, 360), read_names(text) or [text]))


def _read_masks(text: str) -> list[str]:
    names = read_names(text)
    if (odd := sorted(set(names) - set(_MASKS))) or not names:
        raise ValueError(f"expected box, occlusion, regions or own, seen {', '.join(odd) or 'none'}")
    return names
