"""The source that a text names: a folder, or a repository of the Hub."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from morphstream.source.folder import FolderSource
from morphstream.source.source import Source

HUB = "hub:"  # begins the name of a repository
_OneSource: TypeAlias = Source | str | os.PathLike[str]
Sources: TypeAlias = _OneSource | Sequence[_OneSource] | None


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE, or else TRANSFORMERS_OFFLINE, is 1, on, yes or true, in letters of any size.

    Source: huggingface_hub, constants.py.
    """
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}


def sources_of(source: Sources) -> list[Source]:
    """Return one source or several, in their order.

    Args:
        source: A source, or its name as `source_of` takes it, or several. None for those that MORPHSTREAM_SOURCE names,
            with commas between them, or else for the folder ``build``.
    """
    if source is None:
        source = [part.strip() for part in (os.environ.get("MORPHSTREAM_SOURCE") or "build").split(",") if part.strip()]
    several = source if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    return [source_of(one) if isinstance(one, str | os.PathLike) else one for one in several]


def source_of(name: str | os.PathLike[str]) -> Source:
    """Return the source of a name: ``hub:ORGANISATION/NAME``, the same with ``@REVISION``, or a folder."""
    if not (isinstance(name, str) and name.startswith(HUB)):
        return FolderSource(Path(name))
    from morphstream.source.hub import HubSource  # here, so that a boot from a folder doesn't load HTTP

    repo, at, revision = name.removeprefix(HUB).partition("@")
    return HubSource(repo, revision) if at else HubSource(repo)
