"""The lifecycle of a private repository by the Hub's public client alone; run as a program, with 1.x or 2.x.

Its environment says which hub. The one argument is an empty folder. Exits 0 when all of it went as on the real Hub.
"""

import hashlib
import os
import sys
from pathlib import Path

import huggingface_hub
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
)
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RevisionNotFoundError
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile

LARGE, SMALL = b"\0weights" * 100_000, b"---\nlicense: mit\n---\n# A card\n"


def status_of(call: object, *arguments: object, **options: object) -> int:
    """Return the status that a call is refused with."""
    assert callable(call)
    try:
        call(*arguments, **options)
    except HfHubHTTPError as error:
        return int(error.response.status_code)
    raise AssertionError(f"{call} was not refused")


def main(version: str, name: str, folder: Path) -> None:
    """Create, upload, list, download, resume, outrun, delete."""
    assert huggingface_hub.__version__.startswith(version), huggingface_hub.__version__
    api = HfApi()
    assert api.whoami()["name"] == "write"
    api.create_repo(name, private=True)
    assert status_of(api.create_repo, name) == 409
    assert api.create_repo(name, exist_ok=True).repo_id == name
    first = api.model_info(name)
    assert first.private
    assert [sibling.rfilename for sibling in first.siblings or ()] == [".gitattributes"]

    files = {"models/a.onnx": LARGE, "README.md": SMALL, "empty": b""}
    added = [CommitOperationAdd(path, data) for path, data in files.items()]
    second = api.create_commit(name, added, commit_message="Add", parent_commit=first.sha)
    held = {entry.path: entry for entry in api.list_repo_tree(name, recursive=True) if isinstance(entry, RepoFile)}
    assert set(held) == {*files, ".gitattributes"}
    assert held["models/a.onnx"].lfs is not None
    assert held["README.md"].lfs is None
    assert [entry.path for entry in api.list_repo_tree(name, "models")] == ["models/a.onnx"]
    (info,) = api.get_paths_info(name, ["README.md", "missing"])
    assert getattr(info, "blob_id", None) == held["README.md"].blob_id
    blobs = api.model_info(name, files_metadata=True).siblings or ()
    assert {blob.rfilename: blob.size for blob in blobs} == {path: entry.size for path, entry in held.items()}

    for path, data in files.items():
        assert Path(hf_hub_download(name, path, revision=second.oid)).read_bytes() == data
    snapshot = Path(snapshot_download(name, local_dir=folder / "snapshot"))
    assert (snapshot / "models/a.onnx").read_bytes() == LARGE
    said = get_hf_file_metadata(hf_hub_url(name, "models/a.onnx"))
    assert (said.size, said.commit_hash, said.etag) == (len(LARGE), second.oid, hashlib.sha256(LARGE).hexdigest())
    with (folder / "part").open("w+b") as part:
        part.write(LARGE[:1000])
        http_get(hf_hub_url(name, "models/a.onnx"), part, resume_size=1000, headers=api._build_hf_headers())
    assert (folder / "part").read_bytes() == LARGE

    again = api.create_commit(name, [CommitOperationAdd("README.md", SMALL)], commit_message="The same")
    assert again.oid == second.oid
    more = [CommitOperationAdd("b.txt", b"b")]
    assert status_of(api.create_commit, name, more, commit_message="Late", parent_commit=first.sha) == 412
    missing = [CommitOperationDelete("missing")]
    try:
        api.create_commit(name, missing, commit_message="Delete what isn't there")
        raise AssertionError("a missing file was deleted")
    except EntryNotFoundError:
        pass
    assert api.repo_info(name).sha == second.oid
    third = api.create_commit(name, [CommitOperationDelete("models/", is_folder=True)], commit_message="Delete")
    assert [commit.commit_id for commit in api.list_repo_commits(name)] == [third.oid, second.oid, first.sha]
    assert api.list_repo_refs(name).branches[0].target_commit == third.oid
    for refused, error in (
        (("models/a.onnx", "main"), EntryNotFoundError),
        (("README.md", "0" * 40), RevisionNotFoundError),
    ):
        try:
            hf_hub_download(name, refused[0], revision=refused[1])
            raise AssertionError(f"{refused} was downloaded")
        except error:
            pass

    assert status_of(HfApi(token=False).repo_info, name) == 401
    assert status_of(HfApi(token=os.environ["READ_TOKEN"][1:]).repo_info, name) == 401
    assert status_of(api.repo_info, f"{name}-missing") == 404
    reader = HfApi(token=os.environ["READ_TOKEN"])
    assert reader.repo_info(name).sha == third.oid
    assert status_of(reader.create_commit, name, more, commit_message="Not mine") == 403


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
