"""fetch MODEL: bring a pinned model from its origin to build/, byte for byte."""

import argparse
import tempfile
from pathlib import Path

from morphstream.artifact.digest import Digest, digest_of_file, verify_file
from morphstream.artifact.errors import FetchError
from stages.declare import check_declared
from stages.files import BUILD, write_whole
from stages.params import Hub, Model, load_params
from stages.program import run_program


def main() -> None:
    """Fetch one model.

    Raises:
        MorphstreamError: The origin can't give it, or gives other bytes.
        OSError: It can't be written.
    """
    parser = argparse.ArgumentParser(prog="python -m stages.fetch", description=__doc__)
    parser.add_argument("model", help="its name in params.yaml")
    params = load_params()
    model = params.model(parser.parse_args().model)
    check_declared(f"fetch/{model.name}", params)
    if params.origin == "kit":
        fetch_from_kit(model)
    else:
        fetch_from_hub(model, params.hub)


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


def fetch_from_hub(model: Model, hub: Hub) -> None:
    """Download a model at the pinned revision; the client accepts altered bytes, so they are verified here.

    Raises:
        FetchError: The hub can't give it, or params lack a pin.
        DigestMismatchError: It gives other bytes.
        OSError: The model can't be written.
    """
    from huggingface_hub import hf_hub_download  # here, as it takes half a second
    from huggingface_hub.errors import HfHubHTTPError

    if hub.revision is None:
        raise FetchError("hub.revision: expected a commit of 40 hexadecimal digits, seen null; pin it in params.yaml")
    target = BUILD / model.file
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        try:
            path = Path(hf_hub_download(hub.repo, model.file, revision=hub.revision, local_dir=folder))
        except HfHubHTTPError as error:
            raise FetchError(
                f"{hub.repo}@{hub.revision[:7]} {model.file}: {error.response.status_code}; see HF_TOKEN"
            ) from None
        if model.sha256 is None or model.bytes is None:
            observed = digest_of_file(path)
            raise FetchError(
                f"{model.file}: expected pins in params.yaml, seen null; review and add "
                f"sha256: {observed.sha256} and bytes: {observed.bytes}"
            )
        verify_file(path, Digest(model.sha256, model.bytes))
        path.replace(target)


if __name__ == "__main__":
    run_program(main)
