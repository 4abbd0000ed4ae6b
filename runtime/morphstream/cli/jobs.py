"""The jobs of a batch: read from YAML, and written down once they are done.

Conventions: what is done is listed in ``JOBS.done.json`` beside ``JOBS.yaml``, replaced whole before and after each
job. A job is done if it is listed with the same options, and its inputs and outputs have the sizes and times they had
then; one that was begun is listed without outputs.
"""

import argparse
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Self

from morphstream.artifact.errors import ManifestError, message_of
from morphstream.artifact.fields import MOST_BYTES, Object, dump, inside, of_file, parse_object, required
from morphstream.artifact.regular_file import open_regular, read_regular
from morphstream.artifact.staged import staged_file
from morphstream.cli.options import UsageError
from morphstream.cli.swap import add_task
from morphstream.cli.task import Task, choices_of
from morphstream.cli.written import options_of, read_options

_KEYS = ("defaults", "jobs")
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job of the file.

    Attributes:
        name: For people, one line.
        path: The file.
        data: Its options with the defaults, as they are written.
    """

    name: str
    path: Path
    data: Object

    @property
    def key(self) -> str:
        """What is the same for the same options, in any order."""
        return hashlib.sha256(json.dumps(self.data, sort_keys=True).encode()).hexdigest()

    def options(self) -> argparse.Namespace:
        """Return the job's options, as ``morphstream swap`` has them; errors as of `written.options_of`."""
        return options_of(self.data, self.path.parent, add_task)


def read_jobs(path: Path) -> list[Entry]:
    """Return the jobs of a file, in their order.

    Raises:
        ManifestError: It is no such file, or a job has options that can't be.
        OSError: It can't be read.
    """
    data = read_options(path)
    with of_file(path):
        if odd := [key for key in data if key not in _KEYS]:
            raise ManifestError(odd[0], f"expected {' and '.join(_KEYS)} alone, seen another key")
        defaults: Object = required(data, "defaults", dict) if "defaults" in data else {}
        entries = []
        for place, own in enumerate(required(data, "jobs", list)):
            if not isinstance(own, dict):
                raise ManifestError(f"jobs[{place}]", "expected an object with options")
            options = {key: value for key, value in {**defaults, **own}.items() if key != "name"}
            name = message_of(own.get("name") or own.get("output") or f"job {place + 1}")
            entries.append(Entry(name=name, path=path, data=options))
    if not entries:
        raise ManifestError("jobs", f"{path}: expected a job, seen none")
    for place, entry in enumerate(entries):  # a job that can't be is said before the first one begins
        with of_file(path), inside("jobs", place):
            try:
                choices_of(entry.options())
            except UsageError as error:
                raise ManifestError("", str(error)) from None
    return entries


class Done:
    """What is done of a file of jobs, which one process at a time adds to; a context manager."""

    def __init__(self, jobs: Path) -> None:
        """Read what is done.

        Raises:
            ManifestError: What is written down is something else, or another batch is at work on these jobs.
            OSError: A file can't be read.
        """
        self._path = jobs.with_suffix(".done.json")
        with ExitStack() as stack:
            self._lock(stack.enter_context(open_regular(jobs)), jobs)
            self._jobs: Object = {}
            if self._path.exists():
                with of_file(self._path):
                    data = parse_object(read_regular(self._path, MOST_BYTES), format_version=_FORMAT)
                    self._jobs = required(data, "jobs", dict)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @staticmethod
    def _lock(file: BufferedReader, jobs: Path) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            seen = "expected no other batch at work on it, seen one; wait for that, or end it"
            raise ManifestError("", f"{jobs}: {seen}") from None
        except OSError:
            pass  # a volume without locks

    def has(self, entry: Entry) -> bool:
        """Return whether a job was done with these options, and nothing was changed or removed since."""
        done = self._jobs.get(entry.key)
        if not isinstance(done, dict) or done.keys() != {"inputs", "outputs"}:
            return False
        return all(isinstance(files, dict) for files in done.values()) and done == self._state_of(done)

    def begin(self, entry: Entry, task: Task) -> bool:
        """Write down that a job has begun; return whether it had before, with these inputs, and so can be resumed.

        Raises:
            OSError: That can't be written.
        """
        begun = self._state_of({"inputs": self._names_of(task.inputs)})
        is_again = self._jobs.get(entry.key) == begun
        self._write(entry, begun)
        return is_again

    def add(self, entry: Entry, task: Task) -> None:
        """Write down that a job is done.

        Raises:
            OSError: That can't be written.
        """
        inputs = [*task.inputs, *(job.target for job in task.jobs)]
        names = {"inputs": self._names_of(inputs), "outputs": self._names_of(job.output for job in task.jobs)}
        self._write(entry, self._state_of(names))

    def _write(self, entry: Entry, state: Object) -> None:
        self._jobs[entry.key] = state
        with staged_file(self._path) as file:
            file.write(dump({"format_version": _FORMAT, "jobs": self._jobs}).encode())

    def _names_of(self, paths: Iterable[Path]) -> list[str]:
        return [os.path.relpath(path, self._path.parent) for path in paths]

    def _state_of(self, paths: Mapping[str, Iterable[str]]) -> Object:
        """Return the sizes and times of files, or null for those that are missing."""
        return {key: {name: self._stamp_of(name) for name in value} for key, value in paths.items()}

    def _stamp_of(self, name: str) -> list[int] | None:
        with suppress(OSError):
            state = (self._path.parent / name).stat()
            return [state.st_size, state.st_mtime_ns]
        return None
