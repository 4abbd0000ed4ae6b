"""Several streams of frames on the engines of one pipeline."""
