"""report: what became of a photo's faces, what it cost, and what was built, on one page."""
