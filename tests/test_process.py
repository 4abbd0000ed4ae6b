"""A process ends in one line and with the right status, at a signal in any phase and where the system gives too little.

Each runs a small program of its own, as the signals and streams of pytest's process are pytest's.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from morphstream.process import line_of, shortage_of

PROGRAM = """
import os, signal, sys, time
from morphstream import process
from morphstream.process import begin_process, run_process
process.GRACE_S = 0.3
begin_process(lambda: "program")

def kill(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)

{body}
"""
SIGNALS = [
    pytest.param(signal.SIGINT, "interrupted", id="SIGINT"),
    pytest.param(signal.SIGTERM, "terminated", id="SIGTERM"),
]


def run(body: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, **options)  # type: ignore[call-overload, no-any-return]


def main(body: str, after: str = "") -> str:
    """Return a program whose main function has a body, on one line."""
    return (
        f"def main():\n    {body}\n    return 0\ncode = run_process(lambda: 'program', main)\n{after}\nsys.exit(code)"
    )


@pytest.mark.parametrize(("number", "word"), SIGNALS)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param("kill({0})\ntime.sleep(30)", id="while modules load"),
        pytest.param(main("kill({0}); time.sleep(30)"), id="in the work"),
        pytest.param(main("kill({0}, {0}, 2, 15)"), id="several times"),
        pytest.param(main("exec('try: kill({0})\\nexcept BaseException: pass')"), id="swallowed by a library"),
        pytest.param(
            main("exec('try: kill({0})\\nexcept BaseException: raise ImportError from None')"), id="made another error"
        ),
        pytest.param(main("exec('try: kill({0})\\nfinally: time.sleep(30)')"), id="in tidying that hangs"),
        pytest.param(
            main(
                "from morphstream.cli.pictures import hushed;"
                " exec('with hushed(): os.write(2, b\"from C\"); kill({0})')"
            ),
            id="while libraries are hushed",
        ),
        pytest.param(
            main("import threading; threading.Thread(target=time.sleep, args=(30,)).start(); kill({0})"),
            id="beside a thread that hangs",
        ),
    ],
)
def test_a_signal_ends_a_program_in_one_line(body: str, number: int, word: str) -> None:
    done = run(body.replace("{0}", str(int(number))))
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", f"program: {word}\n")


def test_what_was_begun_is_removed_though_more_signals_come(tmp_path: Path) -> None:
    tidy = f"kill(2, 15); os.unlink({str(tmp_path / 'part')!r}); kill(2)"
    (tmp_path / "part").touch()
    done = run(main(f"exec({f'try: kill(15){chr(10)}finally: {tidy}'!r})"))
    assert (done.returncode, done.stderr) == (143, "program: terminated\n")
    assert not (tmp_path / "part").exists()


def test_a_signal_after_the_end_changes_nothing() -> None:
    done = run(main("pass", after="kill(2, 15)\nimport atexit; atexit.register(kill, 2, 15)"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_that_is_ignored_from_the_start_stays_so() -> None:
    done = run(main("kill(2)"), preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param("MemoryError()", "program: expected memory, seen none left; ", id="memory"),
        pytest.param("RuntimeError('std::bad_alloc')", "program: expected memory, seen none left; ", id="in C++"),
        pytest.param("ValueError('not enough memory')", "program: expected memory, seen none left; ", id="in C"),
        pytest.param('RuntimeError("can\'t start new thread")', "program: expected a new thread, seen ", id="threads"),
    ],
)
def test_too_little_is_told_in_one_line(error: str, words: str) -> None:
    done = run(main(f"raise {error}"))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith(words)


def test_a_full_disk_is_told_with_the_file_and_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "out"
    limit = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (9, 9)); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    names = f"from pathlib import Path; from morphstream.artifact.staged import *; path = Path({str(path)!r})"
    done = run(f"{limit}\n{names}\n" + main("with staged_file(path) as file: file.write(b'more than 9')"))
    remedy = "raise the limit on file sizes (ulimit -f), or name another place"
    assert (done.returncode, done.stderr) == (
        1,
        f"program: {path}: expected room to write, seen File too large; {remedy}\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "No such file", "a"), "a: expected a file to read or write, seen No such file; name one"),
        (
            PermissionError(13, "Denied", Path("a")),
            "a: expected a file to read or write, seen Denied; let this user do so",
        ),
        (OSError(5, "store: expected more"), "store: expected more"),
        (OSError("own words"), "own words"),
    ],
)
def test_a_system_error_is_a_line_without_a_number(error: OSError, line: str) -> None:
    assert line_of(error, "name one") == line


def test_another_error_lacks_nothing_and_keeps_its_traceback() -> None:
    assert shortage_of(ValueError("2 values")) == ""
    done = run(main("raise ValueError('a bug')"))
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ValueError: a bug")


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_stream_that_is_closed_is_opened_before_a_file_gets_its_number(tmp_path: Path, stream: str) -> None:
    number = ("stdin", "stdout", "stderr").index(stream)
    path = tmp_path / "file"
    body = main(f"file = open({str(path)!r}, 'w'); print('out'); print('err', file=sys.stderr); file.write('own')")
    done = run(body, preexec_fn=lambda: os.close(number))
    assert done.returncode == 0
    assert path.read_text("utf-8") == "own"


def test_numpy_starts_no_threads() -> None:
    done = run(main("import numpy; print(len(os.listdir('/proc/self/task')))"))
    assert (done.returncode, done.stdout) == (0, "1\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_what_stdout_cannot_take_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", PROGRAM.format(body=main("print('text')"))]
        done = subprocess.run(command, env={}, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "stdout: expected it to take what is printed, seen No space left on device; make room there\n",
    )


@pytest.mark.parametrize(("number", "word"), SIGNALS)
@pytest.mark.parametrize("module", ["morphstream", "stages.farm"])
def test_a_command_ends_so_from_its_imports_on(module: str, number: int, word: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", module, "doctor"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if line.endswith(" morphstream.process\n"):
                time.sleep(0.005)
                process.send_signal(number)
                break
        said = [line for line in process.stderr if not line.startswith("import time:")]
    assert (process.returncode, len(said)) == (128 + number, 1)
    assert said[0].endswith(f"doctor: {word}\n")
