"""Of keys, root documents and signed lists."""
