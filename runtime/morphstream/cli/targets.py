"""Which names on the command line are sources and which targets, and where each target is written."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.errors import ImageError
from morphstream.artifact.regular_file import open_regular
from morphstream.cli.options import UsageError
from morphstream.media.encode import FORMATS
from morphstream.media.kinds import kind_of
from morphstream.media.read import is_picture

CLIPS = (".mp4", ".mov", ".mkv", ".webm", ".m4v")  # what videos are written as; .gif too, where it is named
_PICTURES = frozenset((*FORMATS, ".heic", ".heif", ".hif", ".bmp", ".jfif", ".jp2", ".ppm"))  # of a folder's files
_WRITTEN_AS = {".heic": ".jpg", ".heif": ".jpg", ".hif": ".jpg", ".jfif": ".jpg"}  # the other pictures as .png
_HEAD_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A picture or a video to swap, and where to write it.

    Attributes:
        target: The file; of numbered pictures their folder or pattern.
        output: The file to write.
        is_clip: Whether the target is swapped as a video.
        is_numbered: Whether it is numbered pictures, as one video.
    """

    target: Path
    output: Path
    is_clip: bool = False
    is_numbered: bool = False

    def beside(self, word: str, suffix: str = "") -> Path:
        """Return where something about the output is written beside it, such as ``out.compare.png``."""
        return self.output.with_name(f"{self.output.stem}.{word}{suffix or self.output.suffix}")


def split_paths(paths: Sequence[Path], output: Path, *, has_sources: bool) -> tuple[list[Path], list[Path]]:
    """Return the sources and the targets of the names on a command line.

    Where sources have options, every name is a target. Else the last one is the target of an output that is a file, and
    those before it are sources; for an output that is a folder the first is the source, and those after it are targets.

    Raises:
        UsageError: There is no source or no target.
    """
    is_file = not output.is_dir() and output.suffix.lower() in (*FORMATS, *CLIPS)
    count = 0 if has_sources else len(paths) - 1 if is_file else 1
    if len(paths) <= max(count, 0) or (count < 1 and not has_sources):
        names = "target" if paths or has_sources else "source, target"
        raise UsageError(f"the following arguments are required: {names}")
    return list(paths[:count]), list(paths[count:])


def jobs_of(
    sources: Sequence[Path], targets: Sequence[Path], output: Path, *, has_numbered: bool = False
) -> tuple[list[Job], bool]:
    """Return what to swap, and whether the output is a folder for it.

    Args:
        sources: Every picture that people are known by.
        targets: Files and folders.
        output: A file or a folder.
        has_numbered: Whether a folder, or a pattern such as ``frame_%04d.png``, is one video.

    Raises:
        ImageError: A folder has no picture and no video, two outputs would have one name, or one would replace an
            input.
        OSError: A folder can't be read.
    """

    def is_numbered(path: Path) -> bool:
        return has_numbered and (path.is_dir() or "%" in path.name)

    def is_folder(path: Path) -> bool:
        return path.is_dir() and not has_numbered

    if len(targets) == 1 and not is_folder(targets[0]) and not output.is_dir():
        (target,) = targets
        clip = is_numbered(target) or is_clip(target, output)
        return [Job(target=target, output=output, is_clip=clip, is_numbered=is_numbered(target))], False
    found = [path for target in targets for path in (_files_in(target) if is_folder(target) else [target])]
    if output.suffix.lower() in (*FORMATS, *CLIPS) and not output.is_dir():
        kind = "video" if output.suffix.lower() in CLIPS else "picture"
        expected = f"{output}: expected a folder for {len(found)} pictures"
        raise ImageError(f"{expected}, seen a {kind}'s name; name a folder")
    jobs = [_job_in(output, path, is_numbered=is_numbered(path)) for path in found]
    _check_names(jobs, [*sources, *found])
    return jobs, True


def _check_names(jobs: Sequence[Job], inputs: Sequence[Path]) -> None:
    """Check that no two jobs write one file, and none an input."""
    first: dict[Path, Job] = {}
    files = {_file_of(path): path for path in inputs if path.exists()}
    for job in jobs:
        if (other := first.setdefault(job.output, job)) is not job:
            both = f"seen {other.target} and {job.target}"
            raise ImageError(f"{job.output}: expected one file of that name, {both}; swap them one after the other")
    for path in first:
        if path.exists() and (own := files.get(_file_of(path))):
            raise ImageError(f"{path}: expected another file than the input, seen {own} itself; name another folder")


def is_clip(path: Path, output: Path | None = None) -> bool:
    """Return whether a file is swapped as a video: by what it begins with, and if that is unknown by the names.

    Args:
        path: The file, which need not be there.
        output: What is written of it; where that is a video, a GIF is one, too. None for the file's own kind.
    """
    head, names = _head_of(path), [path] if output is None else [path, output]
    if is_picture(head):
        return head.startswith(b"GIF8") and output is not None and output.suffix.lower() in CLIPS
    return kind_of(head) == "a video" or any(name.suffix.lower() in CLIPS for name in names)


def _job_in(folder: Path, path: Path, *, is_numbered: bool) -> Job:
    if is_numbered:
        name = path.parent.resolve().name if "%" in path.name else path.resolve().name
        return Job(target=path, output=folder / f"{name}.mp4", is_clip=True, is_numbered=True)
    suffix, is_video = path.suffix.lower(), is_clip(path)
    kept, other = (CLIPS, ".mkv") if is_video else (FORMATS, _WRITTEN_AS.get(suffix, ".png"))
    return Job(target=path, output=folder / (path.name if suffix in kept else path.stem + other), is_clip=is_video)


def _head_of(path: Path) -> bytes:
    with suppress(OSError), open_regular(path) as file:
        return file.read(_HEAD_BYTES)
    return b""


def _file_of(path: Path) -> tuple[int, int]:
    """Return what two names of one file have in common."""
    return path.stat().st_dev, path.stat().st_ino


def _files_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder, by their names, and its videos, by what they begin with."""
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if found := [path for path in files if path.suffix.lower() in _PICTURES or is_clip(path)]:
        return found
    endings = ", ".join(sorted(_PICTURES))
    raise ImageError(f"{folder}: expected pictures, seen none whose name ends in one of {endings}, and no video")
