"""Code that is published to be deployed, the folder it is deployed into, and what stands for a container."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

ENTRYPOINT = Path(__file__).parents[2] / "container/entrypoint.sh"
TOOLS = f"{Path(sys.executable).parent}:/usr/bin:/bin"


class Container:
    """What an image and a run of it give the entry point: a few variables, a home, a volume."""

    def __init__(self, folder: Path, code: Path) -> None:
        self.folder, self.state, self.app = folder, folder / "state", folder / "state/app"
        self.state.mkdir()
        self.environment = {
            "PATH": TOOLS,
            "HOME": str(folder),
            "MORPHSTREAM_STORE": str(self.state / "store"),
            "MORPHSTREAM_APP": str(self.app),
            "MORPHSTREAM_SOURCE": str(code),
            "MORPHSTREAM_TARGET": "cpu",
            "MORPHSTREAM_BOOT_REPORT": str(folder / "boot.json"),
        }

    def with_(self, **environment: str) -> Self:
        """Set variables."""
        self.environment |= environment
        return self

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start it."""
        return subprocess.Popen(
            [ENTRYPOINT, *command],
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        process = self.start(*command)
        said, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, said, errors)


def steps_of(errors: str) -> list[str]:
    """Return what the entry point said of its steps, without the seconds."""
    lines = re.findall(r"^entrypoint: (.*)$", errors, re.MULTILINE)
    return [re.sub(r" [0-9]+\.[0-9]{2} s:", ":", line) for line in lines]


@pytest.fixture
def container(tmp_path: Path, code: Path) -> Container:
    return Container(tmp_path, code)
