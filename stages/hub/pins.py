"""Pin what a revision of the hub holds: write commit, digests and sizes into params.yaml, and nothing else."""

from dataclasses import asdict
from pathlib import Path

from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import FetchError
from stages.hub.client import prepare_client
from stages.hub.repository import Repository
from stages.params import Params
from stages.params_file import Keys, edit_params


def pin(params: Params, path: Path, revision: str, repository: Repository | None = None) -> str:
    """Write the pins of every model but a person's own into params.yaml, and return the difference, to be reviewed.

    The commit that `revision` means now is pinned. Large files are pinned to the digest that the Hub keeps them under;
    fetching computes it again from their bytes.
    """
    prepare_client()
    repository = repository or Repository(params.hub.repo)
    commit = repository.commit_of(revision)
    held = repository.files(commit)
    models = [model for model in params.models.values() if params.origin_of(model) != "folder"]
    if missing := [model.file for model in models if model.file not in held]:
        expected = f"{repository.name}@{commit[:7]}: expected {', '.join(missing)} there"
        raise FetchError(f"{expected}, seen none; publish them, or correct params.yaml")
    pins = {
        model.name: Digest(file.sha256 or digest_of(repository.read(model.file, commit, file)).sha256, file.bytes)
        for model in models
        for file in (held[model.file],)
    }
    if (params.hub.revision, {model.name: model.pin for model in models}) == (commit, pins):
        return f"{path.name}: the pins are those of {repository.name}@{commit} already"

    values: dict[Keys, object] = {("hub", "revision"): commit}
    for name, pinned in pins.items():
        values |= {("models", name, key): value for key, value in asdict(pinned).items()}
    return edit_params(path, values)
