"""The build pipeline: one program per verb, run as ``python -m stages.VERB``."""
