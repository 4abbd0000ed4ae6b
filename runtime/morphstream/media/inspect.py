"""Read back the marks of a picture or a video: what the file says of how it was made."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from morphstream.artifact.errors import VideoError
from morphstream.artifact.regular_file import open_regular
from morphstream.media.kinds import kind_of
from morphstream.media.provenance import Mark, is_synthetic_type, read_marks
from morphstream.media.read import is_picture, read_xmp

_C2PA_SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},  # a file says which addresses to ask
    "core": {"backing_store_memory_threshold_in_mb": 64},
}


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


def inspect(path: Path) -> Inspection:
    """Return the marks of a picture or a video: XMP, tags in words, and C2PA.

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
        marks += _c2pa_of(path)
    except _UnseenError as error:
        notes.append(str(error))
    return Inspection(kind=kind, marks=marks, notes=notes)


class _UnseenError(Exception):
    """Something wasn't looked at; its message says what and why."""


def _c2pa_of(path: Path) -> list[Mark]:
    """Return what the signed manifest of a file says, and whether its signature holds.

    Source: C2PA Technical Specification 2.2, validation states.
    """
    try:
        c2pa = import_module("c2pa")
    except ModuleNotFoundError:
        raise _UnseenError("C2PA isn't looked for; run: pip install c2pa-python") from None
    try:
        with c2pa.Context.from_dict(_C2PA_SETTINGS) as context:
            if (reader := c2pa.Reader.try_create(str(path), context=context)) is None:
                return []
            with reader:
                found = json.loads(reader.json())
    except c2pa.C2paError.NotSupported:
        raise _UnseenError("C2PA has no place in this format") from None
    except c2pa.C2paError as error:
        raise _UnseenError(f"its C2PA can't be read: {error}") from None
    codes = {status["code"] for status in found.get("validation_status", ())}
    manifest = found.get("manifests", {}).get(found.get("active_manifest"), {})
    signer = manifest.get("signature_info", {}).get("issuer", "an unnamed signer")
    trust = ", whom nobody vouches for" if "signingCredential.untrusted" in codes else ""
    state = found.get("validation_state", "unknown").lower()
    actions = [
        action for assertion in manifest.get("assertions", ()) for action in assertion["data"].get("actions", ())
    ]
    types = [action["digitalSourceType"] for action in actions if "digitalSourceType" in action]
    return [
        Mark(place="C2PA", text=f"{state} signature of {signer}{trust}"),
        *(
            Mark(place="C2PA", text=f"source type {text}", is_synthetic=is_synthetic_type(text))
            for text in types
            if text
        ),
    ]
