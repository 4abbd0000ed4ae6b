"""Files that a process keeps for the next one: whole or not at all, and gone with the engines that they were made of.

A file is the sha256 of its content, then the content. Its name begins with 16 digits of an engine's digest and a dash,
as `name_of` makes it; the rest of the name stands for everything else that the content depends on.
"""

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from morphstream.artifact.digest import Digest
from morphstream.artifact.regular_file import read_regular
from morphstream.artifact.staged import staged_file

_DIGITS = 16  # of a digest in a name
_SHA256_BYTES = 32
_MOST = 16  # files of an engine: more are of versions, settings and machines that come no more


def name_of(engine: Digest, rest: str) -> str:
    """Return the name of a file that was made of an engine."""
    return f"{engine.sha256[:_DIGITS]}-{rest}"


def read_kept(path: Path, most_bytes: int) -> bytes:
    """Return the content of a kept file.

    Raises:
        ValueError: The file is damaged, or somebody's own.
        OSError: It can't be read, is no regular file, or is larger than any that is kept.
    """
    data = read_regular(path, most_bytes + _SHA256_BYTES, follows_links=False)
    digest, content = data[:_SHA256_BYTES], data[_SHA256_BYTES:]
    if sha256(content).digest() != digest:
        raise ValueError("other bytes")
    return content


def keep(content: bytes, path: Path, engines: Mapping[str, Digest], most_bytes: int) -> None:
    """Write a file, and remove those of its kind that were made of other engines, or are too many of one engine.

    Args:
        content: Of `most_bytes` at most.
        path: Its name is one of `name_of`.
        engines: Those whose files stay, with other files.
        most_bytes: As in `read_kept`.

    Raises:
        OSError: It can't be written.
    """
    path.parent.mkdir(exist_ok=True)
    with staged_file(path) as file:
        file.write(sha256(content).digest() + content)
    kept = dict[str, list[Path]]()  # the newest first
    for other in sorted(path.parent.glob(f"{'[0-9a-f]' * _DIGITS}-*{path.suffix}"), key=_time_of, reverse=True):
        kept.setdefault(other.name[:_DIGITS], []).append(other)
    own = {digest.sha256[:_DIGITS] for digest in engines.values()}
    for digits, files in kept.items():
        for other in files[_MOST if digits in own else 0 :]:
            with suppress(OSError, ValueError):  # what isn't kept by us stays
                read_kept(other, most_bytes)
                other.unlink()


def _time_of(path: Path) -> int:
    with suppress(OSError):  # another process has just removed it
        return path.lstat().st_mtime_ns
    return 0
