"""fetch MODEL...: bring pinned models from their origin to build/, byte for byte; all of them where none is named.

`fetch --pin [REVISION]` writes into params.yaml what a revision of the hub holds, to be reviewed as any other change.
"""

import argparse
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import FetchError
from morphstream.source.progress import progress
from stages.declare import check_declared
from stages.files import BUILD, write_whole
from stages.params import Hub, Model, load_params
from stages.program import run_program

_DOWNLOADS = 4  # side by side


def main() -> None:
    """Fetch models, or pin them.

    Raises:
        MorphstreamError: The origin can't give one, or gives other bytes.
        OSError: One can't be written.
    """
    parser = argparse.ArgumentParser(prog="python -m stages.fetch", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="its name in params.yaml (all of them)")
    parser.add_argument("--pin", nargs="?", const="main", metavar="REVISION", help="pin what a revision holds (main)")
    parser.add_argument("--declared", action="store_true", help="as declared, or not at all: DVC keeps it under that")
    arguments = parser.parse_args()
    if arguments.pin and arguments.models:
        parser.error("--pin takes no models: a revision pins all of them")
    params = load_params()
    if arguments.pin:
        from stages.hub.pins import pin  # here, as the hub's client takes half a second

        print(pin(params, arguments.pin))
        return
    models = [params.model(name) for name in arguments.models] or list(params.models.values())
    if arguments.declared:
        for model in models:
            check_declared(f"fetch/{model.name}", params)
    if params.origin == "hub":
        fetch_from_hub(models, params.hub)
    else:
        for model in models:
            fetch_from_kit(model)


def fetch_from_kit(model: Model) -> None:
    """Build a stand-in, or take the detector out of its package.

    Raises:
        MorphstreamError: The kit has no such model, or the detector's package can't be had.
        OSError: The model can't be written.
    """
    from stages.kit import BUILT, kit_model  # here, as building models imports onnx

    if model.name not in {"det_10g", *BUILT}:
        raise FetchError(f"{model.name}: expected a model of the kit, seen none; set origin: hub")
    write_whole(BUILD / model.file, kit_model(model.name))


def fetch_from_hub(models: Sequence[Model], hub: Hub) -> None:
    """Download models at the pinned revision side by side; those that are there and right stay.

    Raises:
        FetchError: params lack a pin.
        HubError: The hub can't give one.
        DigestMismatchError: It gives other bytes.
        OSError: One can't be written.
    """
    revision, pins = _pins(models, hub)
    from stages.hub.client import prepare_client
    from stages.hub.download import download, is_there
    from stages.hub.repository import Repository

    wanted = {file: digest for file, digest in pins.items() if not is_there(BUILD / file, digest)}
    if not wanted:
        return
    prepare_client()
    repository, stop, lock = Repository(hub.repo), threading.Event(), threading.Lock()
    total_bytes = sum(digest.bytes for digest in wanted.values())
    with progress(f"fetch {len(wanted)} of {len(pins)}", total_bytes) as add, ThreadPoolExecutor(_DOWNLOADS) as pool:

        def count(size: int) -> None:
            with lock:
                add(size)

        def fetch(file: str) -> None:
            download(repository, file, revision, wanted[file], BUILD / file, add=count, stop=stop)

        tasks = [pool.submit(fetch, file) for file in wanted]
        try:
            faults = [fault for task in tasks if (fault := task.exception())]  # one file's doesn't stop the others
        except KeyboardInterrupt:
            stop.set()  # what came so far stays for the next run
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if faults:
        raise faults[0]


def _pins(models: Sequence[Model], hub: Hub) -> tuple[str, dict[str, Digest]]:
    remedy = "run: python -m stages.fetch --pin, and review what it writes"
    if hub.revision is None:
        raise FetchError(f"hub.revision: expected a commit of 40 hexadecimal digits, seen null; {remedy}")
    pins = {}
    for model in models:
        if model.sha256 is None or model.bytes is None:
            raise FetchError(f"models.{model.name}: expected sha256 and bytes in params.yaml, seen null; {remedy}")
        pins[model.file] = Digest(model.sha256, model.bytes)
    return hub.revision, pins


if __name__ == "__main__":
    run_program(main, is_timed=not sys.stderr.isatty())  # there it counts bytes itself
