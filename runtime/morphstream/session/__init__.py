"""Opened engines, ready to run by libraries that report to nobody: see `openvino_library`, too."""

import os

# Source: Privacy.md in ONNX Runtime's wheel, "Disabling Telemetry"; read when it is loaded
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
