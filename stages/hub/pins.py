"""Pin what a revision of the hub holds: write commit, digests and sizes into params.yaml, and nothing else."""

import difflib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML

from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import FetchError
from stages.files import write_whole
from stages.hub.client import prepare_client
from stages.hub.repository import Repository
from stages.params import Params, load_params


def pin(params: Params, path: Path, revision: str, repository: Repository | None = None) -> str:
    """Write the pins of every model into params.yaml, and return the difference, to be reviewed.

    The commit that `revision` means now is pinned. Large files are pinned to the digest that the Hub keeps them under;
    fetching computes it again from their bytes.
    """
    prepare_client()
    repository = repository or Repository(params.hub.repo)
    commit = repository.commit_of(revision)
    held = repository.files(commit)
    if missing := [model.file for model in params.models.values() if model.file not in held]:
        expected = f"{repository.name}@{commit[:7]}: expected {', '.join(missing)} there"
        raise FetchError(f"{expected}, seen none; publish them, or correct params.yaml")
    pins = {
        model.name: Digest(file.sha256 or digest_of(repository.read(model.file, commit, file)).sha256, file.bytes)
        for model in params.models.values()
        for file in (held[model.file],)
    }
    if (params.hub.revision, {name: model.pin for name, model in params.models.items()}) == (commit, pins):
        return f"{path.name}: the pins are those of {repository.name}@{commit} already"
    return _write(path, commit, pins)


def _write(path: Path, commit: str, pins: Mapping[str, Digest]) -> str:
    before = path.read_text("utf-8")
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # lines stay as they are
    yaml.representer.add_representer(
        type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    document = yaml.load(before)
    document["hub"]["revision"] = commit
    for name, pinned in pins.items():
        document["models"][name] |= asdict(pinned)
    text = StringIO()
    yaml.dump(document, text)
    with tempfile.TemporaryDirectory() as folder:  # what can't be read isn't written
        (Path(folder) / path.name).write_text(text.getvalue(), "utf-8")
        load_params(Path(folder) / path.name)
    write_whole(path, text.getvalue().encode())
    lines = (before.splitlines(), text.getvalue().splitlines())
    return "\n".join(difflib.unified_diff(*lines, path.name, path.name, lineterm=""))
