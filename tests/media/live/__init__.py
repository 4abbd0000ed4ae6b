"""Tests of live inputs and outputs."""
