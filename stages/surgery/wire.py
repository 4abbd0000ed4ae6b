"""Scan an ONNX file's bytes before they are parsed: a small file can't fill the memory, nor a large one by its weights.

Source: Protocol Buffers, "Encoding".
"""

from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from onnx import GraphProto, TensorProto

from morphstream.artifact.errors import ModelError

_FIELDS = 1_000_000  # in a file; a real model of 1 000 nodes has about 30 000
_PACKED_BYTES = 1 << 26  # of packed variable-length integers, which grow eightfold in memory
_WIDTHS = {1: 8, 5: 4}  # bytes of the wire types with a fixed width
_VARINT, _LENGTH = 0, 2  # the other wire types
_DEPTH = 60  # messages within messages; each graph within a graph adds three
_LARGE = 4096  # bytes of a tensor's numbers that are no shape, axis or scalar
_COMPACT = (FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
_AS_STORED = {  # fields of a tensor whose bytes are its numbers, and the type they are for; raw_data is for each
    TensorProto.RAW_DATA_FIELD_NUMBER: None,
    TensorProto.FLOAT_DATA_FIELD_NUMBER: TensorProto.FLOAT,
    TensorProto.DOUBLE_DATA_FIELD_NUMBER: TensorProto.DOUBLE,
}
_WITH_WEIGHTS = (GraphProto.DESCRIPTOR, TensorProto.DESCRIPTOR)
_NO_NUMBERS = {
    *(TensorProto.DIMS_FIELD_NUMBER, TensorProto.DATA_TYPE_FIELD_NUMBER, TensorProto.NAME_FIELD_NUMBER),
    *(TensorProto.DOC_STRING_FIELD_NUMBER, TensorProto.METADATA_PROPS_FIELD_NUMBER),
}

Data = bytes | mmap


class _Field(NamedTuple):
    """One field of a message: where its tag begins, and its content begins and ends."""

    number: int
    wire: int
    start: int
    at: int
    end: int
    value: int  # of a variable-length integer


def check_wire(data: Data, message: Descriptor) -> None:
    """Check that a file has the structure of a message, and no more fields than a real model."""
    pending: list[tuple[int, int, Descriptor, int]] = [(0, len(data), message, 0)]
    fields = packed = 0
    while pending:
        at, end, kind, depth = pending.pop()
        if depth > _DEPTH:
            raise ModelError(f"expected at most {_DEPTH} messages within each other, seen more; fetch it again")
        for found in _fields(data, at, end):
            field, size = kind.fields_by_number.get(found.number), found.end - found.at
            fields += 1
            if found.wire == _LENGTH and field is not None and field.message_type is not None:
                pending.append((found.at, found.end, field.message_type, depth + 1))
            elif found.wire == _LENGTH and field is not None and field.cpp_type not in _COMPACT:
                packed += size
            if fields > _FIELDS or packed > _PACKED_BYTES:
                limits = f"{_FIELDS} fields and {_PACKED_BYTES} bytes of integers"
                raise ModelError(f"expected at most {limits}, seen more; fetch it again")
            if found.wire == _LENGTH and field is not None and field.type == FieldDescriptor.TYPE_STRING:
                _check_text(data[found.at : found.end], found.at)


def without_weights(data: Data, message: Descriptor, location: str) -> bytes:
    """Return a checked file's bytes without the numbers of its graph's large initializers.

    They become what ONNX calls external data, in the file itself, whose name in its folder is `location`.
    """
    return _lightened(data, 0, len(data), message, location)


def _lightened(data: Data, at: int, end: int, kind: Descriptor, location: str) -> bytes:
    if kind == TensorProto.DESCRIPTOR:
        return _light_tensor(data, at, end, location)
    pieces, kept = list[bytes](), at
    for found in _fields(data, at, end):
        field = kind.fields_by_number.get(found.number)
        if found.end - found.at > _LARGE and field is not None and field.message_type in _WITH_WEIGHTS:
            inner = _lightened(data, found.at, found.end, field.message_type, location)
            pieces += [data[kept : found.start], tag_of(found.number, len(inner)), inner]
            kept = found.end
    return b"".join([*pieces, data[kept:end]])


def _light_tensor(data: Data, at: int, end: int, location: str) -> bytes:
    fields = list(_fields(data, at, end))
    numbers = [one for one in fields if one.number not in _NO_NUMBERS]
    if len(numbers) != 1 or numbers[0].wire != _LENGTH or numbers[0].number not in _AS_STORED:
        return bytes(data[at:end])
    (found,) = numbers
    types = [one.value for one in fields if one.number == TensorProto.DATA_TYPE_FIELD_NUMBER]
    if found.end - found.at <= _LARGE or _AS_STORED[found.number] not in (None, *types[-1:]):
        return bytes(data[at:end])
    reference = TensorProto(data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": found.at, "length": found.end - found.at}.items():
        reference.external_data.add(key=key, value=str(value))
    return b"".join([data[at : found.start], reference.SerializeToString(deterministic=True), data[found.end : end]])


def tag_of(field: int, size: int) -> bytes:
    """Return the tag and the length that precede a message inside another."""
    encoded = bytes([field << 3 | _LENGTH])
    while size > 127:
        encoded += bytes([size & 127 | 128])
        size >>= 7
    return encoded + bytes([size])


def _fields(data: Data, at: int, end: int) -> Iterator[_Field]:
    while at < end:
        start = at
        tag, at = _varint(data, at, end)
        wire, size, value = tag & 7, _WIDTHS.get(tag & 7, -1), 0
        if wire == _VARINT:
            value, after = _varint(data, at, end)
            size = after - at
        elif wire == _LENGTH:
            size, at = _varint(data, at, end)
        if size < 0 or at + size > end:
            seen = f"a field of {size} bytes at byte {at} of {end}"
            raise ModelError(f"expected a valid ONNX model, seen {seen}; fetch it again")
        yield _Field(tag >> 3, wire, start, at, at + size, value)
        at += size


def _check_text(text: bytes, at: int) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise ModelError(f"expected names in UTF-8, seen other bytes at byte {at}; fetch it again") from None


def _varint(data: Data, at: int, end: int) -> tuple[int, int]:
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
