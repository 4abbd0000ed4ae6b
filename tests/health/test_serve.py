"""`morphstream serve-health` is alive at once, ready when a frame was swapped, and ends at a signal."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from morphstream.artifact.target import CacheKey
from morphstream.boot.report import BootReport, BootStep
from morphstream.cli.main import main
from morphstream.health.metrics import Metrics
from morphstream.health.server import HealthServer
from morphstream.store.store import Store
from tests.health import number, read_text

COMMAND = [sys.executable, "-m", "morphstream", "serve-health"]


REPORT = BootReport(
    cache_key=CacheKey.parse("x86_64/ov2026.4"),
    archive="cpu-cache-x86_64.tar.zst",
    was_good=True,
    steps=(BootStep(name="probe", seconds=0.25, reason="x86_64"),),
    fallbacks=("store kept", "source passed over"),
)


@contextmanager
def serving(store: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command and yield it, alive, with its address; at the end it is killed."""
    arguments = [*COMMAND, "--store", str(store), "--port", "0"]
    pipe, environment = subprocess.PIPE, os.environ | environment
    with subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.fullmatch(r"(http://127\.0\.0\.1:\d+): alive; opening .*\n", line)
            assert found, line or process.communicate()
            yield process, found[1]
        finally:
            process.kill()


def ask(url: str) -> tuple[int, str]:
    address, _, path = url.removeprefix("http://").partition("/")
    connection = HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", f"/{path}")
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_it_is_ready_when_the_engines_are_open_and_sigterm_ends_it(
    booted: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "boot.json").write_text(REPORT.to_json())
    with serving(booted.path, MORPHSTREAM_BOOT_REPORT=str(tmp_path / "boot.json")) as (process, url):
        port = url.rpartition(":")[2]
        early = ask(f"{url}/readyz"), ask(f"{url}/livez")
        assert early == ((503, "the engines are being opened\n"), (200, "alive\n"))
        assert process.stdout
        assert process.stdout.readline() == f"{url}: ready with inswapper_128_fp16\n"
        assert ask(f"{url}/readyz") == (200, "ready\n")
        text = ask(f"{url}/metrics")[1]
        assert number(text, "ready") == 1
        assert number(text, "boot_seconds", "step", "open") > 0
        assert number(text, "frames_total") == 0  # no user's frame was swapped
        assert "process_resident_memory_bytes" in read_text(text)
        assert number(text, "boot_seconds", "step", "probe") == 0.25
        assert number(text, "cache_hits_total") == 1
        assert [number(text, "fallbacks_total", "reason", reason) for reason in REPORT.fallbacks] == [1, 1]
        assert main(["serve-health", "--probe", "--port", port]) == 0
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # an impatient one
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0
    capfd.readouterr()
    assert main(["serve-health", "--probe", "--port", port]) == 1
    done = capfd.readouterr()
    assert done.out == ""
    assert done.err == f"morphstream serve-health: {url}/readyz: expected an answer, seen Connection refused\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_it_opens(booted: Store, number: signal.Signals) -> None:
    with serving(booted.path) as (process, _):
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


def test_an_engine_that_opens_for_ever_does_not_keep_it() -> None:
    code = """
import pathlib, time
import morphstream.health.serve as serve
serve.GRACE_S = 0.1
def sleep(store, swap_model): time.sleep(600)
def say(*words): print(*words, flush=True)
serve.serve(pathlib.Path("store"), swap_model="x", host="127.0.0.1", port=0, say=say, open_pipeline=sleep)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert "alive" in process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()


def test_a_store_that_cannot_be_opened_ends_it_with_a_line(tmp_path: Path) -> None:
    with serving(tmp_path / "none") as (process, _):
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (1, "")
        (line,) = err.splitlines()
        assert line.startswith(f"morphstream serve-health: store {tmp_path / 'none'}: expected engines, seen no ")


ODD = "boot report: expected names, and seconds of 0 or more, seen"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (None, "expected a boot report, seen No such file or directory"),
        ("", "boot report: expected what `morphstream boot --json` says, seen "),
        (
            REPORT.to_json().replace("0.25", '"0.25"'),
            f"{ODD} '0.25'",
        ),
        (REPORT.to_json().replace('"probe"', "7"), f"{ODD} 7"),
        (REPORT.to_json().replace("0.25", "NaN"), f"{ODD} nan"),
    ],
    ids=["none", "empty", "seconds in words", "a number for a name", "seconds that are no number"],
)
def test_a_report_that_cannot_be_read_is_a_line(tmp_path: Path, text: str | None, seen: str) -> None:
    if text is not None:
        (tmp_path / "boot.json").write_text(text)
    with serving(tmp_path / "none", MORPHSTREAM_BOOT_REPORT=str(tmp_path / "boot.json")) as (process, _):
        out, err = process.communicate(timeout=20)
    warning, refusal = err.splitlines()
    assert warning.startswith(f"{tmp_path}/boot.json: {seen}")
    assert warning.endswith("; the metrics lack it")
    assert (process.returncode, out) == (1, "")
    assert refusal.startswith("morphstream serve-health: store ")


def test_a_port_that_is_taken_ends_it_with_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with HealthServer(Metrics(CollectorRegistry()), port=0) as server:
        assert main(["serve-health", "--store", str(tmp_path), "--port", str(server.port)]) == 1
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    done = capfd.readouterr()
    assert done.out == ""
    seen = "expected a port to listen on, seen Address already in use; use another"
    assert done.err == f"morphstream serve-health: {server.url}: {seen}\n"


def test_a_probe_of_a_process_that_is_not_ready_says_why_in_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    with HealthServer(Metrics(CollectorRegistry()), port=0) as server:
        assert main(["serve-health", "--probe", "--port", str(server.port)]) == 1
    done = capfd.readouterr()
    assert done.out == ""
    assert done.err == f"morphstream serve-health: {server.url}/readyz: expected 200, seen 503: nothing is open yet\n"


@pytest.mark.parametrize("port", ["65536", "-1", "x", "9300.0"])
def test_a_port_that_is_none_is_wrong_usage(port: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve-health", "--port", port])
    assert caught.value.code == 2
    assert f"expected a whole number from 0 to 65535, seen '{port}'" in capfd.readouterr().err


def test_the_command_and_a_probe_load_nothing_heavy() -> None:
    heavy = "{'numpy', 'cv2', 'openvino', 'onnxruntime'}"
    code = f"import sys, morphstream.health.serve, morphstream.health.probe; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    code = "import sys, morphstream.__main__ as m; print([n for n in ('asyncio', 'http.client') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
