"""The Hub as a source, by the standard library alone."""

from morphstream.source.hub.source import HubSource

__all__ = ["HubSource"]
