"""Tests, mirroring the tree.

Bytecode is kept whatever the environment says: the tests start hundreds of programs, and compiling the same modules
again for each takes longer than most of those programs.
"""

import os
import sys

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
