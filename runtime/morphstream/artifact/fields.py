"""Strict reading of JSON objects: every refusal carries the path of its fault.

Convention: a path is a JSONPath without the leading ``$.``, such as ``engine_files['a.engine'].sha256``. A
check names the path from its own object; ``inside`` puts the path of that object in front.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.target import CacheKey

T = TypeVar("T")
Object = dict[str, object]

_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TYPE_NAMES: Mapping[type, str] = {str: "a string", int: "an integer", dict: "an object", list: "an array"}


class Form(NamedTuple):
    """A rule for the whole of a string: the pattern it matches, and the same in words."""

    pattern: str
    words: str


SHA256 = Form(r"[0-9a-f]{64}", "64 lower-case hexadecimal digits")


class _Pairs(list[tuple[str, object]]):
    """A JSON object as it was written, repeated keys included."""


def path_of(*keys: str | int) -> str:
    """Return the path of a value from the keys and indices that lead to it."""
    steps = (f".{key}" if _PLAIN_KEY.fullmatch(str(key)) else f"[{key!r}]" for key in keys)
    return "".join(steps).removeprefix(".")


@contextmanager
def inside(key: str) -> Iterator[None]:
    """Put a key in front of the path of every refusal in the block.

    Raises:
        ManifestError: The block raised one.
    """
    try:
        yield
    except ManifestError as error:
        dot = "" if error.where.startswith("[") else "."
        raise ManifestError(f"{path_of(key)}{dot}{error.where}", error.message) from error


def parse_object(text: str | bytes, *, format_version: int) -> Object:
    """Read a JSON object of one format version from UTF-8 text.

    Raises:
        ManifestError: It is no JSON, no object, repeats a key, holds NaN or Infinity, or has another version.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        data = _plain(json.loads(text, object_pairs_hook=_Pairs))
    except (ValueError, RecursionError) as error:
        raise ManifestError("", f"expected JSON in UTF-8, seen a fault: {error}") from error
    if not isinstance(data, dict):
        raise ManifestError("", f"expected an object, seen {shown(data)}")
    confirm(data, "format_version", format_version, why="the version this release reads")
    return data


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


def required(data: Object, key: str, kind: type[T]) -> T:
    """Return the value of a key that must be there; true and false are no integers.

    Raises:
        ManifestError: It is missing, or of another type.
    """
    if key not in data:
        raise ManifestError(path_of(key), f"expected {_TYPE_NAMES[kind]}, seen no such key")
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, kind):
        raise ManifestError(path_of(key), f"expected {_TYPE_NAMES[kind]}, seen {shown(value)}")
    return value


def optional(data: Object, key: str, kind: type[T]) -> T | None:
    """Return the value of a key that may be left out, but not be null.

    Raises:
        ManifestError: It is of another type.
    """
    return required(data, key, kind) if key in data else None


def nullable(data: Object, key: str, kind: type[T]) -> T | None:
    """Return the value of a key that must be there, but may be null.

    Raises:
        ManifestError: It is missing, or of another type.
    """
    return None if data.get(key, ...) is None else required(data, key, kind)


def strings(data: Object, key: str) -> dict[str, str]:
    """Read an object whose values are strings, by name.

    Raises:
        ManifestError: It is missing or of another type, or a value is.
    """
    values: Object = required(data, key, dict)
    with inside(key):
        return {name: required(values, name, str) for name in values}


def entries(data: Object, key: str, read: Callable[[Object], T]) -> dict[str, T]:
    """Read an object whose values are objects, by name.

    Raises:
        ManifestError: It is missing or of another type, or an entry is refused.
    """
    objects: Object = required(data, key, dict)
    found = {}
    with inside(key):
        for name in objects:
            entry = required(objects, name, dict)
            with inside(name):
                found[name] = read(entry)
    return found


def read_digest(data: Object, prefix: str = "") -> Digest:
    """Read a digest from its two keys, ``sha256`` and ``bytes``, with a prefix where an object has several.

    Raises:
        ManifestError: One is missing, or is not of that form.
    """
    sha256, size = required(data, f"{prefix}sha256", str), required(data, f"{prefix}bytes", int)
    check_form(f"{prefix}sha256", sha256, SHA256)
    if size < 0:
        raise ManifestError(f"{prefix}bytes", f"expected 0 or more, seen {size}")
    return Digest(sha256, size)


def digest_keys(digest: Digest, prefix: str = "") -> Object:
    """Return the two keys of a digest, as ``read_digest`` reads them."""
    return {f"{prefix}sha256": digest.sha256, f"{prefix}bytes": digest.bytes}


def read_cache_key(data: Object) -> CacheKey:
    """Read the key ``cache_key``.

    Raises:
        ManifestError: It is missing, or is none.
    """
    text = required(data, "cache_key", str)
    try:
        return CacheKey.parse(text)
    except ValueError as error:
        raise ManifestError("cache_key", str(error)) from error


def confirm(data: Object, key: str, expected: object, *, why: str) -> None:
    """Check that a key is there and has the one value it may have, of the same type.

    Raises:
        ManifestError: It is missing, or has another.
    """
    seen = shown(data[key]) if key in data else "no such key"
    if seen != shown(expected):  # spelled out, 1 is neither true nor 1.0
        raise ManifestError(path_of(key), f"expected {shown(expected)}, {why}, seen {seen}")


def check_names(key: str, names: Collection[str], form: Form) -> None:
    """Check that the object under a key has entries, and that each name in it has a form.

    Raises:
        ManifestError: It has none, or a name has another form.
    """
    if not names:
        raise ManifestError(path_of(key), "expected at least one entry, seen none")
    for name in names:
        check_form(path_of(key, name), name, form)


def check_form(where: str, value: str, form: Form) -> None:
    """Check that a string has a form.

    Raises:
        ManifestError: It has not.
    """
    if not re.fullmatch(form.pattern, value):
        raise ManifestError(where, f"expected {form.words}, seen {shown(value)}")


def check_choice(where: str, value: str, choices: Collection[str]) -> None:
    """Check that a string is one of a few.

    Raises:
        ManifestError: It is not.
    """
    if value not in choices:
        raise ManifestError(where, f"expected one of {', '.join(choices)}, seen {shown(value)}")


def shown(value: object) -> str:
    """Return a value as JSON spells it, on one line, cut when long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
