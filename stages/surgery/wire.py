"""Scan an ONNX file's bytes before they are parsed, so that a small file can't fill the memory.

Source: Protocol Buffers, "Encoding".
"""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from morphstream.artifact.errors import ModelError

_FIELDS = 1_000_000  # in a file; a real model of 1 000 nodes has about 30 000
_PACKED_BYTES = 1 << 26  # of packed variable-length integers, which grow eightfold in memory
_WIDTHS = {1: 8, 5: 4}  # bytes of the wire types with a fixed width
_VARINT, _LENGTH = 0, 2  # the other wire types
_DEPTH = 60  # messages within messages; each graph within a graph adds three


def check_wire(data: bytes, message: Descriptor) -> None:
    """Check that a file has the structure of a message, and no more fields than a real model.

    Raises:
        ModelError: The structure is broken, or a limit is exceeded.
    """
    pending: list[tuple[int, int, Descriptor, int]] = [(0, len(data), message, 0)]
    fields = packed = 0
    while pending:
        at, end, kind, depth = pending.pop()
        if depth > _DEPTH:
            raise ModelError(f"expected at most {_DEPTH} messages within each other, seen more; fetch it again")
        while at < end:
            tag, at = _varint(data, at, end)
            field, wire = kind.fields_by_number.get(tag >> 3), tag & 7
            fields += 1
            if wire == _VARINT:
                _, at = _varint(data, at, end)
                continue
            size = _WIDTHS.get(wire, -1)
            if wire == _LENGTH:
                size, at = _varint(data, at, end)
                if field is not None and field.message_type is not None:
                    pending.append((at, at + size, field.message_type, depth + 1))
                elif field is not None and field.cpp_type not in _COMPACT:
                    packed += size
            if size < 0 or at + size > end or fields > _FIELDS or packed > _PACKED_BYTES:
                raise ModelError(_fault(at, size, end, fields, packed))
            if field is not None and field.type == FieldDescriptor.TYPE_STRING:
                _check_text(data[at : at + size], at)
            at += size


_COMPACT = (FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def _fault(at: int, size: int, end: int, fields: int, packed: int) -> str:
    if fields > _FIELDS or packed > _PACKED_BYTES:
        return f"expected at most {_FIELDS} fields and {_PACKED_BYTES} bytes of integers, seen more; fetch it again"
    return f"expected a valid ONNX model, seen a field of {size} bytes at byte {at} of {end}; fetch it again"


def _check_text(text: bytes, at: int) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise ModelError(f"expected names in UTF-8, seen other bytes at byte {at}; fetch it again") from None


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a variable-length integer and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise ModelError(f"expected a valid ONNX model, seen a number that doesn't end at byte {at}; fetch it again")
