"""The Hub as a source, against a hub on loopback and servers with scripted answers."""
