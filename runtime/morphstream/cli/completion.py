"""``morphstream completion``: print a script that completes the command line in a shell."""

import argparse
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.cli.options import Commands, Parser

_SHELLS = ("bash", "zsh", "fish")
_NAMES: Mapping[str, str] = {"swap_model": "swap-models", "models": "models", "target": "targets"}  # by option


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("completion", help="print a script that completes this command line in a shell")
    text = 'the shell, for bash: eval "$(morphstream completion bash)"; or the names that such a script asks for'
    parser.add_argument("what", choices=(*_SHELLS, *_NAMES.values()), help=text)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the script for `options.whole`, the parser of the command line, or names."""
    found = _script(options.whole, options.what) if options.what in _SHELLS else _names(options)
    print(json.dumps({options.what: found}) if options.json else found if isinstance(found, str) else "\n".join(found))
    return 0


def _script(whole: argparse.ArgumentParser, shell: str) -> str:
    try:
        import shtab
    except ModuleNotFoundError as error:
        expected = f"completion: expected shtab, seen none ({error})"
        raise MorphstreamError(f"{expected}; run: pip install 'morphstream[completion]'") from error
    for parser in _parsers(whole):
        for action in parser._actions:  # argparse has no public way to them
            if action.dest in _NAMES:
                command = f"{whole.prog} completion {_NAMES[action.dest]} 2>/dev/null"
                action.complete = shtab.cmd(command)  # type: ignore[attr-defined]  # which shtab looks for
            elif action.type is Path or action.dest in ("paths", "source", "store"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    script: str = shtab.complete(whole, shell)
    return script


def _parsers(parser: argparse.ArgumentParser) -> list[Parser]:
    """Return the parsers of a parser's commands."""
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return list(commands.choices.values())


def _names(options: argparse.Namespace) -> list[str]:
    """Return targets that run on this machine, or models: of the store, and of the sources that are on this machine.

    Raises:
        MorphstreamError: The store has none.
    """
    if options.what == "targets":
        from morphstream.machine.probe import probe_machine
        from morphstream.machine.select import target_names

        return target_names(probe_machine())
    from morphstream.source.named import sources_of
    from morphstream.source.publication import Publication
    from morphstream.store.store import Store

    store = Store(options.store)
    current, trust = store.current(), store.trust()
    files = [*current.manifest.engine_files.values()]
    for source in sources_of(None):
        with suppress(MorphstreamError):  # it has nothing for this cache key
            if not getattr(source, "is_remote", False):
                files += Publication(source, trust=trust).manifest(current.cache_key).manifest.engine_files.values()
    wanted = (file for file in files if options.what == "models" or file.served_role == "swapper")
    return sorted({file.onnx_model for file in wanted if file.onnx_model})
