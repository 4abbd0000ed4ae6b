"""The options that several commands share, and how the text of an option becomes a value."""

import argparse
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

from morphstream.artifact.errors import message_of
from morphstream.process import line_of
from morphstream.source.named import sources_of
from morphstream.source.source import Source

T = TypeVar("T")
MAX_PICTURE_PIXELS = 120_000_000  # as in `morphstream.media.read`


def print_any_text() -> None:
    """Have stdout escape what its encoding lacks, as stderr does; a file's name may be any."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


class _Line(logging.Formatter):
    """Writes each record as a message is written: one line of bounded length."""

    def format(self, record: logging.LogRecord) -> str:
        return message_of(super().format(record))


def log_lines() -> None:
    """Log to stderr what this package says of its steps, and what other libraries warn of, each as one line."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Line("%(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("morphstream").setLevel(logging.INFO)


def text_of(error: Exception) -> str:
    """Return a refusal as one line."""
    return message_of(line_of(error, "name another") if isinstance(error, OSError) else error)


class Parser(argparse.ArgumentParser):
    """A parser that ends wrong usage with 2, the usage of the very command, and what is wrong in one line."""

    def parse_known_args(  # type: ignore[override]  # of several signatures this is the one that argparse uses
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse arguments, and refuse those that are unknown here and not only in the parser above.

        Names may stand before, between and after options: argparse takes one run of them for ``paths``.
        """
        options, unknown = super().parse_known_args(args, namespace)
        if isinstance(paths := getattr(options, "paths", None), list) and not any(map(_is_option, unknown)):
            paths += map(Path, unknown)
            unknown = []
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        """Print the usage and a message on stderr, and exit with 2."""
        self.print_usage(sys.stderr)
        self.exit(2, message_of(f"{self.prog}: error: {message}") + "\n")


def _is_option(word: str) -> bool:
    return word.startswith("-")


class Commands(Protocol):
    """The commands of a parser, as ``add_subparsers`` returns them."""

    def add_parser(self, name: str, *, help: str) -> Parser:  # noqa: A002 - as argparse has it
        """Return the parser of a new command."""
        ...


class UsageError(Exception):
    """Options that make no sense together, in one line."""


def checked(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return a reader of an option's text as argparse takes it: a ValueError's words are what the user sees."""

    def reader(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reader


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add ``--store``."""
    default = Path(os.environ.get("MORPHSTREAM_STORE") or "store")
    text = "folder of verified artifacts (MORPHSTREAM_STORE, else store)"
    parser.add_argument("--store", type=Path, default=default, help=text)


def add_source(parser: "argparse._ActionsContainer", name: str = "--source") -> None:
    """Add ``--source``, or an option of another name, which becomes a list of `Source`."""
    default = os.environ.get("MORPHSTREAM_SOURCE") or "build"
    text = (
        "where artifacts come from: a folder of the published layout, or hub:ORG/REPO[@REV]; several with commas "
        "between, in their order (MORPHSTREAM_SOURCE, else build)"
    )
    parser.add_argument(name, type=checked(read_sources), default=default, metavar="SOURCE", help=text)


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--root``."""
    text = "root document of the publisher: sources must be signed as it says, from now on (MORPHSTREAM_ROOT)"
    parser.add_argument("--root", type=Path, metavar="FILE", help=text)


def add_max_pixels(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-pixels``."""
    text = "refuse pictures of more pixels, all frames together (%(default)s), and videos of more a frame (35 million)"
    parser.add_argument("--max-pixels", type=checked(whole_number(1, 10**12)), default=MAX_PICTURE_PIXELS, help=text)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add ``--threads``."""
    read = checked(whole_number(0, 1024))
    parser.add_argument("--threads", type=read, default=0, help="threads to run on (every core)")


def read_sources(text: str) -> list[Source]:
    """Return the sources that a text names, with commas between several; the default ones of an empty text.

    Raises:
        ValueError: One of them is no source, or there is none.
        OSError: The Hub's token is there, and can't be read.
    """
    if not (sources := sources_of(read_names(text) or None)):
        raise ValueError(f"expected a folder or hub:ORG/REPO[@REV], seen {text!r}")
    return sources


def read_names(text: str) -> list[str]:
    """Return names, with commas between several."""
    return [part.strip() for part in text.split(",") if part.strip()]


def read_bytes(text: str) -> int:
    """Return a number of bytes, such as 500MiB.

    Raises:
        ValueError: It is none.
    """
    found = re.fullmatch(r"([0-9]+)(|[KMG]iB)", text)
    if not found:
        raise ValueError(f"expected bytes such as 500MiB, seen {text!r}")
    return int(found[1]) << {"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[found[2]]


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of the text of a whole number, which raises ValueError for another text or number."""

    def read(text: str) -> int:
        if not (re.fullmatch("[0-9]{1,18}", text) and least <= int(text) <= most):
            raise ValueError(f"expected a whole number from {least} to {most}, seen {text!r}")
        return int(text)

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a reader of the text of a number, with a fraction or not, as `whole_number` does."""

    def read(text: str) -> float:
        with suppress(ValueError):
            if re.fullmatch("[0-9.eE+-]+", text) and least <= (value := float(text)) <= most:  # no 1_0
                return value
        raise ValueError(f"expected a number from {least:g} to {most:g}, seen {text!r}")

    return read
