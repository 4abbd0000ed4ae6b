"""The Hub as a source, by the standard library alone."""

from morphstream.store.hub.source import HubSource

__all__ = ["HubSource"]
