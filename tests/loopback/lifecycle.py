"""The lifecycle of a private repository by the Hub's public client alone; run as a program, with 1.x or 2.x.

Its environment says which hub. The one argument is an empty folder. Exits 0 when all of it went as on the real Hub.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
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
FILES, MORE = {"models/a.onnx": LARGE, "README.md": SMALL, "empty": b""}, {"b.txt": b"b"}


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
    first = create(api, name)
    second = api.create_commit(name, added(FILES), commit_message="Add", parent_commit=first).oid
    check_listings(api, name)
    check_downloads(api, name, second, folder)
    check_outrun(api, name, first, second)
    third = api.create_commit(name, [CommitOperationDelete("models/", is_folder=True)], commit_message="Delete").oid
    assert [commit.commit_id for commit in api.list_repo_commits(name)] == [third, second, first]
    assert api.list_repo_refs(name).branches[0].target_commit == third
    check_refusals(api, name, third)


def create(api: HfApi, name: str) -> str:
    """Create a private repository, and return its first commit."""
    assert api.whoami()["name"] == "write"
    api.create_repo(name, private=True)
    assert status_of(api.create_repo, name) == 409
    assert api.create_repo(name, exist_ok=True).repo_id == name
    first = api.model_info(name)
    assert first.private
    assert [sibling.rfilename for sibling in first.siblings or ()] == [".gitattributes"]
    assert first.sha is not None
    return first.sha


def added(files: Mapping[str, bytes]) -> list[CommitOperationAdd]:
    """Return the operations that add files."""
    return [CommitOperationAdd(path, data) for path, data in files.items()]


def check_listings(api: HfApi, name: str) -> None:
    """Check that every listing names the same files, sizes and kinds of storage."""
    held = {entry.path: entry for entry in api.list_repo_tree(name, recursive=True) if isinstance(entry, RepoFile)}
    assert set(held) == {*FILES, ".gitattributes"}
    assert held["models/a.onnx"].lfs is not None
    assert held["README.md"].lfs is None
    assert [entry.path for entry in api.list_repo_tree(name, "models")] == ["models/a.onnx"]
    (info,) = api.get_paths_info(name, ["README.md", "missing"])
    assert getattr(info, "blob_id", None) == held["README.md"].blob_id
    blobs = api.model_info(name, files_metadata=True).siblings or ()
    assert {blob.rfilename: blob.size for blob in blobs} == {path: entry.size for path, entry in held.items()}


def check_downloads(api: HfApi, name: str, commit: str, folder: Path) -> None:
    """Check that files come whole, one by one, all at once, and continued."""
    for path, data in FILES.items():
        assert Path(hf_hub_download(name, path, revision=commit)).read_bytes() == data
    snapshot = Path(snapshot_download(name, local_dir=folder / "snapshot"))
    assert (snapshot / "models/a.onnx").read_bytes() == LARGE
    metadata = get_hf_file_metadata(hf_hub_url(name, "models/a.onnx"))
    expected = len(LARGE), commit, hashlib.sha256(LARGE).hexdigest()
    assert (metadata.size, metadata.commit_hash, metadata.etag) == expected
    with (folder / "part").open("w+b") as part:
        part.write(LARGE[:1000])
        http_get(hf_hub_url(name, "models/a.onnx"), part, resume_size=1000, headers=api._build_hf_headers())
    assert (folder / "part").read_bytes() == LARGE


def check_outrun(api: HfApi, name: str, first: str, tip: str) -> None:
    """Check that commits without a change, on an old parent, or without a file to delete leave the tip."""
    again = api.create_commit(name, added({"README.md": SMALL}), commit_message="The same")
    assert again.oid == tip
    late = status_of(api.create_commit, name, added(MORE), commit_message="Late", parent_commit=first)
    assert late == 412
    missing = [CommitOperationDelete("missing")]
    check_raises(EntryNotFoundError, api.create_commit, name, missing, commit_message="Delete what isn't there")
    assert api.repo_info(name).sha == tip


def check_refusals(api: HfApi, name: str, tip: str) -> None:
    """Check what is refused of files, revisions, repositories and tokens."""
    check_raises(EntryNotFoundError, hf_hub_download, name, "models/a.onnx", revision="main")
    check_raises(RevisionNotFoundError, hf_hub_download, name, "README.md", revision="0" * 40)
    assert status_of(HfApi(token=False).repo_info, name) == 401
    assert status_of(HfApi(token=os.environ["READ_TOKEN"][1:]).repo_info, name) == 401
    assert status_of(api.repo_info, f"{name}-missing") == 404
    reader = HfApi(token=os.environ["READ_TOKEN"])
    assert reader.repo_info(name).sha == tip
    assert status_of(reader.create_commit, name, added(MORE), commit_message="Not mine") == 403


def check_raises(kind: type[Exception], call: Callable[..., object], *arguments: object, **options: object) -> None:
    """Check that a call is refused with an exception of a kind."""
    try:
        call(*arguments, **options)
    except kind:
        return
    raise AssertionError(f"{call} was not refused")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
