"""An engine has the same bytes whatever the language of the machine that builds it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stages import ROOT

SOURCE = Path("/usr/share/i18n/locales/tr_TR")
BUILD = """
import sys
from pathlib import Path
from stages.compile import compile_model
from stages.params import load_params
params = load_params(Path(sys.argv[1]))
compile_model(params.build("cpu").target, Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[3]) / "timing")
"""


@pytest.mark.skipif(
    not (SOURCE.is_file() or SOURCE.with_suffix(".gz").is_file()) or not shutil.which("localedef"),
    reason="needs Debian's package locales",
)
def test_a_turkish_machine_builds_the_same_engine(tmp_path: Path) -> None:
    from stages.params import load_params
    from stages.prepare import prepare
    from tests.stages import original

    made = ["localedef", "-i", "tr_TR", "-f", "UTF-8", str(tmp_path / "tr_TR.UTF-8")]
    subprocess.run(made, check=True, capture_output=True)
    (tmp_path / "xseg_3.onnx").write_bytes(original("xseg_3"))
    prepare(load_params(ROOT / "params.yaml").model("xseg_3"), tmp_path / "xseg_3.onnx", tmp_path / "prepared")
    built = []
    for name in ("C", "tr_TR.UTF-8"):
        command = [
            sys.executable,
            "-c",
            BUILD,
            str(ROOT / "params.yaml"),
            str(tmp_path / "prepared"),
            str(tmp_path / name[:2]),
        ]
        environment = {**os.environ, "LC_ALL": name, "LOCPATH": str(tmp_path)}
        subprocess.run(command, check=True, env=environment, cwd=ROOT)
        built.append({path.name: path.read_bytes() for path in (tmp_path / name[:2]).iterdir() if path.is_file()})
    assert built[0] == built[1]
    assert any(b"I64" in data for data in built[0].values())
