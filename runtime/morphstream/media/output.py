"""Check where a picture or a video is to be written, and keep what a file there was to others."""

import os
import stat
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.regular_file import kind_of, real_path
from morphstream.media.provenance import is_ours


def check_place(
    path: Path,
    *,
    what: str,
    formats: Collection[str],
    refusal: type[MorphstreamError],
    overwrite: bool = False,
    inputs: Sequence[Path] = (),
) -> None:
    """Check that a file can be written under a name.

    Args:
        path: The name.
        what: The file is, such as ``a picture``.
        formats: What its name may end in.
        refusal: Raised for a name that can't be.
        overwrite: Whether a file that is there may be replaced; if not, one with our mark may, unless it is an input.
        inputs: Files that aren't replaced under another name than their own.

    Raises:
        MorphstreamError: The suffix is of no format, there is no such folder, or what is there is to stay.
    """
    place = real_path(path)
    if path.is_dir():
        raise refusal(f"{path}: expected the name of {what}, seen a folder; name a file in it")
    if not place.parent.is_dir():
        raise refusal(f"{path}: expected a folder to write to, seen no {place.parent}; make it or name another")
    if path.suffix.lower() not in formats:
        raise refusal(f"{path}: expected a name that ends in one of {', '.join(formats)}, seen {path.suffix!r}")
    if not path.exists():
        return
    if not stat.S_ISREG(mode := path.stat().st_mode):
        raise refusal(f"{path}: expected no file, or {what} to replace, seen {kind_of(mode)}; name another")
    is_input = any(given.exists() and given.samefile(path) for given in inputs)
    if not overwrite and (is_input or not is_ours(path)):
        raise refusal(f"{path}: expected no file, seen one; name another, or replace it with --overwrite")
    for given in inputs:
        if given.exists() and given.samefile(path) and os.path.abspath(given) != os.path.abspath(path):  # noqa: PTH100 - as named
            raise refusal(f"{path}: expected another file than the input, seen {given} itself; name another")


def keep_owner_and_mode(descriptor: int, place: Path) -> None:
    """Give a new file the owner and the mode of one that it replaces; nothing is done where there is none."""
    with suppress(FileNotFoundError):
        before, now = place.stat(), os.fstat(descriptor)
        if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
            with suppress(PermissionError):  # another's file in a folder of ours: replaced, with our owner
                os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
