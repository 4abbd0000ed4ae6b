"""Number the people of a video: the part of ``morphstream faces`` that reads one."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from morphstream.artifact.errors import ImageError, NoFaceError
from morphstream.cli.look import finding_of
from morphstream.cli.videos import clock_of, most_pixels, range_of, shown
from morphstream.face.assign import ONE_PERSON
from morphstream.face.follow import FaceTracker
from morphstream.face.people import PeopleFinder, VideoPerson
from morphstream.media.image import check_output, write_image
from morphstream.media.sheet import draw_grid, upright
from morphstream.media.video.read import VideoSource
from morphstream.media.video.report import Progress
from morphstream.pipeline import open_analyser


def run(options: argparse.Namespace) -> int:
    """Find the people of a video, write their faces, and print when each is seen.

    Raises:
        NoFaceError: Nobody is seen.
        MorphstreamError: The video can't be read, or an engine can't be opened.
        OSError: A picture can't be written.
    """
    path, folder = options.picture, options.portraits
    sheet = options.output or Path(f"{path.stem}.faces.png")
    check_output(sheet, overwrite=options.overwrite, inputs=[path])
    if folder:
        _make_folder(folder, overwrite=options.overwrite)
    start, end = range_of(options)
    with VideoSource(path, start=start, end=end, max_pixels=most_pixels(options)) as source:
        frames, people = _find(source, options)
    if not people:
        raise NoFaceError(f"{path}: expected a face, seen none in {frames} frames; lower --min-score, or name another")
    cells = [upright(person.portrait.frame, person.portrait.face) for person in people]
    labels = [f"{number}  {clock_of(float(person.first), digits=1)}" for number, person in enumerate(people, 1)]
    write_image(sheet, draw_grid(cells, labels), overwrite=options.overwrite, is_synthetic=False)
    if folder:
        for number, person in enumerate(people, 1):
            write_image(folder / f"{number}.png", person.portrait.frame, overwrite=True, is_synthetic=False)
    if options.json:
        listed = [_object(number, person) for number, person in enumerate(people, 1)]
        seen = {"video": str(path), "sheet": str(sheet), "frames": frames, "lost": source.lost, "people": listed}
        print(json.dumps(seen))
    else:
        print(f"{sheet}: {len(people)} {'person' if len(people) == 1 else 'people'} found in {frames} frames")
        print("\n".join(_table(people)))
    return 0


def _make_folder(folder: Path, *, overwrite: bool) -> None:
    """Make the folder of portraits, before a long search; one that has any is refused."""
    folder.mkdir(exist_ok=True)
    if not overwrite and (old := sorted(folder.glob("[0-9]*.png"))):
        expected = f"{folder}: expected a folder without numbered portraits, seen {old[0].name}"
        raise ImageError(f"{expected}; name another, or replace them with --overwrite")


def _find(source: VideoSource, options: argparse.Namespace) -> tuple[int, list[VideoPerson]]:
    """Return how many frames a video has, and who is seen in them."""
    look, frames, total = finding_of(options), 0, source.info.frames_between(*range_of(options))
    threshold = ONE_PERSON if options.threshold is None else options.threshold
    with open_analyser(options.store, threads=options.threads) as analyser:
        tracker = FaceTracker(analyser, {}, look=look, by_identity=True)
        finder = PeopleFinder(analyser.embed, threshold=threshold)
        started = time.monotonic()
        with shown(str(options.picture)) as show:
            for frames, timed in enumerate(iter(source.read, None), 1):
                finder.see(tracker.follow(timed.value.frame, timed.time), timed.time)
                fps = frames / max(time.monotonic() - started, 1e-3)
                left_s = None if total is None else max(0, total - frames) / fps
                show(Progress(frames=frames, total=total, fps=fps, left_s=left_s))
        return frames, finder.people()


def _object(number: int, person: VideoPerson) -> dict[str, object]:
    return {
        "number": number,
        "frames": person.frames,
        "first_s": round(float(person.first), 3),
        "last_s": round(float(person.last), 3),
        "tracks": person.tracks,
        "size_wh": person.portrait.size_wh,
    }


def _table(people: Sequence[VideoPerson]) -> list[str]:
    """Return a line for each person: in how many frames, from when to when, and how large at best."""
    lines = ["person  frames  from      to        size"]
    for number, person in enumerate(people, 1):
        width, height = person.portrait.size_wh
        first, last = (clock_of(float(when), digits=1) for when in (person.first, person.last))
        lines.append(f"{number:6}  {person.frames:6}  {first:8}  {last:8}  {width} x {height}")
    return lines
