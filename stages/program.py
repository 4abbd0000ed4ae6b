"""How a stage program ends: 0 done, 1 refused in one line on stderr, 2 wrong usage; a bug keeps its traceback.

At SIGINT or SIGTERM it ends in one line, too, with 130 or 143, as `morphstream.process` has it.
"""

import gc
import io
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path

from morphstream import process
from morphstream.artifact.errors import DigestMismatchError, MorphstreamError, UnsafeArchiveError, message_of
from morphstream.cli.options import Parser, print_any_text
from morphstream.machine.limits import check_limits
from morphstream.source.progress import is_terminal, show_line
from stages.workspace import Workspace

_QUIET_S = 2.0  # a program that takes longer shows it on a terminal
_LOG_S = 30.0  # and in a log each time


def run_program(
    main: Callable[[Workspace], None], *, is_timed: bool = True, doubts_cache: bool = False, runs_models: bool = False
) -> None:
    """Call a program's main function with the current folder's workspace, and exit as described above.

    Args:
        main: Runs the program.
        is_timed: Show how long it has been running; False for a program that shows its progress itself.
        doubts_cache: Look for damage in DVC's cache whatever was refused, not only where bytes were others than named.
        runs_models: Refuse too little memory or too few threads before a library crashes for want of them, and end
            without unloading libraries.
    """
    gc.freeze()
    gc.enable()  # see stages/__init__.py
    print_any_text()
    what = message_of(" ".join([_verb(), *sys.argv[1:]]))
    is_quiet = "--quiet" in sys.argv[1:]
    sys.argv[1:] = [word for word in sys.argv[1:] if word != "--quiet"]  # every program has it, so none declares it

    def run() -> int:
        try:
            if runs_models:
                check_limits()
            with _without_notes() if is_quiet else _elapsed(what) if is_timed else nullcontext():
                main(Workspace(Path()))
        except (MorphstreamError, OSError) as error:
            said = f"{what}: {line_of(error)}{_said_of_cache(error, is_doubted=doubts_cache)}"
            print(message_of(said), file=sys.stderr)
            return 1
        return 0

    code = process.run_process(lambda: what, run)
    if runs_models:
        os._exit(code)  # at once, as libraries take up to 45 ms to unload
    sys.exit(code)


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


@contextmanager
def _without_notes() -> Iterator[None]:
    """Drop what is written to stderr, save wrong usage: its message would be lost with it."""
    notes = io.StringIO()
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
