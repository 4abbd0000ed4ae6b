"""``morphstream verify``: verify that a publication is what its publisher signed."""

import argparse
import json
from dataclasses import asdict, replace

from morphstream.artifact.errors import UntrustedError
from morphstream.cli.options import Commands, add_root, checked, read_sources


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("verify", help="verify that a publication is what its publisher signed")
    text = "a folder of the published layout, or hub:ORG/REPO[@REV]; several with commas between"
    parser.add_argument("source", type=checked(read_sources), help=text)
    add_root(parser)
    parser.add_argument(
        "--documents", action="store_true", help="the signatures and the documents alone, not the files"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Verify each source, and print what was found; return 1 where something isn't as it was signed."""
    from morphstream.source.publication import Publication
    from morphstream.source.verify import verify_publication
    from morphstream.store.store import Store

    if (trust := Store(options.store).trust(options.root)) is None:
        expected = "expected a root document of the publisher"
        raise UntrustedError(f"{expected}, seen none; name it with --root, or set MORPHSTREAM_ROOT")
    found = {}
    for source in options.source:
        publication = Publication(source, trust=trust)
        verification = verify_publication(publication, reads_files=not options.documents)
        verification = replace(verification, faults=(*trust.faults(source), *verification.faults))
        found[str(source)] = {**asdict(verification), "is_good": not verification.faults}
        if not options.json:
            files = f", {verification.files} files, {verification.bytes:,} bytes" if verification.files else ""
            print(f"{source}: {len(verification.documents)} documents{files}: ", end="")
            print(
                "\n  ".join([f"{len(verification.faults)} faults", *verification.faults])
                if verification.faults
                else "as signed"
            )
    if options.json:
        print(json.dumps({"root": str(trust), "sources": found}, indent=2))
    return int(not all(one["is_good"] for one in found.values()))
