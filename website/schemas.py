"""The reference of the manifests: a page of each JSON Schema, with a table of each object in it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from website.markdown import code, fence, table

Schema = Mapping[str, Any]


def schema_pages(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the Markdown of the page of each schema in a folder."""
    for path in sorted(folder.glob("*.schema.json")):
        text = path.read_text("utf-8")
        name = path.name.removesuffix(".schema.json")
        yield f"reference/{name}.md", _page(name, json.loads(text), text)


def _page(name: str, schema: Schema, text: str) -> str:
    parts = [
        f"# Schema: {name}\n",
        f"{schema['title']}. [The specification](manifests.md) says what the keys mean.\n",
        *_object("The document", schema),
    ]
    for kind, definition in schema.get("$defs", {}).items():
        if "properties" in definition:
            parts += _object(kind, definition)
    simple = [(code(kind), _kind(one)) for kind, one in schema.get("$defs", {}).items() if "properties" not in one]
    parts += ["## Spellings\n", table(["name", "is"], simple), "## The schema\n", fence(text, "json")]
    return "\n".join(parts)


def _object(title: str, schema: Schema) -> Iterator[str]:
    yield f"## {title}\n"
    required = schema.get("required", ())
    rows = ((code(key), _kind(value), "yes" if key in required else "") for key, value in schema["properties"].items())
    yield table(["key", "value", "required"], rows)


def _kind(schema: Schema) -> str:
    """Return in words what a value has to be."""
    if "$ref" in schema:
        kind = schema["$ref"].rsplit("/", 1)[-1]
        return f"{kind}, {code(schema['pattern'])}" if "pattern" in schema else kind
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    if "enum" in schema:
        return " or ".join(code(json.dumps(value)) for value in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_kind(one) for one in schema[key])
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"{_kind(schema.get('propertyNames', {'type': 'string'}))} → {_kind(schema['additionalProperties'])}"
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if isinstance(schema.get("items"), dict) else "list"
    kind = schema.get("type", "any value")
    words = [" or ".join(kind) if isinstance(kind, list) else str(kind)]
    words += [f"from {schema['minimum']}"] if "minimum" in schema else []
    words += [code(schema["pattern"])] if "pattern" in schema else []
    return ", ".join(words)
