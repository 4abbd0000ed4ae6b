"""Look up the project's own commands in a text of shell commands."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import dropwhile

from tests.stages import ROOT
from website.programs import Program, help_of

_OPTION = re.compile(r"--[a-z][a-z0-9-]*")
_STARTED_BY = ("morphstream", "python", "python3")
_WITH_COMMANDS = {"stages.farm", "stages.sign"}  # whose options are those of a command


def unknown_options(text: str) -> Iterator[str]:
    """Yield what the project's programs don't have, of what commands ask them for.

    Raises:
        ValueError: There is no such program, or it has no such command.
    """
    for line in text.replace("\\\n", " ").splitlines():
        for command in commands_of(line):
            words = [*dropwhile(lambda word: word not in _STARTED_BY, command)]
            if program := program_of(words):
                known = set(_OPTION.findall(_help(program)))
                yield from (f"{' '.join(program)} {word}" for word in words if _is_unknown(word, known))


def _is_unknown(word: str, known: set[str]) -> bool:
    return bool(_OPTION.fullmatch(word)) and word not in known


@cache
def _help(program: Program) -> str:
    return help_of(program, ROOT)


def commands_of(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line of a shell, each as its words, options without their values."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    words = list[str]()
    for word in [*lexer, ";"]:
        if word and set(word) <= set("();<>|&"):
            yield words
            words = []
        else:
            words.append(word.partition("=")[0] if word.startswith("--") else word)


def program_of(words: list[str]) -> Program:
    """Return how one of the project's own programs is started, with the name of its command; empty for others'."""
    match words:
        case ["morphstream", command, *_] if not command.startswith("-"):
            return ("morphstream", command)
        case ["python" | "python3", "-m", module, *rest] if module.startswith("stages."):
            return ("python", "-m", module, *(rest[:1] if module in _WITH_COMMANDS else ()))
    return ()
