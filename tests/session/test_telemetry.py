"""OpenVINO and ONNX Runtime report to nobody, leave a user's home alone and need none, wherever they are imported."""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IN_ONE_PLACE = "runtime/morphstream/session/openvino_library.py"
NAMELESS = 54321  # a user whom no system has
PROGRAM = """
import sys
from pathlib import Path

import numpy as np
from morphstream.session.openvino import OpenVINOSession
from morphstream.session.openvino_library import openvino
from openvino import opset13

x = opset13.parameter([1, 3], np.float32, name="x")
x.output(0).set_names({"x"})
y = opset13.negative(x)
openvino.save_model(openvino.Model([y], [x]), "small.xml", compress_to_fp16=False)
OpenVINOSession(Path("small.xml"), threads=1).run({"x": np.zeros((1, 3), np.float32)})
sys.exit(any(name.startswith(("openvino_telemetry", "openvino.tools")) for name in sys.modules))
"""


def run(program: str, folder: Path, *before: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, with a home alone as its environment; `before` is what runs it."""
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'runtime'}", **({"HOME": str(home)} if home else {})}
    command = [*before, sys.executable, "-c", program]
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(PROGRAM, id="an engine is made and run"),
        pytest.param("import morphstream.session.onnxruntime", id="the runtime's ONNX Runtime"),
        pytest.param("import stages.surgery.half", id="the pipeline's ONNX Runtime"),
    ],
)
def test_a_home_stays_empty(tmp_path: Path, program: str) -> None:
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    done = run(program, folder, home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.iterdir()) == []


def test_a_user_needs_neither_a_name_nor_a_home() -> None:
    if os.geteuid() != 0 or (setpriv := shutil.which("setpriv")) is None:
        pytest.skip("needs root and setpriv, to be somebody else")
    nameless = (setpriv, f"--reuid={NAMELESS}", f"--regid={NAMELESS}", "--clear-groups")
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are for their user alone
        folder = Path(name)
        folder.chmod(0o777)
        if run("import numpy, stages", folder, *nameless).returncode != 0:
            pytest.skip("needs a checkout that every user may read")
        done = run(PROGRAM, folder, *nameless)
    assert (done.returncode, done.stderr) == (0, "")


def test_whoever_imports_openvino_first_keeps_all_of_it() -> None:
    program = (
        "import sys; sys.modules['openvino_telemetry'] = None\n"
        "import openvino; before = openvino.convert_model\n"
        "from morphstream.session.openvino_library import openvino as ours\n"
        "sys.exit(ours.convert_model is not before)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_whoever_imports_it_later_finds_the_converter_where_it_was() -> None:
    program = (
        "from morphstream.session.openvino_library import openvino\n"
        "import sys; sys.modules['openvino_telemetry'] = None\n"
        "from openvino.tools.ovc import convert_model"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_it_is_imported_in_one_place() -> None:
    files = [path for folder in ("runtime", "stages") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path.relative_to(ROOT)) for path in files if _imports_openvino(path)] == [IN_ONE_PLACE]


def _imports_openvino(path: Path) -> bool:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return any(name.split(".")[0] == "openvino" for name in named)
