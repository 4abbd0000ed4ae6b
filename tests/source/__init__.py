"""Tests of `morphstream.source`."""
