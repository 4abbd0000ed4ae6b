"""The Hub as a source, over urllib3."""

from morphstream.source.hub.source import HubSource

__all__ = ["HubSource"]
