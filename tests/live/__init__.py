"""Tests of live swaps."""
