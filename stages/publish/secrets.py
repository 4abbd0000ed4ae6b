"""What looks like a secret, by its name or by what is in it, isn't published, unless it was reviewed.

What is in a file is searched as it is, decoded and unpacked, offline, by the rules that Kingfisher brings (Betterleaks'
and Veles') and by those of `stages.publish.secret_rules`.
"""

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import zstandard
from kingfisher_sdk import Rules, ScanInput, Scanner, expand_archives

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.regular_file import read_regular
from morphstream.source.source import SMALL_BYTES_MAX
from stages.publish.secret_rules import BACKUPS, FOLDERS, FORMS, HARMLESS, NAMES, NOISE, NOISE_LETTERS
from stages.publish.views import View, views_of

REVIEWED = ".reviewed-secrets"  # lists files that a person has reviewed, as sha256sum prints them
MOST_BYTES = 1 << 30  # of a file, and of what is packed in it
_MOST_FILES, _DEEPEST = 100_000, 3  # in an archive, and in one in it
_ALLOWED = b"pragma: allowlist secret"  # on the line
_ENDINGS = {b"PK\x03\x04": ".zip", b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz"}
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


class Secrets:
    """A search for secrets in a folder of code."""

    def __init__(self, root: Path, rules: Path) -> None:
        """Read which files of a folder were reviewed.

        Args:
            root: The folder.
            rules: Where Kingfisher keeps its compiled rules.

        Raises:
            MorphstreamError: A line of that list is none.
        """
        self._root, self._rules, self._reviewed = root, rules, _read_reviewed(root)

    def reason(self, name: str) -> str | None:
        """Return why a file looks like a secret, in words without any of it; None where it doesn't, or was reviewed."""
        path = self._root / name
        if path.stat().st_size > MOST_BYTES:
            return f"more than the {MOST_BYTES >> 20} MiB that are searched"
        data = path.read_bytes()
        found = _reason_of_name(name) or _reason_of_content(path.name, data, _scanner(self._rules))
        if found is None or name not in self._reviewed:
            return found
        return None if digest_of(data).sha256 in self._reviewed[name] else f"{found}, and changed since its review"


def _read_reviewed(root: Path) -> dict[str, set[str]]:
    """Return the digests of each file that was reviewed; none where there is no list."""
    reviewed: dict[str, set[str]] = {}
    with suppress(FileNotFoundError):
        text = read_regular(root / REVIEWED, SMALL_BYTES_MAX).decode(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            found = re.fullmatch(r"([0-9a-f]{64}) [ *](?:\./)?(.+)", line)
            if found:
                reviewed.setdefault(found[2], set()).add(found[1])
            elif line.strip() and not line.startswith("#"):
                expected = "expected a digest and a file, as sha256sum prints them"
                raise MorphstreamError(f"{root / REVIEWED}: {expected}, seen another text in line {number}; correct it")
    return reviewed


def command_to_review(name: str) -> str:
    """Return the command that adds a file to the list of those that were reviewed, in the folder of code."""
    return f"sha256sum {shlex.quote(name)} >> {REVIEWED}"


def _reason_of_name(name: str) -> str | None:
    *folders, last = name.lower().split("/")
    last = BACKUPS.sub("", last)
    is_named = any(fnmatchcase(last, one) for one in NAMES) and not any(fnmatchcase(last, one) for one in HARMLESS)
    return "by its name" if is_named or FOLDERS.intersection(folders) else None


def _reason_of_content(name: str, data: bytes, scanner: Scanner) -> str | None:
    try:
        for member, content in _contents(name, data):
            reason = _reason_of_name(member) if member else None
            if found := reason or next(_found(content, scanner), None):
                return f"{found}, of {member} in it" if member else found
    except RuntimeError:
        return f"more packed in it than the {MOST_BYTES >> 20} MiB that are searched"
    return None


def _contents(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file's data, and then each file that is packed in it, with its name there.

    Raises:
        RuntimeError: There is too much in it.
    """
    yield "", data
    if data.startswith(_ZSTANDARD):
        with suppress(zstandard.ZstdError), zstandard.ZstdDecompressor().stream_reader(data) as stream:
            name, data = name.removesuffix(".zst"), stream.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise RuntimeError("budget")
            yield "content", data
    ending = next((ending for magic, ending in _ENDINGS.items() if data.startswith(magic)), "")
    for path in dict.fromkeys((name, name + ending)):
        inputs = expand_archives(
            [ScanInput(path=path, data=data)], depth=_DEEPEST, max_bytes=MOST_BYTES, max_entries=_MOST_FILES
        )
        try:
            members = [(one.path.partition("!")[2], one.data or b"") for one in inputs]
        except RuntimeError as error:
            if "budget" in str(error):
                raise
            continue  # no archive, or a damaged one
        if any(member for member, _ in members):
            yield from members
            return


def _found(data: bytes, scanner: Scanner) -> Iterator[str]:
    """Yield what is found in data, and the line, but for lines that say themselves that they are harmless."""
    lines = data.split(b"\n")
    for view in views_of(data):
        for what, line in _found_in(view, scanner):
            if _ALLOWED not in lines[min(line, len(lines)) - 1]:
                yield f"{what} in line {line}"


def _found_in(view: View, scanner: Scanner) -> Iterator[tuple[str, int]]:
    for what, form in FORMS.items():
        for found in form.finditer(view.data):
            before = view.data[max(found.start() - NOISE_LETTERS, 0) : found.start()]
            if found[0][:1].isalpha() and NOISE.fullmatch(before):
                continue
            yield what, view.line_of(found.start())
    for finding in scanner.scan(view.data):
        if finding.visible:
            where = finding.location  # of UTF-16 the offset is another
            yield finding.rule_id, view.line_of(where["start_offset"]) if view.depth else where["line"]


@cache
def _scanner(rules: Path) -> Scanner:
    return Scanner(Rules(confidence="low", cache_dir=rules.resolve()), base64=False)  # which views do
