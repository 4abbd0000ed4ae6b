"""``morphstream swap``: swap the faces of pictures."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.cli.choice import add_choice
from morphstream.cli.look import add_look
from morphstream.cli.options import Commands, add_max_pixels, add_threads
from morphstream.machine.limits import check_limits

if TYPE_CHECKING:
    from morphstream.cli.pictures import PictureReport


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("swap", help="swap the faces of pictures")
    text = (
        "pictures of faces to put in, then what to swap: pictures, or folders. Into one file the last name is the "
        "target, into a folder all but the first are targets; with --source all are. Their owners must have agreed"
    )
    parser.add_argument("paths", type=Path, nargs="*", metavar="source target", help=text)
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
    """Swap each target, and say how many faces were found and swapped; return 1 if one of several failed."""
    check_limits()
    from morphstream.cli.task import swap, task_of
    from morphstream.pipeline import SwapPipeline

    task, started = task_of(options), time.perf_counter()
    with SwapPipeline(
        options.store, swap_model=options.swap_model, look=task.look, threads=options.threads
    ) as pipeline:
        open_s = time.perf_counter() - started
        reports, notes = swap(task, pipeline)
    _print(options, reports, {"open_s": round(open_s, 3), "notes": notes}, is_folder=task.is_folder)
    return int(any(report.error for report in reports))


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
