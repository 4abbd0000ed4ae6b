"""No secret is in what a publish, a boot, a deployment, an admin's page, a live page and their crashes leave behind."""

import http.cookiejar
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from morphstream.store.store import Store
from tests.loopback.server import WRITE_TOKEN, Hub
from tests.media.certificates import make_certificates
from tests.signing import Signing
from tests.stages import ROOT
from tests.stages.publications import CORE, NAME, Project

WAIT_S = 60


class Run:
    """Programs that are run with secrets, everything that they print, and every command line that is seen meanwhile."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
        self._folder = folder
        self._environment = {**os.environ, **environment, "PYTHONPATH": paths, "HOME": str(folder / "home")}
        self.printed, self.links, self.seen = list[str](), list[str](), set[str]()

    def run(self, *words: str, code: int = 0, **environment: str) -> None:
        """Run a program to its end."""
        command, settings = [sys.executable, "-m", *words], {**self._environment, **environment}
        done = subprocess.run(command, cwd=self._folder, env=settings, capture_output=True, text=True, check=False)
        self.printed += [done.stdout, done.stderr]
        assert done.returncode == code, done.stderr

    @contextmanager
    def serve(self, *words: str) -> Iterator[str]:
        """Run a server; yield the link that it prints, and kill it at the end."""
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        try:
            link = next(word.rstrip(":") for line in process.stdout for word in line.split() if word.startswith("http"))
            self.links.append(link)
            yield link
        finally:
            process.send_signal(signal.SIGKILL)
            self.printed += process.communicate(timeout=WAIT_S)

    def watch(self, is_over: threading.Event) -> None:
        """Look at the command lines of processes until it is over."""
        own = str(os.getpid())
        while not is_over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*"):
                try:
                    if path.name != own:
                        self.seen.add((path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
                except OSError:
                    continue


def visited(link: str) -> list[str]:
    """Open a link as a browser does, and return the cookies that it sets."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with opener.open(link, timeout=WAIT_S) as answer:
        answer.read()
    return [cookie.value for cookie in jar if cookie.value]


@pytest.fixture
def own(tmp_path: Path, hub: Hub) -> Run:
    """Return a workspace that publishes signed, and what runs its programs with all secrets in the environment."""
    project, signing = Project.filled(tmp_path / "work", CORE), Signing(tmp_path / "keys")
    (project.workspace.tracked / "root").mkdir()
    (project.workspace.tracked / "root/1.root.json").write_bytes(signing.roots[1])
    with project.workspace.params.open("a") as params:
        params.write("signing: {lists_days: 30, timestamp_days: 3}\n")
    certificate, key, _ = make_certificates(tmp_path / "keys")
    secrets = {
        "MORPHSTREAM_SIGNING_KEY": str(tmp_path / "keys/publisher.pem"),
        "MORPHSTREAM_C2PA_CERT": str(certificate),
        "MORPHSTREAM_C2PA_KEY": str(key),
        "MORPHSTREAM_ROOT": str(project.workspace.tracked / "root/1.root.json"),
    }
    return Run(project.workspace.root, {**hub.environment(tmp_path / "hf"), **secrets})


def test_nothing_that_is_left_has_a_secret(own: Run, tmp_path: Path, booted: Store, hub: Hub) -> None:
    over = threading.Event()
    watcher = threading.Thread(target=own.watch, args=[over])
    watcher.start()
    cookies = list[str]()
    work, nowhere = tmp_path / "work", "http://127.0.0.1:9"
    try:
        (work / "app").mkdir()
        (work / "app/main.py").write_text("print('a worker')\n")
        own.run("stages.publish", "all", "--code", "app", "--tag", "develop")
        own.run("stages.publish", "all", code=1, MORPHSTREAM_SIGNING_KEY=str(tmp_path / "keys/root.pem"))
        own.run("morphstream", "boot", "--source", f"hub:{NAME}", "--target", "cpu", "--store", "store")
        own.run("morphstream", "verify", f"hub:{NAME}", "--store", "store")
        own.run("morphstream", "deploy", "develop", "--source", f"hub:{NAME}", "--into", "releases")
        own.run("morphstream", "inspect", f"hub:{NAME}", "--store", "store")
        own.run(
            "morphstream", "boot", "--source", f"hub:{NAME}", "--store", "other", code=1, HF_TOKEN=f"{WRITE_TOKEN}s"
        )
        own.run("stages.publish", "models", code=1, HF_ENDPOINT=nowhere, HF_HUB_OFFLINE="1")
        with own.serve("stages.admin", "--port", "0") as link:
            cookies += visited(link)
        with own.serve("morphstream", "live", "--page", "--port", "0", "--store", str(booted.path)) as link:
            cookies += visited(link)
    finally:
        over.set()
        watcher.join()
    assert len(own.links) == len(cookies) == 2
    keys = [line for path in (tmp_path / "keys").glob("*.pem") for line in path.read_text().splitlines()]
    words = [line for line in keys if "-----" not in line and "certificate" not in line]
    words = [line for line in words if line not in (tmp_path / "keys/chain.pem").read_text()]
    secrets = [WRITE_TOKEN, *words, *cookies, *(link.rpartition("=")[2] for link in own.links)]
    printed = "".join(own.printed)
    for link in own.links:
        printed = printed.replace(link, "")
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "keys" not in path.parts}
    for secret in secrets:
        assert secret not in printed
        assert not [line for line in own.seen if secret in line]
        assert not [path for path, data in left.items() if secret.encode() in data]
