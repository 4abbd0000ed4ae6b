"""Strict reading of JSON objects: every refusal carries the path of its fault.

Conventions:

* A path is a JSONPath without the leading ``$.``, such as ``engine_files['a.engine'].sha256``. A check names the path
  from its own object; ``inside`` puts the path of that object in front.
* A record is a dataclass whose type hints describe a JSON object: a field is a key, ``Annotated`` has the form of a
  string, a mapping is an object with at least one entry, and a digest is two keys. None is written as null, or not at
  all where it is the default; the metadata ``absent`` is what an absent key means.
"""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import NoneType
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.target import CacheKey

T = TypeVar("T")
Object = dict[str, object]

MOST_BYTES = 4 << 20  # of a manifest: some 12000 entries, read in half a second; the largest known has 500

_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TYPE_NAMES: Mapping[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a number with a fraction",
    bool: "true or false",
    dict: "an object",
    list: "an array",
}


class Form(NamedTuple):
    """A rule for the whole of a string: the pattern it matches, and the same in words."""

    pattern: str
    words: str


SHA256 = Form(r"[0-9a-f]{64}", "64 lower-case hexadecimal digits")


def one_of(choices: Collection[str]) -> Form:
    """Return the form of a string that is one of a few."""
    return Form("|".join(map(re.escape, choices)), f"one of {', '.join(choices)}")


class _Pairs(list[tuple[str, object]]):
    """A JSON object as it was written, repeated keys included."""


def path_of(*keys: str | int) -> str:
    """Return the path of a value from the keys and indices that lead to it."""
    steps = (f".{key}" if _PLAIN_KEY.fullmatch(str(key)) else f"[{key!r}]" for key in keys)
    return "".join(steps).removeprefix(".")


@contextmanager
def inside(*keys: str | int) -> Iterator[None]:
    """Put keys and indices in front of the path of every refusal in the block."""
    try:
        yield
    except ManifestError as error:
        dot = "" if error.where[:1] in ("", "[") else "."
        raise ManifestError(f"{path_of(*keys)}{dot}{error.where}", error.message) from error


@contextmanager
def of_file(path: object) -> Iterator[None]:
    """Name a file in every refusal in the block."""
    try:
        yield
    except ManifestError as error:
        raise ManifestError(error.where, f"{path}: {error.message}") from None


def parse_object(text: str | bytes, *, format_version: int) -> Object:
    """Read a JSON object of one format version from UTF-8 text of at most `MOST_BYTES`."""
    check_size(text)
    try:
        text = text.decode() if isinstance(text, bytes) else text
        data = _plain(json.loads(text, object_pairs_hook=_Pairs))
    except (ValueError, RecursionError) as error:
        raise ManifestError("", f"expected JSON in UTF-8, seen a fault: {error}") from error
    if not isinstance(data, dict):
        raise ManifestError("", f"expected an object, seen {shown(data)}")
    confirm(data, "format_version", format_version, why="the version this release reads")
    return data


def check_size(text: str | bytes) -> None:
    """Check that a manifest's text is not too long to be read."""
    if len(text) > MOST_BYTES:
        seen = f"{len(text) / 2**20:.1f} MiB"
        raise ManifestError("", f"expected at most {MOST_BYTES >> 20} MiB, seen {seen}; list fewer files")


def dump(data: Object) -> str:
    """Return an object as JSON text in ASCII, keys in their own order, a line each."""
    return json.dumps(data, indent=2) + "\n"


def _plain(value: object, *keys: str | int) -> object:
    """Turn pairs into objects; refuse repeated keys and numbers that JSON does not have."""
    if isinstance(value, _Pairs):
        data: Object = {}
        for key, item in value:
            if key in data:
                raise ManifestError(path_of(*keys, key), "expected every key once, seen it again")
            data[key] = _plain(item, *keys, key)
        return data
    if isinstance(value, list):
        return [_plain(item, *keys, index) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ManifestError(path_of(*keys), f"expected a finite number, seen {value}")
    return value


@cache
def _fields_of(record: Any) -> tuple[tuple[dataclasses.Field[Any], Any, bool], ...]:
    """Return each field of a record with its type without ``| None``, and whether None is written as null."""
    found, hints = [], get_type_hints(record, include_extras=True)
    for field in dataclasses.fields(record):
        has_none = NoneType in get_args(kind := hints[field.name])
        found.append((field, get_args(kind)[0] if has_none else kind, has_none and field.default is not None))
    return tuple(found)


def read(record: Callable[..., T], data: Object, known: Object | None = None, *, is_strict: bool = False) -> T:
    """Read a record from an object.

    Args:
        record: Its class.
        data: The object; a key may be absent where its field has a default.
        known: Values of fields that the object has no key for, by name.
        is_strict: Refuse keys that the class has no field for, there and in objects below; else they are ignored.
    """
    values = dict(known or {})
    wanted = [field for field in _fields_of(record) if field[0].name not in values]
    if is_strict:
        check_keys(data, [field.name for field, _, _ in wanted])
    for field, kind, is_nullable in wanted:
        keys = _digest_keys(field.name) if kind is Digest else (field.name,)
        if field.default is dataclasses.MISSING or not data.keys().isdisjoint(keys):
            is_null = is_nullable and data.get(field.name, field.metadata.get("absent", ...)) is None
            values[field.name] = None if is_null else read_value(kind, data, field.name, is_strict=is_strict)
    return record(**values)


def read_value(kind: Any, data: Object, key: str, *, is_strict: bool = False) -> Any:
    """Read the value of a key: of a plain type, a record, a digest, a cache key, a tuple or a mapping of these."""
    if kind is Digest:
        return read_digest(data, key)
    if get_origin(kind) is tuple:
        items = required(data, key, list)
        return tuple(read_value(get_args(kind)[0], {key: item}, key, is_strict=is_strict) for item in items)
    if get_origin(kind) is Mapping or (dataclasses.is_dataclass(kind) and kind is not CacheKey):
        entries: Object = required(data, key, dict)
        with inside(key):
            if get_origin(kind) is not Mapping:
                return read(kind, entries, is_strict=is_strict)
            return {name: _read_entry(get_args(kind)[1], entries, name, is_strict=is_strict) for name in entries}
    if kind is not CacheKey:
        return required(data, key, kind if isinstance(kind, type) else str)  # a string may have a form
    try:
        return CacheKey.parse(required(data, key, str))
    except ValueError as error:
        raise ManifestError(key, str(error)) from error


def _read_entry(kind: Any, entries: Object, name: str, *, is_strict: bool) -> Any:
    """Read an entry of a mapping, where a digest is an object of its own."""
    if kind is not Digest:
        return read_value(kind, entries, name, is_strict=is_strict)
    entry: Object = required(entries, name, dict)
    with inside(name):
        return read_digest(entry)


def check(record: Any) -> None:
    """Check that each string of a record has its form, and each mapping entries with names of theirs."""
    for field, kind, is_nullable in _fields_of(record.__class__):
        value = getattr(record, field.name)
        if value is None and (is_nullable or field.default is None):
            continue
        if get_origin(kind) is Annotated:
            check_form(field.name, value, kind.__metadata__[0])
        elif get_origin(kind) is Mapping:
            _check_entries(field.name, value, *get_args(kind))


def _check_entries(key: str, entries: Mapping[str, Any], names: Any, values: Any) -> None:
    if not entries:
        raise ManifestError(key, "expected at least one entry, seen none")
    for name, value in entries.items():
        for text, kind in ((name, names), (value, values)):
            if get_origin(kind) is Annotated:
                check_form(path_of(key, name), text, kind.__metadata__[0])


def written(record: Any) -> Object:
    """Return a record as an object, entries in the order of their names."""
    data: Object = {}
    for field, _, is_nullable in _fields_of(record.__class__):
        value = getattr(record, field.name)
        if isinstance(value, Digest):
            data |= digest_object(value, field.name)
        elif isinstance(value, Mapping):
            entries = sorted(value.items())
            data[field.name] = {name: entry if isinstance(entry, str) else written(entry) for name, entry in entries}
        elif value is not None or is_nullable:
            data[field.name] = str(value) if isinstance(value, CacheKey) else value
    return data


def required(data: Object, key: str, kind: type[T]) -> T:
    """Return the value of a key that must be there; true and false are no integers."""
    value = data.get(key)
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        seen = shown(value) if key in data else "no such key"
        raise ManifestError(path_of(key), f"expected {_TYPE_NAMES[kind]}, seen {seen}")
    return value


def read_digest(data: Object, name: str = "digest") -> Digest:
    """Read a digest from its two keys, ``sha256`` and ``bytes`` with what the name has before ``digest``."""
    sha256_key, bytes_key = _digest_keys(name)
    sha256, size = required(data, sha256_key, str), required(data, bytes_key, int)
    check_form(sha256_key, sha256, SHA256)
    if size < 0:
        raise ManifestError(bytes_key, f"expected 0 or more, seen {size}")
    return Digest(sha256, size)


def digest_object(digest: Digest, name: str) -> Object:
    """Return the two keys of a digest with their values, as `read_digest` reads them."""
    return dict(zip(_digest_keys(name), (digest.sha256, digest.bytes), strict=True))


def _digest_keys(name: str) -> tuple[str, str]:
    prefix = name.removesuffix("digest")
    return f"{prefix}sha256", f"{prefix}bytes"


def confirm(data: Object, key: str, expected: object, *, why: str) -> None:
    """Check that a key is there and has the one value it may have, of the same type."""
    seen = shown(data[key]) if key in data else "no such key"
    if seen != shown(expected):  # spelled out, 1 is neither true nor 1.0
        raise ManifestError(path_of(key), f"expected {shown(expected)}, {why}, seen {seen}")


def check_keys(data: Object, known: Collection[str]) -> None:
    """Check that an object has known keys alone."""
    for key in data:
        if key not in known:
            raise ManifestError(path_of(key), f"expected one of {', '.join(known)}, seen {shown(key)}")


def check_form(where: str, value: str, form: Form) -> None:
    """Check that a string has a form."""
    if not re.fullmatch(form.pattern, value):
        raise ManifestError(where, f"expected {form.words}, seen {shown(value)}")


def shown(value: object) -> str:
    """Return a value as JSON spells it, on one line, cut when long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
