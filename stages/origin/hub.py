"""The origin `hub`: the pinned files of a repository's pinned revision, downloaded side by side."""

import errno
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import FetchError
from morphstream.source.progress import progress
from stages.hub.pinned import Hub
from stages.origin.keep import check_replaceable
from stages.params import Model
from stages.workspace import Workspace

_DOWNLOADS = 4  # side by side
_REMEDY = "run: python -m stages.fetch --pin, and review what it writes"


@dataclass(frozen=True, slots=True)
class HubOrigin:
    """Downloads models from a repository, whose licences keep them private."""

    hub: Hub

    def declared(self, model: Model) -> dict[str, object]:
        """Return the revision and a model's pins."""
        return {"origin": "hub", **asdict(self.hub), "file": model.file, "sha256": model.sha256, "bytes": model.bytes}

    def holds(self, model: Model, path: Path) -> bool:
        """Return whether a file has the pinned digest of a model."""
        pin = _pin_of(model)
        return path.is_file() and path.stat().st_size == pin.bytes and digest_of_file(path) == pin

    def fetch(self, models: Sequence[Model], workspace: Workspace) -> None:
        """Download the models that aren't in ``build`` as they are pinned; one that fails doesn't stop the others."""
        if self.hub.revision is None:
            raise FetchError(f"hub.revision: expected a commit of 40 hexadecimal digits, seen null; {_REMEDY}")
        build = workspace.build
        missing = {model.file: _pin_of(model) for model in models if not self.holds(model, build / model.file)}
        kept = []
        for model in [model for model in models if model.file in missing]:
            try:
                check_replaceable(model, build / model.file, workspace)
            except FetchError as error:
                kept.append(error)
                del missing[model.file]
        if missing:
            _download(self.hub.repo, self.hub.revision, missing, build, f"fetch {len(missing)} of {len(models)}")
        if kept:
            raise kept[0]


def _pin_of(model: Model) -> Digest:
    if model.pin is None:
        raise FetchError(f"models.{model.name}: expected sha256 and bytes in params.yaml, seen null; {_REMEDY}")
    return model.pin


def _download(repo: str, revision: str, files: Mapping[str, Digest], build: Path, title: str) -> None:
    from stages.hub.client import prepare_client  # here, as the hub's client takes half a second
    from stages.hub.download import download
    from stages.hub.repository import Repository

    prepare_client()
    source, stop = Repository(repo).source(revision), threading.Event()
    total_bytes = sum(digest.bytes for digest in files.values())
    with progress(title, total_bytes) as add, ThreadPoolExecutor(_DOWNLOADS) as pool:

        def count(size: int) -> None:
            if stop.is_set():
                raise InterruptedError(errno.EINTR, "stopped")
            add(size)

        tasks = [pool.submit(download, source, file, digest, build / file, count) for file, digest in files.items()]
        try:
            errors = [error for task in tasks if (error := task.exception())]
        except KeyboardInterrupt:
            stop.set()  # what was downloaded so far stays for the next run
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if errors:
        raise errors[0]
