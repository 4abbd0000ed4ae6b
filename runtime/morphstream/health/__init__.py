"""Says over HTTP whether a process lives and is ready, and what it has done."""
