"""Export each network with torch's exporters, and alter some files with common tools: ``python export.py FOLDER``.

Runs in the environment with torch. FOLDER gets ``CASE/MODEL.onnx`` and, of each model, ``MODEL.npz`` with two rows of
inputs and torch's outputs. A case that a tool itself refuses is missing, with the reason in ``CASE/MODEL.txt``.
"""
# mypy: ignore-errors

import copy
import sys
import warnings
from pathlib import Path

import networks
import numpy as np
import onnx
import tools
import torch
from onnx import numpy_helper

ROWS = 2
NETWORKS = {  # of each model: its network, its inputs, its outputs, and how its pixels are normalised: mean and scale
    "det_10g": (
        networks.Scrfd,
        {"input.1": (3, 640, 640)},
        [f"{role}_{stride}" for role in ("score", "bbox", "kps") for stride in (8, 16, 32)],
        (127.5, 128),
    ),
    "w600k_r50": (networks.IResNet, {"input.1": (3, 112, 112)}, ["embedding"], (127.5, 127.5)),
    "2dfan4": (networks.Fan, {"input": (3, 256, 256)}, ["landmarks_xyscore", "heatmaps"], (0, 255)),
    "fan_68_5": (networks.Fan685, {"input": (5, 2)}, ["output"], None),
    "inswapper_128": (networks.Inswapper, {"target": (3, 128, 128), "source": (512,)}, ["output"], (0, 255)),
    "hyperswap_1a_256": (
        networks.Inswapper,
        {"target": (3, 256, 256), "source": (512,)},
        ["output", "mask"],
        (127.5, 127.5),
    ),
    "xseg_1": (networks.XSeg, {"input": (256, 256, 3)}, ["output"], (0, 255)),
    "bisenet_resnet_18": (networks.BiSeNet, {"input": (3, 512, 512)}, ["output", "aux1", "aux2"], (0, 255)),
    "yolov8n": (networks.Yolo, {"images": (3, 640, 640)}, ["output0"], (0, 255)),
    "gfpgan": (networks.Gfpgan, {"input": (3, 512, 512)}, ["output"], (127.5, 127.5)),
}
OPTIONS = {"det_10g": {"batched": True}, "hyperswap_1a_256": {"masked": True}}
ONE_ROW = {"gfpgan"}  # its weights are of one image
LEGACY, DYNAMO = range(11, 18), range(18, 24)
IMAGENET = (np.array([0.485, 0.456, 0.406]) * 255, np.array([0.229, 0.224, 0.225]) * 255)


def main(folder):
    """Write every case."""
    warnings.simplefilter("ignore")
    for name, (network, inputs, outputs, _) in NETWORKS.items():
        torch.manual_seed(7)
        options = OPTIONS.get(name, {})
        module = settled(network(**options), inputs, rows=1 if name in ONE_ROW else ROWS)
        rows = inputs_of(name)
        np.savez(folder / f"{name}.npz", **rows, **outputs_of(module, name, rows))
        single = network(batched=False).eval() if name == "det_10g" else module
        single.load_state_dict(module.state_dict())
        for batch in ("one row", "N rows"):
            if batch == "N rows" and name in ONE_ROW:
                continue
            used = module if batch == "N rows" else single
            export_all(
                used, folder, name, batch, {key: torch.rand(1, *shape) for key, shape in inputs.items()}, outputs
            )
        for case, tool in tools.TOOLS.items():
            attempt(
                folder,
                case,
                name,
                lambda path, tool=tool, name=name: tool(folder / "legacy 17, one row" / f"{name}.onnx", path),
            )


def settled(module, inputs, rows):
    """Give norms the statistics of some inputs, so that features keep their size, and leave training."""
    module.train()
    with torch.no_grad():
        for _ in range(20):
            module(*[torch.rand(rows, *shape) for shape in inputs.values()])
    return module.eval()


def inputs_of(name):
    """Return two rows: crops in uint8, identities and points in float32."""
    random, inputs = np.random.default_rng(11), {}
    for key, shape in NETWORKS[name][1].items():
        if len(shape) == 3:
            height, width, _ = sorted(shape, reverse=True)
            coarse = random.integers(0, 256, (ROWS, height // 16, width // 16, 3)).repeat(16, 1).repeat(16, 2)
            inputs[key] = np.clip(coarse + random.integers(-20, 21, coarse.shape), 0, 255).astype(np.uint8)
        else:
            inputs[key] = random.random((ROWS, *shape)).astype(np.float32)
    return inputs


def outputs_of(module, name, rows):
    """Return torch's outputs, each row alone."""
    _, inputs, outputs, scale = NETWORKS[name]
    results = []
    for row in range(ROWS):
        values = [normalised(rows[key][row : row + 1], name, shape, scale) for key, shape in inputs.items()]
        with torch.no_grad():
            found = module(*values)
        results.append(found if isinstance(found, tuple) else (found,))
    return {f"out {key}": np.concatenate([one[i].numpy() for one in results]) for i, key in enumerate(outputs)}


def normalised(array, name, shape, scale):
    """Return what the network reads: of BGR crops, mostly RGB with channels first."""
    if array.dtype != np.uint8:
        return torch.from_numpy(array)
    mean, std = IMAGENET if name.startswith("bisenet") else scale
    ordered = array if shape[-1] == 3 else array[..., ::-1]
    floats = ((ordered.astype(np.float32) - mean) / std).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(floats if shape[-1] == 3 else floats.transpose(0, 3, 1, 2)))


def export_all(module, folder, name, batch, example, outputs):
    """Export with every opset of both exporters."""
    names, is_many = list(example), batch == "N rows"
    axes = {key: {0: "batch"} for key in (*names, *outputs)} if is_many else None
    given = {"input_names": names, "output_names": outputs}
    for opset in LEGACY:

        def legacy(path, opset=opset):
            torch.onnx.export(
                module, tuple(example.values()), path, dynamo=False, opset_version=opset, dynamic_axes=axes, **given
            )
            finish(path, name)

        attempt(folder, f"legacy {opset}, {batch}", name, legacy)
    inputs = tuple(torch.cat([value, value]) if is_many else value for value in example.values())

    def training(path):
        mode = {"training": torch.onnx.TrainingMode.TRAINING, "do_constant_folding": False}
        copied = copy.deepcopy(module)
        for norm in copied.modules():
            norm.momentum = 0.0  # which else this run would train
        torch.onnx.export(copied, inputs, path, dynamo=False, opset_version=17, dynamic_axes=axes, **given, **mode)
        finish(path, name)

    if is_many:
        attempt(folder, "torch, legacy exporter, training=TRAINING", name, training)
    shapes = tuple({0: torch.export.Dim("batch", min=1, max=64)} for _ in names) if is_many else None
    program = []
    for opset in DYNAMO:

        def dynamo(path, opset=opset):
            if not program:
                program.append(torch.export.export(module, inputs, dynamic_shapes=shapes))
            torch.onnx.export(program[0], dynamo=True, opset_version=opset, verbose=False, **given).save(path)
            finish(path, name)

        attempt(folder, f"dynamo {opset}, {batch}", name, dynamo)


def finish(path, name):
    """Add the emap as InsightFace does: an initializer that no node reads."""
    if name == "inswapper_128":
        model = onnx.load(path)
        emap = np.random.default_rng(3).standard_normal((512, 512)).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(emap, "buff2fs"))
        onnx.save(model, path)


def attempt(folder, case, name, make):
    """Make a file, or write down why a tool can't."""
    (folder / case).mkdir(exist_ok=True)
    path = folder / case / f"{name}.onnx"
    try:
        make(str(path))
    except Exception as error:  # noqa: BLE001 - tools raise anything
        path.unlink(missing_ok=True)
        path.with_suffix(".txt").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
