"""Builder `openvino`: an intermediate representation in single precision, for any CPU of an arch.

In bfloat16 it is the same: whoever runs it asks OpenVINO for one precision or the other.
One engine a process: a second conversion in the same one numbers its nodes on, and the bytes differ.
"""

import json
import locale
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

from morphstream.artifact.errors import ModelError
from stages.builders import Half, Options, Order

OPTIONS: Options = {"compress_to_fp16": False}
HALF: Half = "never"


def versions() -> dict[str, str | None]:
    """Return the version of OpenVINO; None where it isn't installed."""
    try:
        return {"openvino": metadata.version("openvino")}
    except metadata.PackageNotFoundError:
        return {"openvino": None}


@contextmanager
def _plain_letters() -> Iterator[None]:
    """Have letters made large as in English: in Turkish OpenVINO writes other names of types."""
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def build(order: Order) -> dict[str, str]:
    """Write ``STEM.xml`` and ``STEM.bin``."""
    from morphstream.session.openvino_library import openvino  # here, so that other builders work without it

    try:
        model = openvino.Core().read_model(order.model)
    except RuntimeError as error:
        raise ModelError(f"{order.model}: expected a model for OpenVINO, seen {error}; prepare it again") from None
    if order.sizes:  # its graph fits all of them, and says the first
        model.reshape({port: [-1, *order.sizes[0][name]] for port in model.inputs for name in port.names})
        model.set_rt_info(json.dumps(order.sizes), "sizes")
    names = (f"{order.stem}.xml", f"{order.stem}.bin")
    with _plain_letters():
        openvino.save_model(model, order.folder / names[0], compress_to_fp16=False)
    return dict(zip(names, ("ir", "ir_weights"), strict=True))
