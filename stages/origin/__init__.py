"""Where the pipeline's models come from: a file an origin, behind one Protocol."""
