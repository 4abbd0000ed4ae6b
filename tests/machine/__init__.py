"""Tests of `morphstream.machine`."""
