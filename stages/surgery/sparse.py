"""Write sparse constants as dense ones: few runtimes read them, and no conversion to half precision does."""

import math

import numpy as np
import onnx
from onnx import SparseTensorProto, TensorProto, helper, numpy_helper

from stages.surgery.tensors import check_tensor, graphs_of, refused_tensor
from stages.surgery.weights import array_of

_BYTES = 1 << 28  # of a dense one; a small file may declare any


def to_dense(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without sparse initializers and sparse constants; modifies the model."""
    for graph in graphs_of(model.graph):
        graph.initializer.extend(_dense(sparse, sparse.values.name) for sparse in graph.sparse_initializer)
        graph.ClearField("sparse_initializer")
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.HasField("sparse_tensor"):
                    dense = _dense(attribute.sparse_tensor, node.output[0])
                    attribute.CopyFrom(helper.make_attribute("value", dense))
    return model


def _dense(sparse: SparseTensorProto, name: str) -> TensorProto:
    values, indices, dims = sparse.values, sparse.indices, tuple(sparse.dims)
    for tensor in (values, indices):
        check_tensor(tensor)
    size, count = math.prod(dims), math.prod(values.dims)
    width = helper.tensor_dtype_to_np_dtype(values.data_type).itemsize
    is_flat = list(indices.dims) == [count]
    if any(dim < 0 for dim in dims) or size * width > _BYTES or indices.data_type != TensorProto.INT64:
        raise refused_tensor(values, f"a sparse constant of at most {_BYTES} bytes", f"dims {list(dims)[:8]}")
    places = array_of(indices).astype(np.int64)
    if not is_flat and list(indices.dims) == [count, len(dims)]:
        inside = (places >= 0).all() and (places < np.array(dims)).all()
        places = np.ravel_multi_index(tuple(places.T), dims) if inside and count else np.full(count, -1)
    elif not is_flat:
        raise refused_tensor(values, f"an index for each of {count} numbers", f"indices of {list(indices.dims)[:8]}")
    if not ((places >= 0) & (places < size)).all():
        raise refused_tensor(values, f"indices within {list(dims)[:8]}", "others")
    dense = np.zeros(size, helper.tensor_dtype_to_np_dtype(values.data_type))
    dense[places] = array_of(values).ravel()
    return numpy_helper.from_array(dense.reshape(dims), name)
