"""The Hub as a source, against a hub on loopback and servers that answer as they are told."""
