"""What a target, a digest, a recipe, a manifest and an archive are, for the pipeline and the runtime alike.

Imports the standard library and zstandard only.
"""
