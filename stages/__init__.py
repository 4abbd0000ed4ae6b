"""The build pipeline: one program per verb, run as ``python -m stages.VERB``.

Errors, in every module of this package: a refusal is a `MorphstreamError` with its whole message, and what the system
refuses is an `OSError`. `program.run_program` prints either on one line and exits with 1. Whatever reads, checks or
writes may raise both, so a docstring names only other errors, and those that a caller handles apart.
"""

import gc
import sys

sys.path.insert(0, f"{__path__[0].removesuffix('stages')}runtime")  # this checkout's, though .venv be another's

from morphstream.process import begin_process  # after its folder is named

if sys.argv[:1] == ["-m"]:  # one of the programs is loaded: what its imports make stays, and need not be searched
    gc.disable()  # until run_program
    begin_process(lambda: " ".join(sys.orig_argv[sys.orig_argv.index("-m") + 1 :]).removeprefix("stages."))

import morphstream.session  # noqa: F401  # before ONNX Runtime, which then reports to nobody
