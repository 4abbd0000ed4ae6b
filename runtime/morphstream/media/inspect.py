"""Read back the marks of a picture or a video: what the file says of how it was made."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from morphstream.artifact.errors import VideoError
from morphstream.artifact.regular_file import open_regular
from morphstream.media.credentials import SETTINGS
from morphstream.media.kinds import kind_of
from morphstream.media.provenance import Mark, is_synthetic_type, read_marks
from morphstream.media.read import is_picture, read_xmp


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a file says of how it was made.

    Attributes:
        kind: What the file is, such as "picture (JPEG)".
        marks: Those that were found.
        notes: What wasn't looked at, and why.
    """

    kind: str
    marks: Sequence[Mark]
    notes: Sequence[str] = ()

    @property
    def is_synthetic(self) -> bool:
        """Whether a mark says that the file, or a part of it, is synthetic."""
        return any(mark.is_synthetic for mark in self.marks)


def inspect(path: Path, *, anchors: str | None = None) -> Inspection:
    """Return the marks of a picture or a video: XMP, tags in words, and C2PA.

    Args:
        path: The file.
        anchors: Certificates of those who vouch for signers, in PEM; None for nobody.

    Raises:
        ImageError: It is a picture that can't be read.
        VideoError: It is neither, or a video that can't be read.
        OSError: It can't be read.
    """
    with open_regular(path) as file:
        head = file.read(512)
    notes, marks = list[str](), list[Mark]()
    if is_picture(head):
        format_name, xmp = read_xmp(path)
        kind = f"picture ({format_name})"
    elif (seen := kind_of(head)) != "a video":
        raise VideoError(f"{path}: expected a picture or a video, seen {seen or 'neither'}; name another")
    else:
        from morphstream.media.video import marks as video

        format_name, tags = video.read_tags(path)
        kind, xmp = f"video ({format_name})", video.read_xmp(path) or tags.pop("xmp", "").encode() or None
        marks += [Mark(place=name, text=text, is_synthetic=video.WORDS in text) for name, text in tags.items()]
    try:
        marks[:0] = read_marks(xmp) if xmp else []
    except ValueError as error:
        notes.append(f"its XMP can't be read: {error}")
    try:
        marks += _c2pa_of(path, anchors)
    except _UnseenError as error:
        notes.append(str(error))
    return Inspection(kind=kind, marks=marks, notes=notes)


class _UnseenError(Exception):
    """Something wasn't looked at; its message says what and why."""


def _c2pa_of(path: Path, anchors: str | None) -> list[Mark]:
    """Return what a file is signed with: whether the signature holds, who signed, what was done, and of what.

    Source: C2PA Technical Specification 2.2, validation states.
    """
    try:
        c2pa = import_module("c2pa")
    except ModuleNotFoundError:
        raise _UnseenError("C2PA isn't looked for; run: pip install 'morphstream[c2pa]'") from None
    settings = dict(SETTINGS)
    if anchors:
        settings |= {"trust": {"trust_anchors": anchors}}
    try:
        with c2pa.Context.from_dict(settings) as context:
            if (reader := c2pa.Reader.try_create(str(path), context=context)) is None:
                return []
            with reader:
                found = json.loads(reader.json())
    except c2pa.C2paError.NotSupported:
        raise _UnseenError("C2PA has no place in this format") from None
    except c2pa.C2paError as error:
        raise _UnseenError(f"its C2PA can't be read: {error}") from None
    return [Mark(place="C2PA", text=judgement(found)), *_marks_of(found)]


def judgement(store: Mapping[str, Any]) -> str:
    """Return in words whether a signature holds, and who signed, from what C2PA's library tells of a file."""
    codes = sorted({status["code"] for status in store.get("validation_status", ())})
    signer = _active(store).get("signature_info", {}).get("issuer", "an unnamed signer")
    state = store.get("validation_state", "Invalid")
    if state == "Trusted":
        return f"trusted signature of {signer}"
    if state == "Valid":
        nobody = ", whom nobody vouches for" if "signingCredential.untrusted" in codes else ""
        return f"valid signature of {signer}{nobody}"
    faults = ", ".join(code for code in codes if code != "signingCredential.untrusted")
    return f"broken signature of {signer}: the file or its manifest was changed ({faults or 'it says no more'})"


def _marks_of(store: Mapping[str, Any]) -> Iterator[Mark]:
    """Yield what a signed manifest says of how a file was made."""
    manifest = _active(store)
    for assertion in manifest.get("assertions", ()):
        data = assertion.get("data")  # of assertions of others anything, or nothing
        for action in data.get("actions", ()) if isinstance(data, Mapping) else ():
            yield Mark(place="C2PA", text=f"action {action.get('action')}")
            if text := action.get("digitalSourceType"):
                yield Mark(place="C2PA", text=f"source type {text}", is_synthetic=is_synthetic_type(text))
    for part in manifest.get("ingredients", ()):
        named = part.get("title", "a part without a name")
        yield Mark(place="C2PA", text=f"made of {named}, {part.get('instance_id', 'which has no digest')}")


def _active(store: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = store.get("manifests", {}).get(store.get("active_manifest"), {})
    return found
