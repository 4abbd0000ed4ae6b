"""DVC's side of the farm: which stages are up to date, which DVC's cache has, and the entries of dvc.lock files.

`dvc repro` runs one stage after the other, and several of them side by side wait for each other's lock. So the farm
runs the stages' programs itself, has DVC's own code judge and keep what they made, and writes the dvc.lock files for
many stages at once (docs/adr/0007-farm.md).
"""

import getpass
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import plan_repro
from dvc.stage.cache import RunCacheNotFoundError
from dvc.stage.serialize import to_lockfile

from morphstream.artifact.errors import MorphstreamError
from stages.farm.alone import check_alone, holder
from stages.lock import read_locks, write_locks
from stages.workspace import Workspace

_LOCK_EVERY_S = 10.0  # should this be killed, what ran since is in DVC's cache, and needn't run again


class Pipeline:
    """Holds the stages of all dvc.yaml files, under DVC's lock; `open_pipeline` makes it."""

    def __init__(self, repo: Any, workspace: Workspace) -> None:
        self._stages = {stage.name: stage for stage in repo.index.stages}
        self._graph, self._cache, self._workspace = repo.index.graph, repo.stage_cache, workspace
        self._locked = read_locks(workspace)
        self._locked_at = time.monotonic()

    def with_upstream(self, names: Iterable[str]) -> list[str]:
        """Return stages and all that they need, which comes first."""
        return [stage.name for stage in needed_first(self._graph, [self._stages[name] for name in names])]

    def needs(self, name: str) -> set[str]:
        """Return the stages whose outputs a stage reads."""
        return {stage.name for stage in self._graph.successors(self._stages[name])}

    def command(self, name: str) -> str:
        """Return a stage's command."""
        return str(self._stages[name].cmd)

    def restore(self, name: str, *, is_cached: bool) -> str | None:
        """Return ``up to date`` for a stage that is, or how its outputs were restored; None where it has to run.

        Args:
            name: The stage.
            is_cached: Look for its outputs in DVC's cache; False for an index, whose cache DVC would remove first.
        """
        stage = self._stages[name]
        if not stage.changed():
            return "up to date"
        if not is_cached:
            return None
        for out in stage.outs:
            if out.status():
                out.remove()  # DVC would ask before it replaces what it can't bring back
        try:
            self._cache.restore(stage)
        except RunCacheNotFoundError:
            return None
        self.keep(name)
        return "restored from DVC's cache"

    def keep(self, name: str) -> None:
        """Put what a stage made into DVC's cache, and into dvc.lock by the end at the latest."""
        stage = self._stages[name]
        stage.save()
        stage.commit()
        self._locked |= to_lockfile(stage)
        if time.monotonic() - self._locked_at > _LOCK_EVERY_S:
            self.write_locks()

    def write_locks(self) -> None:
        """Write the dvc.lock files."""
        write_locks(self._workspace, self._locked)
        self._locked_at = time.monotonic()


@contextmanager
def open_repo(workspace: Workspace) -> Iterator[Any]:
    """Give DVC's view of a workspace, and refuse in one line what DVC refuses in the block."""
    _name_user()
    logging.getLogger("dvc.progress").setLevel(logging.CRITICAL)  # no bars, which would be drawn over this program's
    try:
        with Repo(str(workspace.root)) as repo:
            yield repo
    except LockError:
        seen = f"seen it held{holder(workspace.root / '.dvc/tmp')}"
        raise MorphstreamError(f"expected DVC's lock, .dvc/tmp/lock, to be free, {seen}; wait for it") from None
    except DvcException as error:
        raise MorphstreamError(" ".join(str(error).split())) from error
    except sqlite3.Error as error:
        places = f"{workspace.root / '.dvc/tmp'} and DVC_SITE_CACHE_DIR"
        raise MorphstreamError(f"DVC: expected to write in {places}, seen {error}; let this user write there") from None


@contextmanager
def open_pipeline(workspace: Workspace) -> Iterator[Pipeline]:
    """Give the pipeline while no other DVC runs here, and write dvc.lock however the block ends."""
    logging.getLogger("dvc").setLevel(logging.WARNING)
    with open_repo(workspace) as repo, lock_repo(repo):
        check_alone(Path(os.path.relpath(repo.tmp_dir)))
        pipeline = Pipeline(repo, workspace)
        try:
            yield pipeline
        finally:
            pipeline.write_locks()


def _name_user() -> None:
    """Name a user whom the system has no name for, as of a container, and a home that this one may enter.

    DVC reads its settings at home, and would raise what isn't one of its errors.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"uid-{os.getuid()}"
    if not os.access(os.path.expanduser("~"), os.X_OK):  # noqa: PTH111  # Path raises where there is none
        os.environ["HOME"] = "/nonexistent"


def needed_first(graph: Any, stages: Sequence[Any]) -> list[Any]:
    """Return stages and all that they need, each behind what it needs itself."""
    needed = set(plan_repro(graph, stages) if stages else ())  # without an order; of no stages DVC plans all
    return [stage for stage in plan_repro(graph) if stage in needed]
