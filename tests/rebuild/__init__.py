"""Of building again what is published."""
