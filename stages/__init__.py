"""The build pipeline: one program per verb, run as ``python -m stages.VERB``."""

import morphstream.session  # noqa: F401  # before ONNX Runtime, which then reports to nobody
