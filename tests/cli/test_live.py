"""`morphstream live` swaps what comes, and ends at a signal with whole files and a report; or it serves the page."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Timer

import pytest

from bench.clips import clip, write_clip
from morphstream.cli.main import main
from morphstream.media.inspect import inspect
from morphstream.store.store import Store
from tests.cli import OLD, refusal

TOKEN = "sixteen-or-more-letters"  # noqa: S105
HEALTH = r"^(http://127\.0\.0\.1:\d+): alive"


@pytest.fixture(scope="module")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of three people, a third of a second."""
    path = tmp_path_factory.mktemp("video") / "cross.mp4"
    write_clip(clip("cross", size_wh=(320, 240), count=10), path)
    return path


@contextmanager
def started(store: Store, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command and yield it; at the end, or where a line doesn't come, it is killed."""
    command = [sys.executable, "-m", "morphstream", "live", *arguments, "--store", str(store.path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ | environment) as process:
        limit = Timer(60, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()


def line_of(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Return the first line on stderr that a pattern matches."""
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"expected {pattern}, seen {lines}")


def ask(url: str, path: str, **headers: str) -> tuple[int, str, str]:
    """Return the status, the place that it redirects to, and the body of an answer."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers.get("Location", ""), response.read().decode()
    finally:
        connection.close()


def test_a_file_goes_through_to_a_marked_file(
    here: Path, cross: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["live", "source.png", "--from", str(cross), "--to", "out.mkv", "--store", str(booted.path)]
    assert main([*command, "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["frames"] == report["swapped"] + report["dropped"] == 10
    assert report["outputs"][0]["error"] is None
    assert inspect(Path("out.mkv")).is_synthetic


def test_what_is_there_stays(here: Path, cross: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("old.mkv").write_bytes(OLD)
    assert "old.mkv: expected" in refusal(capfd, "live", "source.png", "--from", str(cross), "--to", "old.mkv")
    assert Path("old.mkv").read_bytes() == OLD


@pytest.mark.parametrize(("text", "seen"), [("no.mp4", "no.mp4: expected a video"), ("", "expected a video, seen")])
def test_an_input_is_checked_before_engines_are_opened(
    here: Path, capfd: pytest.CaptureFixture[str], text: str, seen: str
) -> None:
    line = refusal(capfd, "live", "source.png", "--from", text, "--to", "out.mkv", "--store", "no-store")
    assert seen in line  # and not the store that isn't there


def test_ctrl_c_ends_it_with_a_whole_file_and_a_report(here: Path, cross: Path, booted: Store) -> None:
    arguments = ["source.png", "--from", str(cross), "--loop", "--to", "out.mkv", "--no-visible-mark", "--health", "0"]
    with started(booted, *arguments) as process:
        line_of(process, "--no-visible-mark: no words")
        health = line_of(process, HEALTH)[1]
        line_of(process, "out.mkv: live")
        assert 'morphstream_stream_dropped_total{stream="live"}' in ask(health, "/metrics")[2]
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert re.match(r".*cross\.mp4: \d+ frames in .* dropped; latency .*\nout\.mkv: \d+ frames written", said)
    assert errors.splitlines()[-1] == "morphstream live: interrupted"
    assert inspect(Path("out.mkv")).is_synthetic


def test_a_page_is_served_once_the_engines_are_warm(here: Path, booted: Store) -> None:
    arguments = ["source.png", "--page", "--port", "0", "--health", "0"]
    with started(booted, *arguments, MORPHSTREAM_TOKEN=TOKEN) as process:
        health = line_of(process, HEALTH)[1]
        assert process.stdout
        link = re.match(r"(http://127\.0\.0\.1:\d+)(/\?token=" + TOKEN + "): ready", process.stdout.readline())
        assert link
        assert ask(health, "/readyz")[0] == 200
        assert "morphstream_ready 1.0" in ask(health, "/metrics")[2]
        assert ask(link[1], "/")[0] == 401
        assert ask(link[1], link[2])[:2] == (303, "/")
        state = json.loads(ask(link[1], "/api/state", Authorization=f"Bearer {TOKEN}")[2])
        assert [person["name"] for person in state["people"]] == ["source"]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.splitlines()[-1]) == (143, "morphstream live: terminated")
