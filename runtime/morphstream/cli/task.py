"""Swap what a command names: it is checked before an engine is opened, and a failure of one of several stops none."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.cli.choice import Person, people_of, pictures_of, wanted_of, why_nobody
from morphstream.cli.look import read_look
from morphstream.cli.options import UsageError
from morphstream.cli.pictures import PictureReport, PictureSwapper, Writing
from morphstream.cli.targets import Job, jobs_of, split_paths
from morphstream.cli.written import add_people_of
from morphstream.face.look import Look

if TYPE_CHECKING:
    from morphstream.pipeline import SwapPipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is swapped, as options say it.

    Attributes:
        options: Of ``morphstream swap``.
        look: How faces are found and drawn.
        people: Whose faces are put in.
        jobs: What is swapped, and where it is written.
        inputs: What is read, and so is never replaced under another name.
        is_folder: Whether the output is a folder, where one failure doesn't stop the others.
    """

    options: argparse.Namespace
    look: Look
    people: Sequence[Person]
    jobs: Sequence[Job]
    inputs: Sequence[Path]
    is_folder: bool

    @property
    def writing(self) -> Writing:
        """How pictures are read and written."""
        options = self.options
        return Writing(
            max_pixels=options.max_pixels, overwrite=options.overwrite, compare=options.compare, is_dry=options.dry_run
        )


def task_of(options: argparse.Namespace) -> Task:
    """Return what options ask for, checked as far as that needs no engine.

    Raises:
        UsageError: Options make no sense together.
        MorphstreamError: A file of options can't be read, or an output can't be written.
        OSError: A folder can't be read.
    """
    look = read_look(options)
    add_people_of(options)
    sources, targets = split_paths(options.paths, options.output, has_sources=bool(options.source))
    people = people_of(sources, options)
    inputs = [*pictures_of(people), *targets]
    jobs, is_folder = jobs_of(pictures_of(people), targets, options.output)
    task = Task(options=options, look=look, people=people, jobs=jobs, inputs=inputs, is_folder=is_folder)
    if not is_folder:
        task.writing.check(jobs[0], inputs)
    Image.MAX_IMAGE_PIXELS = None  # of Pillow's own limit for a process; `read_picture` has one, which is an option
    return task


def swap(task: Task, pipeline: "SwapPipeline") -> tuple[list[PictureReport], list[str]]:
    """Swap what a task names with the engines of a pipeline; return what came of each, and what was chosen.

    Raises:
        UsageError: The pixel boost doesn't fit the swap model.
        MorphstreamError: A source has no face, or the one target failed.
        OSError: The one target can't be written.
    """
    look, options = task.look, task.options
    if look.pixel_boost and look.pixel_boost % pipeline.swapper.side:
        expected = f"a multiple of {pipeline.swapper.side} pixels, the side of {pipeline.swap_model}"
        raise UsageError(f"--pixel-boost: expected {expected}, seen {look.pixel_boost}")
    threshold, max_pixels = options.threshold, options.max_pixels
    wanted, notes = wanted_of(pipeline.analyser, task.people, look, threshold=threshold, max_pixels=max_pixels)
    for note in notes:
        print(note, file=sys.stderr)
    steps = pipeline.steps(wanted, look)
    swapper = PictureSwapper(*steps, task.writing, lambda found: why_nobody(found, task.people))
    if not task.is_folder:
        return [swapper.swap(task.jobs[0])], notes
    if not options.dry_run:
        options.output.mkdir(exist_ok=True)
    return _swap_all(swapper, task), notes


def _swap_all(swapper: PictureSwapper, task: Task) -> list[PictureReport]:
    """Swap each target, also after one that failed; say how far it is."""
    reports, has_folder = [], task.options.output.exists()  # a dry run makes none
    for number, job in enumerate(task.jobs, 1):
        try:
            if has_folder:
                task.writing.check(job, task.inputs)
            report = swapper.swap(job)
        except (MorphstreamError, OSError) as error:
            report = PictureReport(target=str(job.target), error=message_of(str(error)))
        reports.append(report)
        said = report.error or f"{job.target}: {report.faces} faces found, {report.swapped} swapped"
        print(f"[{number}/{len(task.jobs)}] {said}", file=sys.stderr)
    return reports
