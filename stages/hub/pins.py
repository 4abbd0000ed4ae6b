"""Pin what a revision of the hub holds: write commit, digests and sizes into params.yaml, and nothing else."""

import difflib
import tempfile
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML

from morphstream.artifact.digest import Digest, digest_of
from stages.files import write_whole
from stages.hub.client import HubError, prepare_client
from stages.hub.repository import Held, Repository
from stages.params import Model, Params, load_params


def pin(params: Params, path: Path, revision: str, repository: Repository | None = None) -> str:
    """Write the pins of every model into params.yaml, and return the difference, to be reviewed.

    Large files are pinned to the digest that the Hub keeps them under; fetching computes it again from their bytes.

    Args:
        params: As read from there.
        path: Of params.yaml.
        revision: A branch, a tag or a commit; the commit that it means now is pinned.
        repository: None for that of params.
    """
    prepare_client()
    repository = repository or Repository(params.hub.repo)
    commit = repository.commit_of(revision)
    held = repository.files(commit)
    if missing := [model.file for model in params.models.values() if model.file not in held]:
        what = f"{repository.name}@{commit[:7]}"
        raise HubError(f"{what}: expected {', '.join(missing)} there, seen none; publish them, or correct params.yaml")
    pins = {model.name: _digest(repository, commit, model.file, held[model.file]) for model in params.models.values()}
    if (params.hub.revision, pins) == (commit, {name: _pinned(model) for name, model in params.models.items()}):
        return f"{path.name}: the pins are those of {repository.name}@{commit} already"
    return _write(path, commit, pins)


def _pinned(model: Model) -> Digest | None:
    return None if model.sha256 is None or model.bytes is None else Digest(model.sha256, model.bytes)


def _digest(repository: Repository, commit: str, path: str, held: Held) -> Digest:
    if held.sha256 is not None:
        return Digest(held.sha256, held.bytes)
    return digest_of(repository.read(path, commit, held))


def _write(path: Path, commit: str, pins: dict[str, Digest]) -> str:
    before = path.read_text("utf-8")
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # lines stay as they are
    yaml.representer.add_representer(
        type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    document = yaml.load(before)
    document["hub"]["revision"] = commit
    for name, digest in pins.items():
        document["models"][name]["sha256"], document["models"][name]["bytes"] = digest.sha256, digest.bytes
    text = StringIO()
    yaml.dump(document, text)
    with tempfile.TemporaryDirectory() as folder:  # what can't be read isn't written
        (Path(folder) / path.name).write_text(text.getvalue(), "utf-8")
        load_params(Path(folder) / path.name)
    write_whole(path, text.getvalue().encode())
    lines = (before.splitlines(), text.getvalue().splitlines())
    return "\n".join(difflib.unified_diff(*lines, path.name, path.name, lineterm=""))
