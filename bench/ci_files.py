"""Run what the files for GitHub's and GitLab's CI run, in fresh clones of the commit, with nothing of this environment.

`.ci/run` is left out: it is `make check` and `make test`. Publishing goes to a hub on loopback, sharing to a folder as
DVC's remote, and engines are executed on this machine's CPU. Pip and uv are told where packages are by their settings.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import morphstream
from tests.loopback.server import WRITE_TOKEN, Hub
from tests.stages import ROOT
from tests.test_ci_files import GITLAB, WORKFLOWS, jobs_of

TAG = f"v{morphstream.__version__}"
VALUES = {"GITHUB_REF_NAME": TAG, "CI_COMMIT_TAG": TAG, "TARGET": "cpu", "CI_JOB_NAME": "cpu"}
KEPT = ("LANG", "PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR", "USER")
# One clone for each of these: the first shares what it builds, and the next two may take it.
CLONES: Sequence[tuple[str, Sequence[str]]] = (
    ("github", (".ci/artifacts",)),
    ("gitlab", (".ci/artifacts",)),
    ("github", (".ci/artifacts rebuild", ".ci/release", ".ci/publish", ".ci/execute")),
    ("gitlab", (".ci/artifacts rebuild", ".ci/release", ".ci/publish", ".ci/execute")),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder for clones, homes and a remote, and what every command has in its environment."""

    folder: Path
    environment: Mapping[str, str]

    def clone(self, name: str, *, is_sharing: bool) -> Path:
        """Clone the commit as it is about to be tagged, with a remote of DVC where results are shared."""
        clone = self.folder / name
        self.run("git", "clone", "--quiet", str(ROOT), str(clone))
        changes = clone / "CHANGELOG.md"
        changes.write_text(re.sub(r"\[Unreleased\]", f"[{TAG[1:]}] - 2026-12-24", changes.read_text("utf-8"), count=1))
        if is_sharing:
            with (clone / ".dvc/config").open("a") as config:
                config.write(f"    remote = shared\n['remote \"shared\"']\n    url = {self.folder / 'remote'}\n")
        return clone

    def run(self, *command: str, cwd: Path | None = None, **environment: str) -> tuple[int, str]:
        """Run a command with a clean environment; return its exit status and what it printed."""
        settings = {**self.environment, **environment}
        done = subprocess.run(
            command, cwd=cwd, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.returncode, done.stdout


def lines_of(system: str) -> list[str]:
    """Return every line of shell that the jobs of a system run."""
    jobs = [job for path in (WORKFLOWS if system == "github" else [GITLAB]) for job in jobs_of(path).values()]
    return [
        line
        for job in jobs
        for line in [*job.get("script", ()), *(step["run"] for step in job.get("steps", ()) if "run" in step)]
    ]


def line_of(system: str, begin: str) -> str:
    """Return the line that runs a script: the one with these words and, but for values, no others."""
    (line,) = {line for line in lines_of(system) if re.search(rf"(^| ){re.escape(begin)}( \"\$\w+\")?$", line)}
    return line


def main() -> int:
    """Print what every command took and ended with; return 0 if all succeed that have to."""
    argparse.ArgumentParser(prog="python -m bench.ci_files", description=__doc__).parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder, Hub(Path(folder, "hub")) as hub:
        home = Path(folder, "home")
        home.mkdir()
        kept = {name: os.environ[name] for name in os.environ if name in KEPT or name.startswith(("PIP_", "UV_"))}
        kept["PATH"] = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if "venv" not in part)
        place = Place(Path(folder), kept | hub.environment(home, token=None) | {"HOME": str(home), "CI": "true"})
        for number, (system, scripts) in enumerate(CLONES):
            clone = place.clone(f"clone-{number}", is_sharing=number < 2)
            for script in scripts:
                bad += not succeeds(place, clone, system, line_of(system, script), is_first=number == 0)
            if "rebuild" in scripts[0]:
                code, said = place.run("bash", "-e", "-c", line_of(system, scripts[0]), cwd=clone)
                print(f"{system}: once more: exit {code}, {said.strip()}")
                bad += code != 1
            shutil.rmtree(clone)
    return int(bad > 0)


def succeeds(place: Place, clone: Path, system: str, line: str, *, is_first: bool) -> bool:
    """Run a line as CI does, and print what it took; of a failure, print the end of its output."""
    token = {"HF_TOKEN": WRITE_TOKEN} if "publish" in line else {}
    push = {"DVC_PUSH": "1"} if is_first else {}
    start = time.perf_counter()
    code, said = place.run("bash", "-e", "-c", line, cwd=clone, **VALUES, **token, **push)
    stages = len(re.findall(r"^Running stage", said, re.MULTILINE))
    print(f"{system}: {line}: exit {code}, {time.perf_counter() - start:.0f} s, {stages} stages run", flush=True)
    if code:
        print(said[-3000:])
    return code == 0


if __name__ == "__main__":
    sys.exit(main())
