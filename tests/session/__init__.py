"""Tests of opened engines."""
