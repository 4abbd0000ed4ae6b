"""The marks that say that a video is synthetic: in words that survive a remux, and as XMP.

MP4 holds XMP in a box of its own, MOV in its user data, Matroska and WebM in a tag, GIF in an extension.
Source: XMP specification, part 3; ISO/IEC 14496-12; QuickTime File Format.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from morphstream.media.provenance import MARK, mark_with
from morphstream.media.video.open import open_video

WORDS = "Synthetic media: faces in this video were swapped by morphstream."
_SPOKEN = ("comment", "description")  # tags that every container keeps one of
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_BEHIND = struct.pack(">I4s16x", 24, b"free")  # which Exiv2 needs: findings/exiv2_xmp_box_at_the_end.sh
_MOST_XMP_BYTES, _MOST_BOXES = 1 << 20, 500_000


def mark_of(source: Path) -> bytes:
    """Return the mark as an XMP packet, with what a source's own XMP says of its author and rights.

    Raises:
        OSError: The source can't be read.
    """
    try:
        return mark_with(xmp) if (xmp := read_xmp(source)) else MARK
    except ValueError:  # it is damaged, or too long
        return MARK


def marked(tags: Mapping[str, str], mark: bytes = MARK) -> dict[str, str]:
    """Return the tags of a container, marked: what they say stays, and the mark's words stand behind it.

    Args:
        tags: Of the source.
        mark: An XMP packet, as of `mark_of`.
    """
    kept = {name: text for name, text in tags.items() if name.lower() not in (*_SPOKEN, "xmp")}
    own = {name.lower(): text.replace(WORDS, "").strip() for name, text in tags.items()}
    spoken = {name: "\n".join(filter(None, (own.get(name), WORDS))) for name in _SPOKEN}
    return {**kept, **spoken, "xmp": mark.decode()}


def mark_file(path: Path, mark: bytes = MARK) -> None:
    """Append the mark to an MP4 or a GIF that is complete; other files have it in their tags.

    Args:
        path: Written by us, and not yet under its name; modified.
        mark: An XMP packet, as of `mark_of`.

    Raises:
        OSError: It can't be written.
    """
    with path.open("r+b") as file:
        head = file.read(12)
        if head.startswith(b"GIF8"):
            from morphstream.media.gif import xmp_extension  # here, as it loads Pillow

            file.seek(-1, 2)  # the trailer
            file.write(xmp_extension(mark) + b";")
        elif head[4:8] == b"ftyp" and head[8:12] != b"qt  ":
            file.seek(0, 2)
            file.write(struct.pack(">I4s", 24 + len(mark), b"uuid") + _XMP_UUID + mark + _BEHIND)


def read_xmp(path: Path) -> bytes | None:
    """Return the XMP packet of an MP4 or a MOV, None where there is none, as in every other file.

    Raises:
        OSError: It can't be read.
    """
    with path.open("rb") as file:
        if file.read(12)[4:8] != b"ftyp":
            return None
        for kind, start, end in _boxes(file, 0, file.seek(0, 2)):
            file.seek(start)
            if kind == b"uuid" and file.read(16) == _XMP_UUID:
                return file.read(min(end - start - 16, _MOST_XMP_BYTES))
            if kind == b"moov" and (found := _find(file, (b"udta", b"XMP_"), start, end)):
                file.seek(found[0])
                return file.read(min(found[1] - found[0], _MOST_XMP_BYTES))
    return None


def read_tags(path: Path) -> tuple[str, dict[str, str]]:
    """Return the format of a video, and those of its tags that marks stand in, by their names in small letters.

    Raises:
        VideoError: As of `open_video`.
    """
    container, _ = open_video(path)
    with container:
        tags = {name.lower(): text for name, text in container.metadata.items()}
        return container.format.name, {name: tags[name] for name in (*_SPOKEN, "xmp") if name in tags}


def _find(file: BinaryIO, names: tuple[bytes, ...], start: int, end: int) -> tuple[int, int] | None:
    """Return where the contents of a box begin and end, which is in the others named, from a place of a file on."""
    for kind, first, last in _boxes(file, start, end):
        if kind == names[0]:
            return _find(file, names[1:], first, last) if names[1:] else (first, last)
    return None


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each box between two places of a file, and where its contents begin and end."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        first = start + 8
        if size == 1 and start + 16 <= end:
            (size,), first = struct.unpack(">Q", file.read(8)), start + 16
        last = start + size if size else end
        if not first <= last <= end:
            return  # it is damaged, or cut short
        yield kind, first, last
        start = last
