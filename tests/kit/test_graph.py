"""A model of the kit has the same bytes on every machine, whatever its mathematics library chooses for its CPU."""

import os
import subprocess
import sys

import numpy as np

from stages.kit.graph import settle
from tests.stages import ROOT

_DIGEST = """
import hashlib
from stages.kit import BUILT
print(hashlib.sha256(b"".join(build().SerializeToString(deterministic=True) for build in BUILT.values())).hexdigest())
"""


def test_a_settled_zero_has_no_sign() -> None:
    assert settle([-1e-17, 1e-17, -0.0]).tobytes() == np.zeros(3).tobytes()


def test_every_built_model_is_the_same_with_the_kernels_of_another_cpu() -> None:
    digests = set()
    for core in ("", "Prescott"):  # OpenBLAS's own choice, and what any x86-64 can run
        environment = {**os.environ, "OPENBLAS_CORETYPE": core}
        command = [sys.executable, "-c", _DIGEST]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1
