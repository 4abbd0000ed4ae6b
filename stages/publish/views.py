"""The texts in some bytes: as they are, and as what is encoded in them, so that a rule for plain text finds it there.

Escapes, UTF-16, hexadecimal digits and dumps, lists of numbers, base64, base32, base85, zlib and gzip are decoded,
words are taken out of what is around them, and texts in parts are joined: wrapped lines, and strings that code adds up.
All that in turn, three deep.
"""

import base64
import binascii
import re
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

_DEEPEST, _MOST_STREAMS = 3, 16
_MOST_BYTES = 32 << 20  # that are decoded, at about a second a MiB; more are searched as they are

_ESCAPE = re.compile(
    rb"\\[uU]\{?0{0,6}([0-9A-Fa-f]{2})\}?|\\x([0-9A-Fa-f]{2})|%([0-9A-Fa-f]{2})|&#[xX]0{0,4}([0-9A-Fa-f]{2});"
    rb"|\\([0-3]?[0-7]{2})|&#0{0,4}([0-9]{2,3});|\\([nrt\"'/\\])"
)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}

_UTF16 = re.compile(rb"(?:[\x20-\x7e\t]\0{1,3}){7,}+[\x20-\x7e]?")  # of either order, and UTF-32, a line each
_PAIRS = re.compile(rb"(?:(?:0x|\\x|[%=])?[0-9A-Fa-f]{2}(?:, ?|[ :-]|,?\r?\n[ \t]*)?){16,}+")
_PAIR = re.compile(rb"(?:0x|\\x|[%=])?([0-9A-Fa-f]{2})")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{20,}+")
_STANDARD = bytes.maketrans(b"-_", b"+/")  # from the letters of base64 in addresses
_WORDS = re.compile(rb"[\w.+/-]{16,}+")
_DUMPED = re.compile(rb"^[0-9a-f]{6,8}:? +((?:(?:[0-9a-f]{2}){1,2} {1,2})+)", re.MULTILINE)  # by xxd or hexdump -C
_DUMP = re.compile(rb"(?:" + _DUMPED.pattern + rb".*\n?)++", re.MULTILINE)
_CODE = rb"(?:[A-Za-z.]{1,12}\()?\b1?[0-9]{2}\b\)?"  # of a letter, in a call or not
_NUMBERS = re.compile(rb"(?:" + _CODE + rb"[\s,;+.&]{1,8}+){15,}+(?:" + _CODE + rb")?")
_NUMBER = re.compile(rb"[0-9]+")
_COMPRESSED = re.compile(rb"\x1f\x8b\x08|(?<!IDAT)\x78[\x01\x5e\x9c\xda]")  # by gzip or zlib, but for pixels of PNG
_BASE32 = re.compile(rb"(?<![A-Za-z2-7])(?:[A-Z2-7]{32,}+|[a-z2-7]{32,}+)=*+")
_BASE85 = re.compile(rb"(?<![!#-&(-+\-0-9;-Z^-~])[!#-&(-+\-0-9;-Z^-~]{24,400}(?![!#-&(-+\-0-9;-Z^-~])")

_WORD = rb"[\w+/=.~-]++"
_BREAK = (
    rb"""(?:=?\r?\n[ \t]*+|\\r\\n|\\n|["'`]?[ \t]*+[\\+.,&]?[ \t]*+\r?\n[ \t]*+[+.&]?[ \t]*+[bfru]?["'`]?"""
    rb"""|["'`][ \t]*+[+.,&]?[ \t]*+["'`])"""
)
_PARTS = re.compile(rb"(?<![\w+/=.~-])" + _WORD + rb"(?:" + _BREAK + _WORD + rb")++")
_BREAKS = re.compile(_BREAK)

Part = tuple[int, bytes]  # where it begins in what it was decoded from, and what it is


class View(NamedTuple):
    """Bytes to search, and the lines of the file that they come from.

    Attributes:
        data: The bytes.
        starts: Offsets in them, rising from 0.
        lines: The line, from 1, that belongs to the bytes from each of these offsets on.
        depth: How many times they were decoded.
    """

    data: bytes
    starts: Sequence[int]
    lines: Sequence[int]
    depth: int = 0

    def line_of(self, offset: int) -> int:
        """Return the line of the file that a byte comes from."""
        return self.lines[bisect_right(self.starts, offset) - 1]


def views_of(data: bytes) -> Iterator[View]:
    """Yield bytes as they are, and then each way to decode something in them."""
    starts = [0, *(found.end() for found in re.finditer(rb"\n", data))]
    most_deep = _DEEPEST if len(data) <= _MOST_BYTES else 0
    views, seen = [View(data, starts, range(1, len(starts) + 1))], set[bytes]()
    while views:
        view = views.pop(0)
        yield view
        if view.depth < most_deep:
            decoded = (_decoded(view, decode(view.data)) for decode in _DECODERS)
            new = [one for one in decoded if one.data and one.data not in seen]
            seen.update(one.data for one in new)
            views += new


def _decoded(view: View, parts: Iterable[Part]) -> View:
    """Return parts that were decoded from a view, a line each, which none of the decoders joins."""
    data, starts, lines = bytearray(), list[int](), list[int]()
    for offset, text in parts:
        starts.append(len(data))
        lines.append(view.line_of(offset))
        data += text + b"\n\0\n"
    return View(bytes(data), starts, lines, view.depth + 1)


def _unescaped(data: bytes) -> Iterator[Part]:
    offset = 0
    for line in data.splitlines(keepends=True):
        if (text := _ESCAPE.sub(_letter, line)) != line:
            yield offset, text
        offset += len(line)


def _letter(escape: re.Match[bytes]) -> bytes:
    *hexadecimal, octal, decimal, letter = escape.groups()
    if letter:
        return _LETTERS.get(letter, letter)
    number = int(octal, 8) if octal else int(decimal or next(filter(None, hexadecimal)), 10 if decimal else 16)
    return bytes([number & 0xFF])


def _inflated(data: bytes) -> Iterator[Part]:
    yield from islice((part for part in _streams(data) if part[1]), _MOST_STREAMS)


def _streams(data: bytes) -> Iterator[Part]:
    for found in _COMPRESSED.finditer(data):
        with suppress(zlib.error):  # only looks like one
            yield found.start(), zlib.decompressobj(47).decompress(memoryview(data)[found.start() :], _MOST_BYTES)


def _runs(pattern: re.Pattern[bytes], *decoders: Callable[[bytes], bytes]) -> Callable[[bytes], Iterator[Part]]:
    """Return what yields each run of a pattern, decoded in each way that it can be."""

    def decode(data: bytes) -> Iterator[Part]:
        for run in pattern.finditer(data):
            for decoder in decoders:
                try:
                    yield run.start(), decoder(run[0])
                except ValueError:
                    continue

    return decode


def _from(offset: int) -> Callable[[bytes], bytes]:
    """Return a decoder of base64, of either alphabet, that begins some letters late, as these may belong elsewhere."""

    def decode(run: bytes) -> bytes:
        digits = run[offset:].translate(_STANDARD)
        digits = digits[: len(digits) - (len(digits) % 4 == 1)]  # a single one ends no byte
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))

    return decode


_DECODERS: tuple[Callable[[bytes], Iterator[Part]], ...] = (
    _unescaped,
    _inflated,
    _runs(_WORDS, bytes),
    _runs(_UTF16, lambda run: run.replace(b"\0", b"")),
    _runs(_PAIRS, lambda run: bytes.fromhex(b"".join(_PAIR.findall(run)).decode())),
    _runs(_DUMP, lambda run: bytes.fromhex(b"".join(_DUMPED.findall(run)).decode())),
    _runs(_NUMBERS, lambda run: bytes(map(int, _NUMBER.findall(run)))),
    _runs(_BASE64, *map(_from, range(4))),
    _runs(_BASE32, lambda run: base64.b32decode(run[: len(run) // 8 * 8], casefold=True)),
    _runs(_BASE85, base64.b85decode),
    _runs(_PARTS, lambda run: _BREAKS.sub(b"", run)),
)
