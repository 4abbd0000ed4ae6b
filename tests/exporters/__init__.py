"""Small networks like the models that people bring, what exporters and tools make of them, and what is made of that."""
