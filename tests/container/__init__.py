"""Tests of the container's entry point and of hot deployment."""
