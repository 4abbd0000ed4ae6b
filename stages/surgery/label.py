"""How a refusal names a node, a value or an error: in one line, whatever a file puts into it."""

import onnx

_LONGEST, _LONGEST_ERROR = 80, 400  # of a name and of an error, in characters: refusals stay readable


def label_of(node: onnx.NodeProto, index: int) -> str:
    """Return ``node NAME``, or ``node OPERATOR #INDEX`` for one without a name."""
    return f"node {one_line(node.name) if node.name else f'{one_line(node.op_type)} #{index}'}"


def one_line(name: str) -> str:
    """Return a name as it is, or quoted where it has characters that break a line; cut where it is long."""
    text = name if name.isprintable() else repr(name)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def words_of(error: Exception) -> str:
    """Return a library's error in one line: what it says, and of which node."""
    text = " ".join(str(error).replace("[ShapeInferenceError]", "").split()) or "an unreadable file"
    return "".join(character if character.isprintable() else "?" for character in text)[:_LONGEST_ERROR]
