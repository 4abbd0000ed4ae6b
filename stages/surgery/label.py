"""Names of nodes and values, and texts of errors, for a refusal: always one line, whatever the file contains."""

import onnx

_LONGEST, _LONGEST_ERROR = 80, 400  # characters of a name and of an error, so that refusals stay readable


def label_of(node: onnx.NodeProto, index: int) -> str:
    """Return ``node NAME``, or ``node OPERATOR #INDEX`` for one without a name."""
    return f"node {one_line(node.name) if node.name else f'{one_line(node.op_type)} #{index}'}"


def one_line(name: str) -> str:
    """Return a name, quoted if it is empty or has unprintable characters, and shortened if it is long."""
    text = name if name and name.isprintable() else repr(name)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def error_line(error: Exception) -> str:
    """Return a library's error message in one line."""
    text = " ".join(str(error).replace("[ShapeInferenceError]", "").split()) or "an unreadable file"
    return "".join(character if character.isprintable() else "?" for character in text)[:_LONGEST_ERROR]
