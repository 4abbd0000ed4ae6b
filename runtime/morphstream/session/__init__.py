"""Opened engines, ready to run."""
