"""fetch MODEL...: bring models from their origin to build/, byte for byte; all of them where none is named.

`fetch --pin [REVISION]` writes into params.yaml what a revision of the hub holds, and `fetch --pin FOLDER` what is in a
folder of yours, to be reviewed as any other change. Your own files come out of the folder of MORPHSTREAM_MODELS.
"""

import argparse
import sys
from pathlib import Path

from morphstream.artifact.errors import FetchError
from morphstream.cli.options import Parser
from stages.declare import check_declared
from stages.origin.named import origin_of
from stages.params import Params, load_params
from stages.program import run_program
from stages.workspace import Workspace


def main(workspace: Workspace) -> None:
    """Fetch models, or pin them."""
    parser = Parser(prog="python -m stages.fetch", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="its name in params.yaml (all of them)")
    parser.add_argument(
        "--pin",
        nargs="?",
        const="main",
        metavar="REVISION|FOLDER",
        help="pin what a revision of the hub holds (main), or a folder with your own files",
    )
    parser.add_argument(
        "--from", dest="folder", type=Path, metavar="FOLDER", help="where your own files are (MORPHSTREAM_MODELS)"
    )
    parser.add_argument("--declared", action="store_true", help="refuse params that `declare` has not written down")
    arguments = parser.parse_args()
    if arguments.pin is not None and arguments.folder:
        parser.error("--from goes without --pin, which takes the folder itself")
    if arguments.pin == "":
        parser.error("--pin: expected a revision or a folder, seen nothing")
    params = load_params(workspace.params)
    if arguments.pin is not None and is_folder(arguments.pin):
        from stages.own_pins import pin_own  # here, as onnx takes long to load

        print(pin_own(params, workspace, Path(arguments.pin).expanduser(), arguments.models))
    elif arguments.pin is not None:
        if arguments.models:
            parser.error("--pin REVISION takes no models: a revision pins all of them")
        _pin_revision(params, workspace, arguments.pin)
    else:
        _fetch(params, workspace, arguments)


def is_folder(text: str) -> bool:
    """Return whether what is to be pinned is a folder, if only by its spelling; else it is a revision."""
    return Path(text).is_dir() or text.startswith(("/", "./", "../", "~")) or text in (".", "..")


def _pin_revision(params: Params, workspace: Workspace, revision: str) -> None:
    if Path(revision).is_file():
        raise FetchError(f"{revision}: expected a folder or a revision, seen a file; name the folder that it is in")
    from stages.hub.pins import pin  # here, as the hub's client takes half a second

    print(pin(params, workspace.params, revision))


def _fetch(params: Params, workspace: Workspace, arguments: argparse.Namespace) -> None:
    models = [params.model(name) for name in arguments.models] or list(params.models.values())
    if arguments.declared:
        for model in models:
            check_declared(workspace, f"fetch/{model.name}", params)
    origin_of(params, arguments.folder).fetch(models, workspace)


if __name__ == "__main__":
    run_program(main, is_timed=not sys.stderr.isatty())  # there it counts bytes itself
