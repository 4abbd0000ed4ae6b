"""Which source a text names: a folder, or a repository of the Hub."""

import os
from collections.abc import Sequence
from pathlib import Path

from morphstream.source.folder import FolderSource
from morphstream.source.source import Source

HUB = "hub:"  # begins the name of a repository


def is_offline() -> bool:
    """Tell whether HF_HUB_OFFLINE, or else TRANSFORMERS_OFFLINE, is 1, on, yes or true, in letters of any size.

    Source: huggingface_hub, constants.py.
    """
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.upper() in {"1", "ON", "YES", "TRUE"}


def sources_of(
    source: Source | str | os.PathLike[str] | Sequence[Source | str | os.PathLike[str]] | None,
) -> list[Source]:
    """Return one source or several in their order; None for MORPHSTREAM_SOURCE, with commas between, else ``build``.

    Raises:
        ValueError: A text names none.
        OSError: The Hub's token is there, and can't be read.
    """
    if source is None:
        source = [part.strip() for part in (os.environ.get("MORPHSTREAM_SOURCE") or "build").split(",") if part.strip()]
    several = source if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    return [source_of(one) if isinstance(one, str | os.PathLike) else one for one in several]


def source_of(text: str | os.PathLike[str]) -> Source:
    """Return the source that ``hub:ORGANISATION/NAME``, or the same with ``@REVISION``, or a folder names.

    Raises:
        ValueError: It is of no such form.
        OSError: The Hub's token is there, and can't be read.
    """
    if not (isinstance(text, str) and text.startswith(HUB)):
        return FolderSource(Path(text))
    from morphstream.source.hub import HubSource  # here, so that a boot from a folder doesn't load HTTP

    repo, at, revision = text.removeprefix(HUB).partition("@")
    return HubSource(repo, revision) if at else HubSource(repo)
