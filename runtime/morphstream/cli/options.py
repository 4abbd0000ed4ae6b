"""The options that several commands share, and how the text of an option becomes a value."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from morphstream.source.named import sources_of
from morphstream.source.source import Source

T = TypeVar("T")


class Commands(Protocol):
    """The commands of a parser, as ``add_subparsers`` returns them."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser:  # noqa: A002 - as argparse has it
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


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add ``--source``, which becomes a list of `Source`."""
    default = os.environ.get("MORPHSTREAM_SOURCE") or "build"
    text = (
        "where artifacts come from: a folder of the published layout, or hub:ORG/REPO[@REV]; several with commas "
        "between, in their order (MORPHSTREAM_SOURCE, else build)"
    )
    parser.add_argument("--source", type=checked(read_sources), default=default, help=text)


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


def read_count(text: str) -> int:
    """Return a number of 0 or more.

    Raises:
        ValueError: It is none.
    """
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"expected a number of 0 or more, seen {text!r}")
    return int(text)


def exit_on_sigterm() -> None:
    """Let SIGTERM raise SystemExit, so that what this process started ends with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
