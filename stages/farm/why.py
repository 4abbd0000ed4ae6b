"""Why a stage is stale: how what it was made from, as dvc.lock has it, differs from what is there now."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency

IS_STALE = " is stale"
_SOURCES = ("stages", "runtime", "manifests/schema")
_STATES = {"deleted": "is missing", "modified": "was altered", "not in cache": "is not in DVC's cache"}


def reasons(stage: Any, declared: Mapping[str, bytes], stale: Mapping[str, str]) -> Iterator[str]:
    """Yield why DVC would run a stage that dvc.lock has; nothing, if it wouldn't.

    Args:
        stage: The stage, as DVC has it.
        declared: The files that the stage `declare` would write now, by path.
        stale: The stale stage that makes a file or folder, by path; a stage may depend on a part of a folder.
    """
    if stage.cmd_changed:
        yield "its command changed"
    for dep in stage.deps:
        path = dep.def_path
        if path in declared:
            yield from _declared(dep, declared[path])
        elif isinstance(dep, ParamsDependency):
            yield from differences(dep.hash_info.value or {}, dep.read_params())
        elif maker := next((stale[above] for above in (path, *map(str, Path(path).parents)) if above in stale), None):
            yield maker + IS_STALE
        elif dep.workspace_status():
            yield f"source of {path} changed" if path.startswith(_SOURCES) else f"{path} changed"
    for out in stage.outs:
        for state in (out.workspace_status() or out.status()).values():
            yield f"{out.def_path} {_STATES.get(state, state)}"


def differences(old: Any, new: Any, *where: str) -> Iterator[str]:
    """Yield in words how parameters, or what `declare` writes of them, differ below some keys."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from differences(old.get(key), new.get(key), *where, key)
    elif old == new:
        return
    elif where[-1] == "source":
        yield "its source changed"
    elif "toolchain" in where[:-1]:
        yield f"toolchain: {where[-1]} {_change(old, new)}"
    else:
        yield f"params: {'.'.join(where)} {_change(old, new)}"


def declared_differences(old: Any, new: Any) -> Iterator[str]:
    """Yield in words how declarations of a stage differ, and of one that does several things, for which of them."""
    if "targets" not in new:
        yield from differences(old, new)
        return
    parts = [{**one.get("targets", {}), **{key: one[key] for key in one if key != "targets"}} for one in (old, new)]
    for name in {**parts[0], **parts[1]}:
        before, after = (part.get(name) for part in parts)
        words = [_change(before, after)] if before is None or after is None else differences(before, after)
        yield from (f"{name}: {word}" for word in words)


def _change(old: Any, new: Any) -> str:
    if isinstance(old, dict) or isinstance(new, dict):
        return "is new" if old is None else "is gone"
    if isinstance(old, list) and isinstance(new, list) and all(isinstance(item, str) for item in [*old, *new]):
        moved = [f"-{item}" for item in old if item not in new] + [f"+{item}" for item in new if item not in old]
        return " ".join(moved) or "in another order"
    return f"{_word(old)} -> {_word(new)}"


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _declared(dep: Any, now: bytes) -> Iterator[str]:
    """Compare a declaration with the one that dvc.lock names, which is in its place or in DVC's cache."""
    locked = dep.hash_info.value
    if locked == _md5(now):
        return
    if locked is not None:
        for path in (Path(dep.fs_path), Path(dep.repo.cache.local.oid_to_path(locked))):
            if path.is_file() and _md5(data := path.read_bytes()) == locked:
                yield from declared_differences(json.loads(data), json.loads(now))
                return
    yield f"{dep.def_path} changed"


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()  # as DVC names content
