"""Download one file of any repository on the Hub, by a name in one line."""

import re
from pathlib import Path, PurePosixPath

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import FetchError
from stages.files import write_whole
from stages.hub.download import download
from stages.hub.repository import Repository

_NAMED = re.compile(r"(?P<repository>[^/@\s]+/[^/@\s]+)/(?P<path>[^@\s]+)@(?P<revision>[^@\s]+)")


def fetch_named(name: str, folder: Path, *, most_bytes: int, endpoint: str | None = None) -> Path:
    """Download a file that is named ``ORGANISATION/REPOSITORY/PATH@REVISION`` into a folder; return where it is.

    Args:
        name: Of the file; the revision is a branch, a tag or a commit.
        folder: Where it is put, under a name that begins with its digest.
        most_bytes: That it may have.
        endpoint: Of the Hub, None for the environment's.

    Raises:
        FetchError: It is no such name, there is no such file, or it is too large.
        OSError: It can't be written.
    """
    if (named := _NAMED.fullmatch(name)) is None:
        raise FetchError(f"hub: expected ORGANISATION/REPOSITORY/FILE@REVISION, seen {name[:200]!r}; name one so")
    repository, path = Repository(named["repository"], endpoint=endpoint), named["path"]
    commit = repository.commit_of(named["revision"])
    what = f"{repository.name}@{commit[:7]} {path}"
    if (held := repository.files(commit).get(path)) is None:
        raise FetchError(f"{what}: expected a file, seen none; look at the repository's files")
    if held.bytes > most_bytes:
        raise FetchError(f"{what}: expected at most {most_bytes} bytes, seen {held.bytes}; name a smaller file")
    target = folder / f"{(held.sha256 or held.blob)[:16]}-{PurePosixPath(path).name}"
    if held.sha256 is None:
        write_whole(target, repository.read(path, commit, held))
    else:
        download(repository.source(commit), path, Digest(held.sha256, held.bytes), target)
    return target
