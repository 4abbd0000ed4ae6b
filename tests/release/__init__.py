"""Tests of what a release is made of: the packages, installed where nothing else is, and their version."""
