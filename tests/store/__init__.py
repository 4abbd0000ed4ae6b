"""Tests of `morphstream.store`."""
