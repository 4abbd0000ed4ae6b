"""EXIF, which is a TIFF without pixels: read, left without what shows the original picture, and written.

Conventions: an order is ``<`` or ``>``, of the bytes in numbers; a directory maps tags to entries, whose data stays as
it is, byte for byte, or to directories. Source: TIFF 6.0; EXIF 3.0.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Union

EXIF, GPS = 34665, 34853  # the directories in the first one
_ORIENTATION, _WIDTH, _HEIGHT = 274, 40962, 40963
_KEPT = frozenset(  # of the first directory; the others describe how pixels are stored, or hold pictures
    (
        *range(269, 273),
        _ORIENTATION,
        282,
        283,
        285,
        296,
        305,
        306,
        315,
        316,
        531,
        18246,
        18249,
        33432,
        *range(40091, 40096),
    )
)
_LEFT_OUT = frozenset((37500, 40965, 59932, 59933))  # maker's note, often with a preview; pointer to Interop; padding
_BYTES_OF_KIND = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
BYTE, SHORT, LONG, RATIONAL, UNDEFINED = 1, 3, 4, 5, 7
_ENTRY_BYTES = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a directory: the number of its type, and its values' bytes."""

    kind: int
    data: bytes


Order = Literal["<", ">"]
Directory = Mapping[int, Union[Entry, "Directory"]]


def order_of(exif: bytes) -> Order:
    """Return the order of a TIFF or EXIF.

    Raises:
        ValueError: It is neither.
    """
    if exif.startswith(b"II*\0"):
        return "<"
    if exif.startswith(b"MM\0*"):
        return ">"
    raise ValueError(f"EXIF: expected II or MM, seen {exif[:4]!r}")


def read_directory(exif: bytes) -> dict[int, Entry]:
    """Return the first directory of a TIFF or EXIF; errors as of `order_of`, and struct.error."""
    order = order_of(exif)
    return _read(exif, order, *struct.unpack_from(order + "I", exif, 4))


def clean(exif: bytes, size_wh: tuple[int, int]) -> bytes | None:
    """Return EXIF with orientation 1 and without thumbnail, maker's note and previews; None where nothing is left.

    Args:
        exif: A TIFF, or EXIF without the header that it has in a JPEG.
        size_wh: Of the upright picture.

    Raises:
        ValueError: It is neither.
        struct.error: It is damaged.
    """
    order, first = order_of(exif), read_directory(exif)
    kept: dict[int, Entry | Directory] = {tag: entry for tag, entry in first.items() if tag in _KEPT}
    for tag in (EXIF, GPS):
        if tag in first:
            (offset,) = struct.unpack(order + "I", first[tag].data)
            part = {key: value for key, value in _read(exif, order, offset).items() if key not in _LEFT_OUT}
            for key, side in zip((_WIDTH, _HEIGHT), size_wh, strict=True):
                if tag == EXIF and key in part:
                    part[key] = Entry(LONG, struct.pack(order + "I", side))
            if part:
                kept[tag] = part
    if not kept:
        return None
    kept[_ORIENTATION] = Entry(SHORT, struct.pack(order + "H", 1))
    return write_tiff(kept, order)


def orientation_of(exif: bytes) -> int:
    """Return how a picture is turned, 1..8; 1 where EXIF says nothing that makes sense."""
    try:
        entry = read_directory(exif).get(_ORIENTATION)
        (value,) = struct.unpack(order_of(exif) + "H", entry.data) if entry and entry.kind == SHORT else (1,)
    except (ValueError, struct.error):
        return 1
    return value if 1 <= value <= 8 else 1


def write_tiff(directory: Directory, order: Order) -> bytes:
    """Return a TIFF with a directory, directories in it behind it."""
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + _write(directory, order, 8)


def nested(exif: bytes) -> dict[int, "Entry | Directory"]:
    """Return what `clean` returned as a directory, with those in it; errors as of `clean`."""
    order, first = order_of(exif), read_directory(exif)
    parts = {
        tag: _read(exif, order, *struct.unpack(order + "I", first[tag].data)) for tag in (EXIF, GPS) if tag in first
    }
    return {**first, **parts}


def _read(exif: bytes, order: Order, offset: int) -> dict[int, Entry]:
    (count,) = struct.unpack_from(order + "H", exif, offset)
    entries = {}
    for place in range(offset + 2, offset + 2 + count * _ENTRY_BYTES, _ENTRY_BYTES):
        tag, kind, length = struct.unpack_from(order + "HHI", exif, place)
        size = length * _BYTES_OF_KIND.get(kind, 0)
        (start,) = (place + 8,) if size <= 4 else struct.unpack_from(order + "I", exif, place + 8)
        if 0 < size <= len(exif) - start:  # others are damaged, or of a type that isn't known
            entries[tag] = Entry(kind, exif[start : start + size])
    return entries


def _write(directory: Directory, order: Order, offset: int) -> bytes:
    """Return a directory that begins at an offset, and its data behind it."""
    entries, behind = b"", b""
    start = offset + 2 + len(directory) * _ENTRY_BYTES + 4
    for tag, value in sorted(directory.items()):
        place = start + len(behind)
        if isinstance(value, Entry):
            kind, length, data = value.kind, len(value.data) // _BYTES_OF_KIND[value.kind], value.data
        else:
            kind, length, data = LONG, 1, struct.pack(order + "I", place)
            behind += _write(value, order, place)
        if len(data) > 4:
            behind += data + bytes(len(data) % 2)
            data = struct.pack(order + "I", place)
        entries += struct.pack(order + "HHI", tag, kind, length) + data.ljust(4, b"\0")
    return struct.pack(order + "H", len(directory)) + entries + bytes(4) + behind
