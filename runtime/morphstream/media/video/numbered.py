"""Find the pictures of a clip whose pictures are files with numbers."""

import re
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from morphstream.artifact.errors import VideoError

_NUMBERED = r"(?P<begin>.*?)(?P<number>\d+)(?P<end>\.\w+)"


def pattern_of(path: Path) -> tuple[str, int]:
    """Return FFmpeg's pattern of numbered pictures, and the first number.

    Raises:
        VideoError: There are none, they are of several kinds, or one is empty or missing between two.
    """
    folder, found = _found(path)
    kinds = {(match["begin"], match["end"]) for match in found}
    if len(kinds) != 1:
        seen = "none" if not found else f"{found[0].string} and {found[-1].string}"
        raise VideoError(f"{path}: expected numbered pictures of one name, seen {seen}; name them as frame_%04d.png")
    empty = next((match.string for match in found if not (folder / match.string).stat().st_size), None)
    if empty is not None:  # there FFmpeg would end
        raise VideoError(f"{path}: expected numbered pictures, seen an empty file, {empty}; make that one anew")
    numbers = sorted(int(match["number"]) for match in found)
    missing = next((one + 1 for one, other in pairwise(numbers) if other != one + 1), None)
    if missing is not None:
        raise VideoError(f"{path}: expected numbers without a gap, seen none of {missing}; add it, or number them anew")
    begin, end = (text.replace("%", "%%") for text in kinds.pop())
    digits = len(found[0]["number"]) if any(match["number"].startswith("0") for match in found) else 1
    return f"{str(folder.absolute()).replace('%', '%%')}/{begin}%0{digits}d{end}", numbers[0]


def state_of(path: Path) -> str:
    """Return in words which numbered pictures there are; other ones, also of the same names, have other words.

    Raises:
        VideoError: Their folder can't be read.
    """
    folder, found = _found(path)
    states = [(match.string, (folder / match.string).stat()) for match in found]
    lines = [f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states]
    return f"{len(lines)} pictures of {sha256(chr(10).join(lines).encode('utf-8', 'surrogateescape')).hexdigest()}"


def _found(path: Path) -> tuple[Path, list[re.Match[str]]]:
    """Return the folder of numbered pictures, and their names, in order."""
    folder, wanted = (path, _NUMBERED) if path.is_dir() else (path.parent, _regex_of(path.name))
    try:
        names = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))  # parts are there, too
    except OSError as error:
        raise VideoError(f"{path}: expected numbered pictures, seen {error.strerror}; name their folder") from None
    return folder, [match for name in names if (match := re.fullmatch(wanted, name))]


def _regex_of(pattern: str) -> str:
    """Return the regular expression of names that a pattern with a number in it stands for."""
    begin, number, end = re.split(r"(%0?\d*d|$)", pattern, maxsplit=1)
    digits = r"\d+" if number else "(?!)"  # which no name has
    return f"(?P<begin>{re.escape(begin)})(?P<number>{digits})(?P<end>{re.escape(end)})"
