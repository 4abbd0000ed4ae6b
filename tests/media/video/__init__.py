"""Tests of videos in and out."""
