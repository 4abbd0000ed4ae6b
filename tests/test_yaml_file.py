"""YAML is read within bounds, each key once; whatever else there is ends in a refusal of one line, never in a crash."""

import os
from pathlib import Path

import pytest

from morphstream.artifact.errors import ManifestError
from morphstream.yaml_file import MOST_BYTES, MOST_DEPTH, read_object, read_yaml

BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{index}: &a{index} [{', '.join([f'*a{index - 1}'] * 10)}]\n" for index in range(1, 9)
)
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{index}: &a{index} [*a{index - 1}]\n" for index in range(1, MOST_DEPTH + 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(b"[" * 200_000, "at most 32 levels", id="brackets"),
        pytest.param(b"{a: " * 200_000, "at most 32 levels", id="braces"),
        pytest.param(b"- " * 200_000, "at most 32 levels", id="dashes"),
        pytest.param("".join(f"{' ' * depth}a:\n" for depth in range(500)).encode(), "at most 32 levels", id="indents"),
        pytest.param(CHAIN.encode(), "at most 32 levels", id="aliases of aliases"),
        pytest.param(BOMB.encode(), "at most 200000 values", id="a bomb of aliases"),
        pytest.param(b"a: &a [*a]\n", "at most 200000 values", id="an alias of itself"),
        pytest.param(b"a: 1\nb: {c: 1, 'c': 2}\n", "every key once, seen 'c' in lines 2 and 2", id="a key twice"),
        pytest.param(b"a: 1\n" * 10, "every key once, seen 'a' in lines 1 and 2", id="a key ten times"),
        pytest.param("a: ü".encode("latin-1"), "expected YAML in UTF-8", id="Latin 1"),
        pytest.param("a: 1".encode("utf-16"), "expected YAML in UTF-8", id="UTF-16"),
        pytest.param(b"a: \0", "expected YAML in UTF-8", id="a NUL"),
        pytest.param(b"a: 1\n---\na: 2\n", "expected YAML in UTF-8", id="two documents"),
        pytest.param(b"? [a]\n: 1\n", "expected YAML in UTF-8", id="a key that is a list"),
        pytest.param(b"a: " + b"9" * 10_000, "expected YAML in UTF-8", id="a number of 10000 digits"),
        pytest.param(b"a: !!python/name:os.system", "expected YAML in UTF-8", id="a tag of Python's"),
        pytest.param(b"a: !!int ''", "expected YAML in UTF-8", id="a number without digits"),
        pytest.param(b"a: !!bool b", "expected YAML in UTF-8", id="a truth that is none"),
        pytest.param(b"a: !!timestamp b", "expected YAML in UTF-8", id="a time that is none"),
        pytest.param(b"#" * (MOST_BYTES + 1), f"at most {MOST_BYTES} bytes", id="a large file"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text)
    with pytest.raises(ManifestError, match=message) as error:
        read_yaml(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [{b: .nan}]", r"expected a finite number, seen NaN in a\[0\]\.b", id="NaN"),
        pytest.param("a: 2026-01-01", "expected what JSON has, seen a date in a", id="a date"),
        pytest.param("a: !!set {b}", "expected what JSON has, seen a set in a", id="a set"),
        pytest.param("a: {1: 2}", "names that are strings", id="a number for a name"),
        pytest.param(
            f"a: {'b' * 5000}", r'strings of at most 500 characters, seen "b{96}\.\.\. in a$', id="a long string"
        ),
        pytest.param(f"a: {{? {'b' * 900} : 1}}", 'characters, seen "b+.* in a$', id="a long name"),
        pytest.param("[a]", "expected an object, seen an array", id="a list"),
        pytest.param("", "expected an object, seen null", id="nothing"),
        pytest.param("!!set {a}", "expected what JSON has, seen a set$", id="a set alone"),
        pytest.param("2026-01-01", "expected what JSON has, seen a date$", id="a date alone"),
    ],
)
def test_an_object_has_what_json_has(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError, match=message):
        read_object(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(ManifestError, match="expected a regular file"):
        read_yaml(tmp_path / "a.yaml")


def test_values_may_be_shared_and_nested_as_people_do(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"a: &a {{x: 1}}\nb: [*a, {{<<: *a, y: 2}}]\nc: {'[' * (MOST_DEPTH - 1)}{']' * (MOST_DEPTH - 1)}")
    document = read_object(path)
    assert (document["a"], document["b"]) == ({"x": 1}, [{"x": 1}, {"x": 1, "y": 2}])
