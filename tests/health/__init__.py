"""Tests of `morphstream.health`, and a reader of Prometheus' text that forgives nothing."""

import re
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (\+Inf|-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)")
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass
class Family:
    """One metric: its kind, and its samples by name, labels and their values, with commas between several."""

    kind: str
    samples: dict[tuple[str, str, str], float] = field(default_factory=dict)


def read_text(text: str) -> dict[str, Family]:
    """Return the metrics of a text in Prometheus' format 0.0.4; anything odd in it fails the test."""
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    name = ""
    for line in text.removesuffix("\n").split("\n"):
        if found := re.fullmatch(rf"# HELP ({_NAME}) \S[^\\]*", line):
            name = found[1]
            assert name not in families, f"{name} twice"
            families[name] = Family(kind="")
        elif found := re.fullmatch(rf"# TYPE ({_NAME}) (counter|gauge|histogram)", line):
            assert found[1] == name, "TYPE without its HELP"
            assert families[name].kind == "", f"TYPE of {name} twice"
            families[name].kind = found[2]
        else:
            found = _SAMPLE.fullmatch(line)
            assert found, f"no sample: {line!r}"
            assert families[name].kind, f"no TYPE before {line!r}"
            endings = ("_bucket", "_sum", "_count") if families[name].kind == "histogram" else ("",)
            assert found[1] in {name + ending for ending in endings}, f"{line!r} among those of {name}"
            labels = re.findall(_LABEL, found[2] or "")
            value = re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], ",".join(value for _, value in labels))
            place = (found[1], ",".join(label for label, _ in labels), value)
            assert place not in families[name].samples, f"{line!r} twice"
            families[name].samples[place] = float(found[found.re.groups])
    for name, family in families.items():
        assert family.kind != "counter" or name.endswith("_total")
        if family.kind == "histogram":
            _check_histogram(name, family)
    return families


def _check_histogram(name: str, family: Family) -> None:
    buckets = [(value, number) for (_, label, value), number in family.samples.items() if label == "le"]
    bounds, counts = [float(value) for value, _ in buckets], [number for _, number in buckets]
    assert buckets[-1][0] == "+Inf"
    assert bounds == sorted(set(bounds))
    assert counts == sorted(counts)
    assert counts[-1] == family.samples[f"{name}_count", "", ""]
    assert family.samples[f"{name}_sum", "", ""] >= 0


def number(text: str, name: str, label: str = "", value: str = "") -> float:
    """Return one number of a text."""
    name = f"morphstream_{name}"
    return read_text(text)[re.sub("_(bucket|sum|count)$", "", name)].samples[name, label, value]
