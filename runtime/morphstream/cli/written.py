"""Options that are written in a YAML file: a key is the name of an option, and paths begin at the file's folder."""

import argparse
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.fields import Object, of_file, shown
from morphstream.cli.choice import NAME, add_people, place_of
from morphstream.cli.options import Parser, read_names

_REPEATED = ("source", "add-source", "source-face", "target-face", "map", "target")
_PATHS = ("source", "add-source", "people", "target", "output", "store")


class _FileParser(Parser):
    """A parser whose refusals are those of a file."""

    def error(self, message: str) -> NoReturn:
        """Raise ManifestError."""
        raise ManifestError("", message)


def read_options(path: Path) -> Object:
    """Return the object that a YAML file has.

    Raises:
        ManifestError: It is no such file, or PyYAML is missing.
        OSError: It can't be read.
    """
    try:
        from morphstream.yaml_file import read_object
    except ModuleNotFoundError:
        raise ManifestError("", f"{path}: expected PyYAML to read it, seen none; run: pip install pyyaml") from None
    with of_file(path):
        return read_object(path)


def options_of(data: Object, folder: Path, add: Callable[[argparse.ArgumentParser], None]) -> argparse.Namespace:
    """Return the options that an object has.

    Args:
        data: Values by the options' names, without dashes; ``source`` and ``map`` may be objects with a name each.
        folder: Where paths begin.
        add: Adds the options that there may be.

    Raises:
        ManifestError: There is no such option, or a value isn't one of its.
    """
    parser = _FileParser(add_help=False, allow_abbrev=False)
    add(parser)
    return parser.parse_args([word for key, value in data.items() for word in _words_of(key, value, folder)])


def add_people_of(options: argparse.Namespace) -> None:
    """Add what ``--people`` has to the options that it stands for; the command line's threshold comes first.

    Raises:
        ManifestError: It is no file of such options.
        OSError: It can't be read.
    """
    if path := options.people:
        data = read_options(path)
        with of_file(path):
            own = options_of(data, path.parent, add_people)
        options.source, options.map = [*options.source, *own.source], [*options.map, *own.map]
        options.threshold = own.threshold if options.threshold is None else options.threshold


def _words_of(key: str, value: object, folder: Path) -> Iterable[str]:
    """Yield an option as the command line has it; for ``target`` the names without an option."""
    if value is None or value is False:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            if not re.fullmatch(NAME, name):
                raise ManifestError(
                    key, f"expected a name without equals signs, slashes and commas, seen {shown(name)}"
                )
            yield f"--{key}={name}={','.join(_texts_of(key, item, folder))}"
    elif value is True:
        yield f"--{key}"
    else:
        texts = _texts_of(key, value, folder)
        for text in texts if key in _REPEATED else [",".join(texts)]:
            yield text if key == "target" else f"--{key}={text}"


def _texts_of(key: str, value: object, folder: Path) -> list[str]:
    items = value if isinstance(value, list) else [value]
    if odd := [item for item in items if isinstance(item, dict | list | bool | None)]:
        raise ManifestError(key, f"expected a string or a number, seen {shown(odd[0])}")
    texts = [str(item) for item in items]
    if key in ("source", "map"):
        texts = [name for text in texts for name in read_names(text)]
    if key == "map":
        try:
            return [str(folder / text) if isinstance(place_of(text), Path) else text for text in texts]
        except ValueError as error:
            raise ManifestError(key, str(error)) from None
    return [str(folder / text) for text in texts] if key in _PATHS else texts
