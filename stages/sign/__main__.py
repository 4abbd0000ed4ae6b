"""sign VERB: make keys and root documents, and sign what is published.

The repository's root documents are in manifests/root, in Git. docs/signing.md says who does what.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tuf.api.metadata import Metadata, Root

from morphstream.artifact.regular_file import read_regular
from morphstream.cli.options import Parser, checked, whole_number
from morphstream.source.signed import ROOT_BYTES_MAX
from stages.files import write_whole
from stages.hub.client import prepare_client
from stages.hub.repository import Repository
from stages.licences import private_models
from stages.params import load_params
from stages.program import run_program
from stages.publish.plan import Plan
from stages.publish.send import send
from stages.sign.keys import SignError, make_key, public_path, read_public, read_signer
from stages.sign.publisher import Publisher, read_roots, sign_folder
from stages.sign.release import make_release_key, sign_release, verify_release
from stages.sign.roots import Change, cosign, missing, next_root, read_root, to_bytes, version_of
from stages.workspace import Workspace


def main(workspace: Workspace) -> Mapping[str, object] | None:
    """Do what a verb says, and print it."""
    options = _parser().parse_args()
    done: Mapping[str, object] | None = options.run(workspace, options)
    return done


def _parser() -> Parser:
    parser = Parser(prog="python -m stages.sign", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(name: str, run: Callable[[Workspace, argparse.Namespace], object], text: str) -> Parser:
        verb: Parser = verbs.add_parser(name, help=text, description=text)
        verb.set_defaults(run=run)
        return verb

    add("key", _key, "make a key: FILE is private, FILE.pub may be given away").add_argument("file", type=Path)
    first = add("init", _init, "make the first root document, signed by root keys")
    change = add("root", _root, "make the next root document: add and revoke keys, and give it another expiry")
    change.add_argument("--revoke", action="append", default=[], metavar="KEYID", help="a key that signs nothing more")
    for verb in (first, change):
        for role in ("root", "publisher"):
            text = f"a {role} key that is added; its public part is enough"
            verb.add_argument(f"--add-{role}", action="append", default=[], type=Path, metavar="FILE", help=text)
            text = f"how many {role} keys must sign"
            verb.add_argument(f"--{role}-threshold", type=checked(whole_number(1, 100)), metavar="N", help=text)
        text = "days until it expires"
        verb.add_argument("--days", type=checked(whole_number(1, 3650)), required=True, metavar="N", help=text)
    more = add("cosign", _cosign, "add signatures to the newest root document, as other holders of root keys do")
    for verb in (first, change, more):
        text = "a private root key to sign with"
        verb.add_argument("--key", action="append", default=[], type=Path, metavar="FILE", help=text)
    folder = add("folder", _folder, "sign the documents of a folder of the published layout, a source for workers")
    folder.add_argument("folder", nargs="?", type=Path, help="(build)")
    add("renew", _renew, "sign what is published as the newest anew, so that workers don't take it for held back")
    verb = add("release-key", _release_key, "make a key for whole releases, of the curve P-256")
    verb.add_argument("file", type=Path)
    signs = add("release", _release, "sign a folder as a whole, as OpenSSF's model-signing does")
    verifies = add("verify-release", _verify_release, "verify a folder that was signed as a whole")
    for verb, text in ((signs, "the private key"), (verifies, "the public key")):
        verb.add_argument("folder", type=Path)
        verb.add_argument("--key", type=Path, required=True, metavar="FILE", help=text)
        verb.add_argument("--bundle", type=Path, metavar="FILE", help="where the signature is (FOLDER.sig)")
    add("show", _show, "print the newest root document: keys, how many must sign, and until when")
    return parser


def _key(_: Workspace, options: argparse.Namespace) -> Mapping[str, object]:
    keyid = make_key(options.file).public_key.keyid
    print(f"{options.file}: key {keyid}; its public part: {public_path(options.file)}")
    return {"key": keyid, "private": str(options.file), "public": str(public_path(options.file))}


def _init(workspace: Workspace, options: argparse.Namespace) -> Mapping[str, object]:
    if found := _newest(workspace):
        raise SignError(f"{found[1]}: expected no root document yet, seen one; change it with: stages.sign root")
    root = next_root(None, _change(options, ()))
    return _write(workspace, root, None, options.key)


def _root(workspace: Workspace, options: argparse.Namespace) -> Mapping[str, object]:
    read_roots(workspace)  # no worker could follow to the next one past one that isn't complete
    before = _read_newest(workspace)
    root = next_root(before, _change(options, options.revoke))
    return _write(workspace, root, before, options.key)


def _cosign(workspace: Workspace, options: argparse.Namespace) -> Mapping[str, object]:
    root = _read_newest(workspace)
    path = _path(workspace, root.signed.version - 1)
    before = read_root(read_regular(path, ROOT_BYTES_MAX), str(path)) if root.signed.version > 1 else None
    return _write(workspace, root, before, options.key)


def _folder(workspace: Workspace, options: argparse.Namespace) -> Mapping[str, object]:
    folder = options.folder or workspace.build
    documents = sign_folder(folder, Publisher.of(workspace, load_params(workspace.params)))
    print(f"{folder}: {len(documents)} documents signed")
    return {"folder": str(folder), "documents": documents}


def _renew(workspace: Workspace, _: argparse.Namespace) -> Mapping[str, object]:
    params = load_params(workspace.params)
    publisher = Publisher.of(workspace, params)
    prepare_client()
    repository = Repository(params.hub.repo)
    sent = send(
        repository,
        lambda tip: Plan.of(tip, publisher.renewed(tip), ()),
        lambda _: "Renew the signatures",
        is_dry=False,
        private_models=private_models(params),
    )
    print(f"{repository.name}@{sent.commit}: {sent.plan.summary()}")
    return {"repository": repository.name, "commit": sent.commit}


def _release_key(_: Workspace, options: argparse.Namespace) -> Mapping[str, object]:
    make_release_key(options.file)
    print(f"{options.file}: its public part: {public_path(options.file)}")
    return {"private": str(options.file), "public": str(public_path(options.file))}


def _release(_: Workspace, options: argparse.Namespace) -> Mapping[str, object]:
    sign_release(options.folder, options.key, bundle := _bundle(options))
    print(f"{options.folder}: signed in {bundle}")
    return {"folder": str(options.folder), "bundle": str(bundle)}


def _verify_release(_: Workspace, options: argparse.Namespace) -> Mapping[str, object]:
    verify_release(options.folder, bundle := _bundle(options), options.key)
    print(f"{options.folder}: as it was signed in {bundle}")
    return {"folder": str(options.folder), "bundle": str(bundle)}


def _bundle(options: argparse.Namespace) -> Path:
    folder: Path = options.folder.absolute()
    bundle: Path | None = options.bundle
    return bundle or folder.with_name(f"{folder.name}.sig")


def _show(workspace: Workspace, _: argparse.Namespace) -> Mapping[str, object]:
    root = _read_newest(workspace)
    signed = root.signed
    print(f"root {signed.version}, which expires on {signed.expires:%Y-%m-%d}")
    for name, role in (("root", "root"), ("publisher", "targets")):
        held = signed.roles[role]
        print(f"{name}: {held.threshold} of {len(held.keyids)} must sign: {', '.join(sorted(held.keyids))}")
    found: Mapping[str, object] = json.loads(to_bytes(root))["signed"]
    return found


def _change(options: argparse.Namespace, revoked: Sequence[str]) -> Change:
    roles = ("root", "publisher")
    thresholds = [(role, value) for role in roles if (value := getattr(options, f"{role}_threshold")) is not None]
    return Change(
        added=[(role, read_public(path)) for role in roles for path in getattr(options, f"add_{role}")],
        revoked=revoked,
        thresholds=thresholds,
        expires=datetime.now(UTC) + timedelta(days=options.days),
    )


def _write(
    workspace: Workspace, root: Metadata[Root], before: Metadata[Root] | None, keys: Sequence[Path]
) -> Mapping[str, object]:
    """Sign a root document, write it, and say what it lacks."""
    cosign(root, map(read_signer, keys), before)
    path = _path(workspace, root.signed.version)
    write_whole(path, to_bytes(root))
    lacking = missing(root, before)
    print(f"{path}: {f'it lacks {lacking[0]}; sign it with: stages.sign cosign' if lacking else 'signed'}")
    return {"root": str(path), "version": root.signed.version, "lacks": lacking}


def _path(workspace: Workspace, version: int) -> Path:
    return workspace.tracked / "root" / f"{version}.root.json"


def _newest(workspace: Workspace) -> tuple[int, Path] | None:
    folder = workspace.tracked / "root"
    found = [(version_of(path.name), path) for path in folder.iterdir()] if folder.is_dir() else []
    return max(((version, path) for version, path in found if version), default=None)


def _read_newest(workspace: Workspace) -> Metadata[Root]:
    if (found := _newest(workspace)) is None:
        folder = workspace.tracked / "root"
        raise SignError(f"{folder}: expected a root document, seen none; make one with: python -m stages.sign init")
    return read_root(read_regular(found[1], ROOT_BYTES_MAX), str(found[1]))


if __name__ == "__main__":
    run_program(main)
