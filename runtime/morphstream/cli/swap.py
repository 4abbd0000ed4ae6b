"""``morphstream swap``: swap the faces of pictures."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.cli.choice import add_choice, source_paths, wanted_of, why_nobody
from morphstream.cli.look import add_look, read_look
from morphstream.cli.options import Commands, UsageError, add_max_pixels, add_threads
from morphstream.machine.limits import check_limits

if TYPE_CHECKING:
    from morphstream.cli.pictures import Job, PictureReport, PictureSwapper


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("swap", help="swap the faces of pictures")
    parser.add_argument("source", type=Path, help="picture of the face to put in; its owner must have agreed")
    text = "pictures whose faces are swapped, or folders of them; their owners must have agreed"
    parser.add_argument("targets", type=Path, nargs="+", metavar="target", help=text)
    text = "picture to write, marked as synthetic; of several targets the folder, where each keeps its name"
    parser.add_argument("-o", "--output", type=Path, required=True, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace pictures that are there (refuse)")
    parser.add_argument("--compare", action="store_true", help="write NAME.compare.SUFFIX, too: before beside after")
    parser.add_argument("--dry-run", action="store_true", help="say what would be swapped, and write nothing")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    add_max_pixels(parser)
    parser.add_argument("--swap-model", default=SWAP_MODEL, help="such as hyperswap_1a_256 (%(default)s)")
    add_choice(parser)
    add_look(parser)
    add_threads(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Swap each picture, and say how many faces were found and swapped; return 1 if one of several failed."""
    check_limits()
    look, sources = read_look(options), source_paths(options)
    from PIL import Image

    from morphstream.cli.pictures import PictureSwapper, Writing, hushed, jobs_of
    from morphstream.media.image import read_image
    from morphstream.pipeline import SwapPipeline

    Image.MAX_IMAGE_PIXELS = None  # of Pillow's own limit for a process; `read_picture` has one, which is an option
    jobs, is_folder = jobs_of(sources, options.targets, options.output)
    writing = Writing(
        max_pixels=options.max_pixels, overwrite=options.overwrite, compare=options.compare, is_dry=options.dry_run
    )
    inputs = [*sources, *options.targets]
    if not is_folder:
        writing.check(jobs[0], inputs)
    with hushed():
        faces = [(path, read_image(path, max_pixels=options.max_pixels)) for path in sources]
    started = time.perf_counter()
    with SwapPipeline(options.store, swap_model=options.swap_model, look=look, threads=options.threads) as pipeline:
        if look.pixel_boost and look.pixel_boost % pipeline.swapper.side:
            expected = f"a multiple of {pipeline.swapper.side} pixels, the side of {options.swap_model}"
            raise UsageError(f"--pixel-boost: expected {expected}, seen {look.pixel_boost}")
        open_s = time.perf_counter() - started
        wanted, notes = wanted_of(pipeline, faces, options)
        for note in notes:
            print(note, file=sys.stderr)
        swapper = PictureSwapper(*pipeline.steps(wanted), writing, lambda found: why_nobody(found, options))
        if is_folder:
            if not options.dry_run:
                options.output.mkdir(exist_ok=True)
            has_folder = options.output.exists()  # a dry run makes none
            reports = _swap_all(swapper, jobs, partial(writing.check, inputs=inputs) if has_folder else None)
        else:
            reports = [swapper.swap(jobs[0])]
    _print(options, reports, {"open_s": round(open_s, 3), "notes": notes}, is_folder=is_folder)
    return int(any(report.error for report in reports))


def _swap_all(
    swapper: "PictureSwapper", jobs: "Sequence[Job]", check: "Callable[[Job], None] | None"
) -> "list[PictureReport]":
    """Swap each picture, also after one that failed; say how far it is."""
    from morphstream.cli.pictures import PictureReport

    reports = []
    for number, job in enumerate(jobs, 1):
        try:
            if check:
                check(job)
            report = swapper.swap(job)
        except (MorphstreamError, OSError) as error:
            report = PictureReport(target=str(job.target), error=message_of(str(error)))
        reports.append(report)
        said = report.error or f"{job.target}: {report.faces} faces found, {report.swapped} swapped"
        print(f"[{number}/{len(jobs)}] {said}", file=sys.stderr)
    return reports


def _print(
    options: argparse.Namespace, reports: "Sequence[PictureReport]", started: Mapping[str, object], *, is_folder: bool
) -> None:
    """Print what was done: a line, a table of several pictures, or JSON."""
    failed = sum(report.error is not None for report in reports)
    done, model = "would be swapped" if options.dry_run else "swapped", options.swap_model
    if options.json:
        summary = {"swap_model": model, **started, "is_dry_run": options.dry_run, "failed": failed}
        print(json.dumps({**summary, "pictures": [asdict(report) for report in reports]}, indent=2))
        return
    for report in reports:
        for note in report.notes:
            print(f"{report.target}: {note}", file=sys.stderr)
    if not is_folder:
        (report,) = reports
        times = f"open {started['open_s']:.2f} s, detect {report.detect_s:.2f} s, swap {report.swap_s:.2f} s"
        frames = f" in {report.frames} frames" if report.frames > 1 else ""
        print(f"{report.output}: {report.faces} faces found{frames}, {report.swapped} {done} with {model}; {times}")
        return
    width = max(len(report.target) for report in reports)
    print(f"{'picture':{width}}  faces  swapped  seconds  written")
    for report in reports:
        numbers = f"{report.faces:5}  {report.swapped:7}  {report.detect_s + report.swap_s:7.2f}"
        print(f"{report.target:{width}}  {numbers}  {'failed' if report.error else report.output}")
    print(f"{len(reports) - failed} of {len(reports)} pictures {done} with {model}, {failed} failed")
