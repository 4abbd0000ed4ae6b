"""Swap what a command names: it is checked before an engine is opened, and a failure of one of several stops none."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Union

from PIL import Image

from morphstream.artifact.errors import ImageError, MorphstreamError, message_of
from morphstream.cli.choice import SourcePerson, people_of, pictures_of, wanted_of, why_nobody
from morphstream.cli.look import check_boost, read_look
from morphstream.cli.options import text_of
from morphstream.cli.pictures import PictureReport, PictureSwapper, Writing
from morphstream.cli.targets import Job, is_clip, jobs_of, split_paths
from morphstream.cli.videos import check_videos, range_of, share_cores, sheet_of, shown, tracking_of, video_options_of
from morphstream.cli.written import add_people_of
from morphstream.face.look import Look
from morphstream.media.image import check_output

if TYPE_CHECKING:
    from morphstream.face.assign import Wanted
    from morphstream.media.credentials import Signing
    from morphstream.media.video.report import VideoReport
    from morphstream.pipeline import SwapPipeline

Report = Union[PictureReport, "VideoReport"]


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
        signing: What is signed with, and of which sources; None for nothing.
    """

    options: argparse.Namespace
    look: Look
    people: Sequence[SourcePerson]
    jobs: Sequence[Job]
    inputs: Sequence[Path]
    is_folder: bool
    signing: "Signing | None" = None

    @property
    def writing(self) -> Writing:
        """How pictures are read and written."""
        options = self.options
        return Writing(
            max_pixels=options.max_pixels,
            overwrite=options.overwrite,
            compare=options.compare,
            is_dry=options.dry_run,
            signing=self.signing,
        )

    def check(self, job: Job) -> None:
        """Check that what comes of a job can be written; errors as of `check_output` and `check_video_output`."""
        if not job.is_clip:
            self.writing.check(job, self.inputs)
        elif self.options.preview:
            check_output(sheet_of(job), overwrite=self.options.overwrite, inputs=self.inputs)
        else:
            from morphstream.media.video.swap_video import check_video_output

            check_video_output(job.output, overwrite=self.options.overwrite, inputs=self.inputs)
            video_options_of(self.options, is_numbered=job.is_numbered)


def task_of(options: argparse.Namespace, signing: "Signing | None" = None) -> Task:
    """Return what options ask for, signed or not, checked as far as that needs no engine.

    Raises:
        UsageError: Options make no sense together.
        MorphstreamError: A file of options can't be read, or an output can't be written.
        OSError: A folder can't be read.
    """
    look, people, targets = choices_of(options)
    pictures = pictures_of(people)
    if videos := [path for path in pictures if is_clip(path)]:
        expected = f"{videos[0]}: expected a picture of a face, seen a video"
        raise ImageError(f"{expected}; name sources first and the target last, or --source and any targets")
    jobs, is_folder = jobs_of(pictures, targets, options.output, has_numbered=options.fps is not None)
    task = Task(
        options=options,
        look=look,
        people=people,
        jobs=jobs,
        inputs=[*pictures, *targets],
        is_folder=is_folder,
        signing=signing and signing.of(sources=pictures),
    )
    has_numbered = any(job.is_numbered for job in jobs)
    check_videos(options, has_videos=any(job.is_clip for job in jobs), has_numbered=has_numbered)
    if not is_folder:
        task.check(jobs[0])
    Image.MAX_IMAGE_PIXELS = None  # of Pillow's own limit for a process; `read_picture` has one, which is an option
    return task


def choices_of(options: argparse.Namespace) -> tuple[Look, list[SourcePerson], list[Path]]:
    """Return the look, the people and the targets that options name, without a look at any but a file of people.

    Raises:
        UsageError: Options make no sense together.
        MorphstreamError: A file of people can't be read.
        OSError: The same.
    """
    look = read_look(options)
    add_people_of(options)
    sources, targets = split_paths(options.paths, options.output, has_sources=bool(options.source))
    tracking_of(options)
    range_of(options)
    return look, people_of(sources, options), targets


def swap(task: Task, pipeline: "SwapPipeline") -> tuple[list[Report], list[str]]:
    """Swap what a task names with the engines of a pipeline; return what came of each, and what was chosen.

    Raises:
        UsageError: The pixel boost doesn't fit the swap model.
        MorphstreamError: A source has no face, or the one target failed.
        OSError: The one target can't be written.
    """
    look, options = task.look, task.options
    check_boost(look, pipeline)
    threshold, max_pixels = options.threshold, options.max_pixels
    wanted, notes = wanted_of(pipeline.analyser, task.people, look, threshold=threshold, max_pixels=max_pixels)
    for note in notes:
        print(note, file=sys.stderr)
    swapper = _Swapper(task, pipeline, wanted)
    if not task.is_folder:
        return [swapper.swap(task.jobs[0])], notes
    if not options.dry_run:
        options.output.mkdir(exist_ok=True)
    return _swap_all(swapper, task), notes


class _Swapper:
    """Swaps pictures and videos with the engines of a pipeline."""

    def __init__(self, task: Task, pipeline: "SwapPipeline", wanted: "Wanted") -> None:
        self._task, self._pipeline, self._wanted = task, pipeline, wanted

    def swap(self, job: Job) -> Report:
        """Swap a picture or a video, and write what comes of it."""
        task, options = self._task, self._task.options
        if job.is_clip and not options.preview:
            return self._swap_video(job)
        if job.is_clip:
            from morphstream.cli.preview import preview

            steps = self._pipeline.steps(self._wanted, replace(task.look, angles=()))  # as a video is looked at
            return preview(job, *steps, options, task.signing)
        steps = self._pipeline.steps(self._wanted, task.look)
        return PictureSwapper(*steps, task.writing, lambda found: why_nobody(found, task.people)).swap(job)

    def _swap_video(self, job: Job) -> "VideoReport":
        task, wanted = self._task, self._wanted
        tracking, options = tracking_of(task.options), video_options_of(task.options, is_numbered=job.is_numbered)
        options = replace(options, signing=task.signing)
        share_cores()
        swap_video = partial(self._pipeline.video, job.target, job.output, wanted, look=task.look, tracking=tracking)
        with shown(str(job.target)) as show:
            return swap_video(options=options, progress=show)


def _swap_all(swapper: _Swapper, task: Task) -> list[Report]:
    """Swap each target, also after one that failed; say how far it is."""
    reports, has_folder = list[Report](), task.options.output.exists()  # a dry run makes none
    for number, job in enumerate(task.jobs, 1):
        report: Report
        try:
            if has_folder:
                task.check(job)
            report = swapper.swap(job)
            unit = "" if isinstance(report, PictureReport) else " frames"
            said = f"{job.target}: {report.faces} faces found, {report.swapped}{unit} swapped"
        except (MorphstreamError, OSError) as error:
            said = text_of(error)
            report = PictureReport(target=str(job.target), error=said)
        reports.append(report)
        print(f"[{number}/{len(task.jobs)}] {said}", file=sys.stderr)
    return reports


def is_failure(report: Report) -> bool:
    """Return whether a target failed."""
    return isinstance(report, PictureReport) and report.error is not None


def seconds_of(report: Report) -> float:
    """Return how long a target took, without opening engines."""
    return report.detect_s + report.swap_s if isinstance(report, PictureReport) else report.seconds


def print_notes(reports: Sequence[Report]) -> None:
    """Print what was left out, changed or lost."""
    for report in reports:
        lost = 0 if isinstance(report, PictureReport) else report.lost
        damage = [f"pictures of it that are damaged or missing: {lost}"] if lost else []
        for note in [*report.notes, *damage]:
            print(message_of(f"{report.target}: {note}"), file=sys.stderr)


def described(task: Task, reports: Sequence[Report]) -> Mapping[str, Sequence[Mapping[str, object]]]:
    """Return what came of a task as JSON has it: ``pictures`` and ``videos``, each with its ``error`` or null."""
    found = [(job.is_clip, {"error": None, **asdict(report)}) for job, report in zip(task.jobs, reports, strict=True)]
    return {
        "pictures": [report for is_clip, report in found if not is_clip],
        "videos": [report for is_clip, report in found if is_clip],
    }
