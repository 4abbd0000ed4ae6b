"""Of statements, bills of materials and notices."""
