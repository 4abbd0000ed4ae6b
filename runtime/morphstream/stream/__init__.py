"""Frames in time: from a source through steps to a sink, in order, with a thread for each step."""
