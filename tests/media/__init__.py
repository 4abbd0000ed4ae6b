"""Tests of pictures in and out."""
