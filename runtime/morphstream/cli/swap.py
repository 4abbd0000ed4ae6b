"""``morphstream swap``: swap the faces of pictures and videos."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.cli.choice import add_choice
from morphstream.cli.look import add_look
from morphstream.cli.options import Commands, add_max_pixels, add_threads
from morphstream.cli.output import paint
from morphstream.cli.signing import add_signing, signing_of
from morphstream.cli.videos import add_videos
from morphstream.machine.limits import check_limits

if TYPE_CHECKING:
    from morphstream.cli.task import Report, Task


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("swap", help="swap the faces of pictures and videos")
    add_task(parser)
    add_signing(parser)
    add_threads(parser)
    parser.set_defaults(run=run)


def add_task(parser: argparse.ArgumentParser) -> None:
    """Add what a swap is told, alone or as a job of a batch."""
    text = (
        "pictures of faces to put in, then what to swap: pictures, videos or folders of them. Into one file the last "
        "name is the target, into a folder all but the first are; with --source all are. Their owners must have agreed"
    )
    parser.add_argument("paths", type=Path, nargs="*", metavar="source target", help=text)
    text = "file to write, marked as synthetic; of several targets the folder, where each keeps its name"
    parser.add_argument("-o", "--output", type=Path, required=True, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there (refuse)")
    text = "write NAME.compare.SUFFIX, too: before beside after, of pictures"
    parser.add_argument("--compare", action="store_true", help=text)
    text = "say what would be swapped of pictures, and write nothing"
    parser.add_argument("--dry-run", action="store_true", help=text)
    add_max_pixels(parser)
    parser.add_argument("--swap-model", default=SWAP_MODEL, help="such as hyperswap_1a_256 (%(default)s)")
    add_choice(parser)
    add_look(parser)
    add_videos(parser)


def run(options: argparse.Namespace) -> int:
    """Swap each target, and say how many faces were found and swapped; return 1 if one of several failed."""
    check_limits()
    from morphstream.cli.task import described, is_failure, swap, task_of
    from morphstream.pipeline import SwapPipeline

    task, started = task_of(options, signing_of(options)), time.perf_counter()
    with SwapPipeline(
        options.store, swap_model=options.swap_model, look=task.look, threads=options.threads
    ) as pipeline:
        open_s = round(time.perf_counter() - started, 3)
        reports, notes = swap(task, pipeline)
    failed = sum(is_failure(report) for report in reports)
    if options.json:
        summary = {"swap_model": options.swap_model, "open_s": open_s, "notes": notes, "is_dry_run": options.dry_run}
        print(json.dumps({**summary, "failed": failed, **described(task, reports)}, indent=2))
    else:
        _print(task, reports, open_s)
    return int(failed > 0)


def _print(task: "Task", reports: "Sequence[Report]", open_s: float) -> None:
    """Print what was done: a line, or a table of several."""
    from morphstream.cli.task import is_failure, print_notes, seconds_of

    print_notes(reports)
    done = f"{'would be swapped' if task.options.dry_run else 'swapped'} with {task.options.swap_model}"
    if not task.is_folder:
        print(_line_of(reports[0], done, open_s))
        return
    kind = "file" if any(job.is_clip for job in task.jobs) else "picture"
    width = max(len(report.target) for report in reports)
    print(paint(f"{kind:{width}}  faces  swapped  seconds  written", "bold", sys.stdout))
    failed = 0
    for report in reports:
        failed += is_failure(report)
        numbers = f"{report.faces:5}  {report.swapped:7}  {seconds_of(report):7.2f}"
        print(f"{report.target:{width}}  {numbers}  {_written(report)}")
    print(f"{len(reports) - failed} of {len(reports)} {kind}s {done}, {failed} failed")


def _written(report: "Report") -> str:
    """Return where a picture or video was written, or why it wasn't."""
    from morphstream.cli.pictures import PictureReport

    error = report.error if isinstance(report, PictureReport) else None
    return str(report.output) if error is None else f"{paint('failed', 'red', sys.stdout)}: {error}"


def _line_of(report: "Report", done: str, open_s: float) -> str:
    from morphstream.cli.pictures import PictureReport

    if isinstance(report, PictureReport):
        times = f"open {open_s:.2f} s, detect {report.detect_s:.2f} s, swap {report.swap_s:.2f} s"
        frames = f" in {report.frames} frames" if report.frames > 1 else ""
        return f"{report.output}: {report.faces} faces found{frames}, {report.swapped} {done}; {times}"
    rate = report.frames / max(report.seconds, 1e-3)
    faces = f"{report.frames} frames with {report.faces} faces at most, {report.swapped} frames {done}"
    times = f"open {open_s:.2f} s, video {report.seconds:.2f} s, {rate:.1f} frames/s"
    return f"{report.output}: {faces}; {report.encoder}; {times}"
