"""fetch MODEL...: bring models from their origin to build/, byte for byte; all of them where none is named.

`fetch --pin [REVISION]` writes into params.yaml what a revision of the hub holds, to be reviewed as any other change.
"""

import argparse
import sys

from stages.declare import check_declared
from stages.origin.named import origin_of
from stages.params import load_params
from stages.program import run_program
from stages.workspace import Workspace


def main(workspace: Workspace) -> None:
    """Fetch models, or pin them."""
    parser = argparse.ArgumentParser(prog="python -m stages.fetch", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="its name in params.yaml (all of them)")
    parser.add_argument("--pin", nargs="?", const="main", metavar="REVISION", help="pin what a revision holds (main)")
    parser.add_argument("--declared", action="store_true", help="refuse params that `declare` has not written down")
    arguments = parser.parse_args()
    if arguments.pin and arguments.models:
        parser.error("--pin takes no models: a revision pins all of them")
    params = load_params(workspace.params)
    if arguments.pin:
        from stages.hub.pins import pin  # here, as the hub's client takes half a second

        print(pin(params, workspace.params, arguments.pin))
        return
    models = [params.model(name) for name in arguments.models] or list(params.models.values())
    if arguments.declared:
        for model in models:
            check_declared(workspace, f"fetch/{model.name}", params)
    origin_of(params).fetch(models, workspace)


if __name__ == "__main__":
    run_program(main, is_timed=not sys.stderr.isatty())  # there it counts bytes itself
