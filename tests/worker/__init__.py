"""Tests of several streams on one pipeline."""
