"""How a stage program ends: 0 done, 1 refused in one line on stderr, 2 wrong usage; a bug keeps its traceback.

Each has ``--quiet`` and ``--json`` without declaring them, so that its own source, which decides what is stale, doesn't
change with them. At SIGINT or SIGTERM it ends in one line, too, with 130 or 143, as `morphstream.process` has it.
"""

import argparse
import gc
import io
import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

from morphstream import __version__, process
from morphstream.artifact.errors import DigestMismatchError, MorphstreamError, UnsafeArchiveError, message_of
from morphstream.cli.options import Parser, print_any_text
from morphstream.cli.output import add_output, print_refusal
from morphstream.machine.limits import check_limits
from morphstream.source.progress import is_terminal, show_line
from stages.workspace import Workspace

_QUIET_S = 2.0  # a program that takes longer shows it on a terminal
_LOG_S = 30.0  # and in a log each time

Main = Callable[[Workspace], Mapping[str, object] | None]


def run_program(
    main: Main,
    *,
    is_timed: bool = True,
    prints_json: bool = False,
    doubts_cache: bool = False,
    runs_models: bool = False,
) -> None:
    """Call a program's main function with the current folder's workspace, and exit as described above.

    Args:
        main: Runs the program; returns what ``--json`` prints, None for the lines that it printed, as ``output``.
        is_timed: Show how long it has been running; False for a program that shows its progress itself.
        prints_json: It has a ``--json`` of its own, for what it prints as it goes; a refusal is added.
        doubts_cache: Look for damage in DVC's cache whatever was refused, not only where bytes were others than named.
        runs_models: Refuse too little memory or too few threads before a library crashes, and don't unload libraries.
    """
    gc.freeze()
    gc.enable()  # see stages/__init__.py
    print_any_text()
    what = message_of(" ".join([_verb(), *sys.argv[1:]]))
    asked = _take_common(keeps_json=prints_json)

    def run() -> int:
        try:
            if runs_models:
                check_limits()
            with _without_notes() if asked.quiet else _elapsed(what) if is_timed else nullcontext():
                _print_result(main, is_json=asked.json and not prints_json)
        except (MorphstreamError, OSError) as error:
            text = f"{what}: {line_of(error)}{_said_of_cache(error, is_doubted=doubts_cache)}"
            return _refuse(text, asked, is_event=prints_json)
        return 0

    code = process.run_process(lambda: what, run)
    if runs_models:
        os._exit(code)  # at once, as libraries take up to 45 ms to unload
    sys.exit(code)


def common_options() -> argparse.ArgumentParser:
    """Return a parser of the options that every program has."""
    parser = argparse.ArgumentParser(prog=f"python -m stages.{_verb()}", add_help=False, allow_abbrev=False)
    add_output(parser)
    parser.add_argument("--version", action="version", version=f"morphstream {__version__}", help="print it and exit")
    return parser


def common_help() -> str:
    """Return what help says of them."""
    return f"of every program:{common_options().format_help().partition('options:')[2]}".rstrip()


def _take_common(*, keeps_json: bool) -> argparse.Namespace:
    """Take these options out of the command line, but for ``--json`` where that is the program's own, too."""
    asked, rest = common_options().parse_known_args()
    sys.argv[1:] = [*rest, *["--json"] * (keeps_json and asked.json)]
    return asked


def _refuse(text: str, asked: argparse.Namespace, *, is_event: bool) -> int:
    """Print a refusal, also as JSON if that is asked for: of a program that prints events as one; return 1."""
    print_refusal(line := message_of(text))
    if asked.json:
        print(json.dumps({"event": "refused", "error": line} if is_event else {"error": line}))
    return 1


def _print_result(main: Main, *, is_json: bool) -> None:
    """Run a program, and print what it found as one object if that is asked for."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed) if is_json else nullcontext():
            result = main(Workspace(Path()))
    except SystemExit as end:
        print(printed.getvalue(), end="")
        if not end.code:  # that was its help
            print(f"\n{common_help()}")
        raise
    if is_json:
        print(json.dumps({"output": printed.getvalue().splitlines()} if result is None else result, indent=2))


def line_of(error: MorphstreamError | OSError) -> str:
    """Return a refusal as one line."""
    return message_of(process.line_of(error, "run `dvc repro`") if isinstance(error, OSError) else error)


def _said_of_cache(error: MorphstreamError | OSError, *, is_doubted: bool) -> str:
    """Return what to do about DVC's cache where damaged content may have come out of there."""
    if not is_doubted and not isinstance(error, DigestMismatchError | UnsafeArchiveError):
        return ""
    from stages.dvc_cache import damaged_files  # here, as it is seldom needed

    if (damaged := next(damaged_files(Workspace(Path())), None)) is None:
        return ""
    comes_back = "DVC's cache has a damaged file, which comes back with every checkout"
    return f"; {comes_back}; run: rm -f {shlex.quote(str(damaged))} && dvc repro"


def read_arguments(description: str | None, *names: str) -> list[str]:
    """Read the arguments of a stage's program, each the name of something in params.yaml."""
    parser = Parser(prog=f"python -m stages.{_verb()}", description=description)
    for name in names:
        parser.add_argument(name, help="its name in params.yaml")
    return list(vars(parser.parse_args()).values())


def _verb() -> str:
    path = Path(sys.argv[0])
    return path.parent.name if path.stem == "__main__" else path.stem


class _Notes(io.StringIO):
    """What is written to stderr; a program that gets it as a file writes nowhere."""

    def __init__(self, nowhere: TextIO) -> None:
        super().__init__()
        self._nowhere = nowhere

    def fileno(self) -> int:
        """Return the descriptor for other programs."""
        return self._nowhere.fileno()


@contextmanager
def _without_notes() -> Iterator[None]:
    """Drop what is written to stderr, save wrong usage: its message would be lost with it."""
    with open(os.devnull, "w") as nowhere, _Notes(nowhere) as notes:  # noqa: PTH123
        try:
            with redirect_stderr(notes):
                yield
        except SystemExit:
            print(notes.getvalue(), end="", file=sys.stderr)
            raise


@contextmanager
def _elapsed(what: str) -> Iterator[None]:
    """Show what is running and for how long: on a terminal after two seconds, in a log every half minute."""
    done, start, is_shown = threading.Event(), time.monotonic(), is_terminal(sys.stderr)

    def show() -> None:
        pause = _QUIET_S if is_shown else _LOG_S
        while not done.wait(pause):
            line = f"{what}: {time.monotonic() - start:.0f} s"
            show_line(line) if is_shown else print(line, file=sys.stderr, flush=True)
            pause = 1.0 if is_shown else _LOG_S

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        show_line("")
