"""Join a detector's nine outputs into one, a row per anchor: its score, its box's sides and its points' offsets.

One output is one copy from the GPU. TensorRT for RTX orders several outputs by their addresses, so each build differs
(docs/adr/0004-rtx-batches.md).
"""

from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from morphstream.artifact.errors import ModelError
from stages.surgery.contract import STRIDES, anchors_of
from stages.surgery.nodes import dims_of, replace_all

WIDTHS = {"score": 1, "bbox": 4, "kps": 10}  # in the order of a row's numbers


def join_outputs(model: onnx.ModelProto, joined: str) -> onnx.ModelProto:
    """Replace outputs ``score_8 ... kps_32``, each ``(N, rows, width)``, by one ``(N, all rows, 15)``.

    Its rows are those of the strides 8, 16 and 32.
    """
    edited = deepcopy(model)
    graph = edited.graph
    rows = 0
    for stride in STRIDES:
        names = [f"{role}_{stride}" for role in WIDTHS]
        graph.node.append(helper.make_node("Concat", names, [f"{joined}_{stride}"], f"{joined}_{stride}", axis=2))
        score = next(value for value in graph.output if value.name == names[0])
        rows += score.type.tensor_type.shape.dim[1].dim_value
    graph.node.append(helper.make_node("Concat", [f"{joined}_{s}" for s in STRIDES], [joined], joined, axis=1))
    kind, (batch, counted, _) = score.type.tensor_type.elem_type, dims_of(score)
    shape = [batch, rows or counted, sum(WIDTHS.values())]  # open where the image's sides are
    replace_all(graph.output, [helper.make_tensor_value_info(joined, kind, shape)])
    return edited


def counts_of(rows: int, height: int, width: int) -> dict[str, int]:
    """Return the number of elements of each of the nine outputs, for rows of images of a size together."""
    return {
        f"{role}_{stride}": rows * anchors_of(height, width, stride) * count
        for stride in STRIDES
        for role, count in WIDTHS.items()
    }


def part_outputs(array: npt.NDArray[np.generic], sizes: Mapping[str, int]) -> dict[str, npt.NDArray[np.generic]]:
    """Split a joined output into the nine that it was made of.

    Args:
        array: ``(N, all rows, 15)``.
        sizes: The number of elements of each of the nine, for all N rows together.

    Raises:
        ModelError: It has another shape.
    """
    total, width = sum(sizes.values()), sum(WIDTHS.values())
    if array.ndim != 3 or array.shape[2] != width or array.size != total:
        raise ModelError(f"anchors: expected {total // width} rows of {width} numbers, seen a shape of {array.shape}")
    parts, row = {}, 0
    for stride in STRIDES:
        count, column = sizes[f"score_{stride}"] // len(array), 0
        for role, width in WIDTHS.items():
            parts[f"{role}_{stride}"] = array[:, row : row + count, column : column + width]
            column += width
        row += count
    return parts
