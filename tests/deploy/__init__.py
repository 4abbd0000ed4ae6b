"""Tests of `morphstream.deploy`."""
