"""OpenVINO, imported without its converter of models, which alone of its parts reports to its maker.

On import that part writes an identifier and counts into ``~/intel``, sends them over the network, and raises where a
user has neither a name nor a home; it takes a third of the time of ``import openvino``, which goes on without it. A
program that converts models, too, imports ``openvino`` before this module, or ``openvino.tools.ovc`` itself.

Source: ``openvino/__init__.py`` and ``openvino/tools/ovc/__init__.py`` of 2026.4; Python's reference, "The import
system", on None in ``sys.modules``.
"""

import sys
from types import ModuleType
from typing import cast

__all__ = ["openvino", "reason_of"]

_CONVERTER = "openvino.tools.ovc"
_modules = cast("dict[str, ModuleType | None]", sys.modules)
_is_hidden = _modules.setdefault(_CONVERTER, None) is None  # unless it is imported already
try:
    import openvino
finally:
    if _is_hidden:
        del _modules[_CONVERTER]


def reason_of(error: Exception) -> str:
    """Return the last line of an error of OpenVINO; those before it name its source files."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "no reason")
