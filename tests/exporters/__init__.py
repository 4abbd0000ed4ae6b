"""What exporters and tools make of small networks like the nine, in an environment of their own, and what is made of that."""
