"""Change params.yaml as a person would: the text of what changes, and not another character."""

import difflib
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.fields import path_of
from morphstream.artifact.regular_file import read_regular
from morphstream.yaml_file import MOST_BYTES, read_object
from stages.files import write_whole
from stages.params import ParamsError, load_params

Keys = tuple[str, ...]  # that lead to a value
_LINE_END = re.compile(r"\r\n|[\r\n]")
_BYTE_ORDER_MARK = "\ufeff"


def edit_params(path: Path, values: Mapping[Keys, object]) -> str:
    """Set values of params.yaml, and return the difference, to be reviewed; what can't be read isn't written.

    A new key comes after the one that was set before it, or is the last of its object.

    Raises:
        ParamsError: The result can't be read, or a value can't be set where it is, as that of an alias.
        OSError: It can't be written.
    """
    before = read_regular(path, MOST_BYTES).decode()
    after, previous = before.removeprefix(_BYTE_ORDER_MARK), Keys()
    mark = before.removesuffix(after)
    expected: Any = read_object(path)
    try:
        for keys, value in values.items():
            after = _with_value(after, keys, value, previous[-1] if previous[:-1] == keys[:-1] else None)
            expected = _changed(expected, keys, value)
            previous = keys
    except (yaml.YAMLError, KeyError, TypeError):
        expected = None
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / path.name
        new.write_bytes(after.encode())
        if not _is(expected, new):
            places = ", ".join(sorted({path_of(*keys[:-1]) for keys in values}))
            raise ParamsError(places, "expected values that are written out, seen aliases or another form")
        load_params(new)
    write_whole(path, (mark + after).encode())
    return difference(path.name, before, mark + after)


def difference(name: str, before: str, after: str) -> str:
    """Return the difference of two texts, as `diff -u` prints it."""
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm=""))


def _is(document: object, path: Path) -> bool:
    """Return whether a file of YAML has a document."""
    try:
        return read_object(path) == document
    except ManifestError:
        return False


def _changed(document: Any, keys: Keys, value: object) -> Any:
    """Return a document with a value set; what aliases share isn't shared any more."""
    first, *rest = keys
    return {**document, first: _changed(document[first], (*rest,), value) if rest else value}


def _with_value(text: str, keys: Keys, value: object, previous: str | None) -> str:
    """Return a text of YAML where a value is set."""
    *above, last = keys
    mapping: Any = yaml.compose(text, yaml.CSafeLoader)
    for key in above:
        mapping = _entries(mapping)[key][1]
    entries = _entries(mapping)
    if last in entries:
        start, end = (mark.index for mark in (entries[last][1].start_mark, entries[last][1].end_mark))
        return text[:start] + " " * (start == end) + _flow(value) + text[end:]
    name, node = entries[previous] if previous in entries else list(entries.values())[-1]
    end = _end(name, node)
    if mapping.flow_style:
        return f"{text[:end]}, {_key(last)}: {_flow(value)}{text[end:]}"
    line_end = _LINE_END.search(text, end - 1)  # of a text in lines, the end is after the last
    indent, ending = " " * name.start_mark.column, (line_end or _LINE_END.search(text) or ["\n"])[0]
    lines = [f"{indent}{_key(last)}: {_flow(value)}"]
    if isinstance(value, dict):
        step = " " * (_entries(node).popitem()[1][0].start_mark.column - len(indent)) if _is_block(node) else "  "
        lines = [f"{indent}{_key(last)}:", *(f"{indent}{step}{_key(key)}: {_flow(one)}" for key, one in value.items())]
    added = ending.join(lines)
    return f"{text[: line_end.end()]}{added}{ending}{text[line_end.end() :]}" if line_end else f"{text}{ending}{added}"


def _entries(node: Node | None) -> dict[str, tuple[Node, Node]]:
    if not isinstance(node, MappingNode):
        raise TypeError
    return {key.value: (key, value) for key, value in node.value}


def _is_block(node: Node) -> bool:
    return isinstance(node, CollectionNode) and not node.flow_style and bool(node.value)


def _end(key: Node, node: Node) -> int:
    """Return where what is written of a key and its value ends; an alias is on the key's line."""
    while node.start_mark.index >= key.end_mark.index:
        if not _is_block(node):
            return int(node.end_mark.index)
        key, node = node.value[-1] if isinstance(node, MappingNode) else (key, node.value[-1])
    return int(key.end_mark.index)


def _key(name: str) -> str:
    """Return a name as every version of YAML reads it as a string."""
    return name if re.fullmatch("[A-Za-z_][A-Za-z0-9_.-]*", name) else json.dumps(name)


def _flow(value: object) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6).removesuffix("...\n").strip()
