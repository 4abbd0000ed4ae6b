"""Read YAML that people write: in UTF-8, bounded in size and depth before it is read, and each key once."""

from pathlib import Path
from typing import Any

import yaml

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.fields import Object, path_of, shown
from morphstream.artifact.regular_file import UnfitFileError, read_regular

MOST_BYTES = 4 << 20
MOST_VALUES = 200_000
MOST_CHARACTERS = 500  # of a name or another string, as refusals show them
MOST_DEPTH = 32  # the C loader calls itself for each level, and crashes on very many


class _Loader(yaml.CSafeLoader):
    """Reads what JSON has, and refuses a key that is there twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - YAML's
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        first: dict[str, yaml.ScalarNode] = {}
        for key in keys:
            if (other := first.setdefault(key.value, key)) is not key:
                lines = f"lines {other.start_mark.line + 1} and {key.start_mark.line + 1}"
                raise ManifestError("", f"expected every key once, seen {key.value!r} in {lines}")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> object:
    """Return what a YAML file has.

    Raises:
        ManifestError: It isn't such a file; says what was expected and seen, not which file.
        OSError: It can't be read.
    """
    try:
        text = read_regular(path, MOST_BYTES).decode()
        _check_size(text)
        return yaml.load(text, _Loader)  # noqa: S506 - a safe one
    except UnfitFileError as error:
        raise ManifestError(
            "", f"expected a regular file of at most {MOST_BYTES} bytes, seen {error.strerror}"
        ) from None
    except (yaml.YAMLError, TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:  # of tags
        raise ManifestError("", f"expected YAML in UTF-8, seen a fault: {' '.join(str(error).split())}") from None


def read_object(path: Path) -> Object:
    """Return the object that a YAML file has, of what JSON has alone; raises as `read_yaml`."""
    document = read_yaml(path)
    _check_plain(document)
    if not isinstance(document, dict):
        raise ManifestError("", f"expected an object, seen {shown(document)}")
    return document


def _check_plain(value: object, *keys: str | int) -> None:
    """Check that a value is one that JSON has; an infinite number is for its own bounds to refuse."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ManifestError("", f"expected names that are strings, seen {key!r}{_place(keys)}")
            _check_length(key, keys)
            _check_plain(item, *keys, key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_plain(item, *keys, index)
    elif not isinstance(value, str | int | float | None):
        raise ManifestError("", f"expected what JSON has, seen a {type(value).__name__}{_place(keys)}")
    elif isinstance(value, str):
        _check_length(value, keys)
    elif value != value:
        raise ManifestError("", f"expected a finite number, seen NaN{_place(keys)}")


def _check_length(text: str, keys: tuple[str | int, ...]) -> None:
    if len(text) > MOST_CHARACTERS:
        expected = f"expected names and strings of at most {MOST_CHARACTERS} characters"
        raise ManifestError("", f"{expected}, seen {shown(text)}{_place(keys)}")


def _place(keys: tuple[str | int, ...]) -> str:
    return f" in {path_of(*keys)}" if keys else ""


def _check_size(text: str) -> None:
    """Check how deep and how many the values are once aliases are written out, by the parser's events alone."""
    sizes: dict[str | None, tuple[int, int]] = {}  # of anchors: values, and levels of nesting
    above: list[tuple[str | None, int, int]] = [(None, 0, 0)]  # of what is open
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            above.append((event.anchor, 1, 1))
            size, levels = 0, 0
        elif isinstance(event, yaml.AliasEvent):
            size, levels = sizes.get(event.anchor, (MOST_VALUES, 0))  # in its own value it has no end
        elif isinstance(event, yaml.ScalarEvent):
            size, levels = 1, 0
            sizes[event.anchor] = size, levels
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size, levels = above.pop()
            sizes[anchor] = size, levels
        else:
            continue
        if len(above) - 1 + levels > MOST_DEPTH:
            raise ManifestError("", f"expected at most {MOST_DEPTH} levels of nesting, seen more")
        anchor, size_above, levels_above = above[-1]
        above[-1] = anchor, size_above + size, max(levels_above, levels + 1)
        if size_above + size > MOST_VALUES:
            raise ManifestError("", f"expected at most {MOST_VALUES} values, aliases written out, seen more")
