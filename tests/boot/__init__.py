"""Tests of `morphstream.boot`."""
