"""Diagnose a machine and its store: what they have, what would be used, what is wrong, and the command that repairs it.

Labels of lines: ``note`` is a warning, or keeps something better from use; each ``usable     no`` has to be repaired.
Faults of the machine come from `morphstream.machine.findings`, those of the store from here.
"""

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from morphstream.artifact.errors import (
    MOST_LETTERS,
    DigestMismatchError,
    ManifestError,
    MorphstreamError,
    NoEngineError,
    UntrustedError,
    message_of,
)
from morphstream.artifact.regular_file import UnfitFileError
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import ROLES, SWAP_MODEL
from morphstream.machine.findings import command_for, findings_of
from morphstream.machine.gpus import Gpu
from morphstream.machine.probe import Machine
from morphstream.machine.select import candidates, check_usable
from morphstream.store.store import CURRENT, Installed, Store
from morphstream.store.volume import OCCUPIED

_NEEDED = ("detector", "swapper")  # roles that no swap does without
_MOST_LETTERS = MOST_LETTERS - 20  # behind a label
_OPTIONAL = "restorer"  # comes on request alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What a machine and its store can do, for people and for programs.

    Attributes:
        lines: For people.
        facts: The same, as JSON has it.
        is_usable: Faces can be swapped here and now, if only on the CPU of a machine with GPUs.
    """

    lines: tuple[str, ...]
    facts: Mapping[str, object]
    is_usable: bool

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def to_json(self) -> str:
        """Return the facts as one JSON object."""
        return json.dumps({"is_usable": self.is_usable, **self.facts}, indent=2)


def diagnose(store: Store, machine: Machine, gpus: Sequence[Gpu] = (), *, shortages: Sequence[str] = ()) -> Diagnosis:
    """Diagnose a machine and a store, every digest computed again, and what of memory and threads a swap would lack."""
    findings, best = findings_of(machine), candidates(machine)
    stopped = {builder for finding in findings for builder in finding.stops}
    able = [key for key in best if key.builder not in stopped]
    installed, lines, faults = None, _lines_of_machine(machine, gpus), list[str]()
    try:
        installed = store.current()
        lines += _lines_of_store(store, installed)
        store.verify()
        faults += _faults(store, installed, machine)
    except (MorphstreamError, OSError) as error:
        faults.append(_explain(error, store))
    faults += shortages
    key = installed.cache_key if installed else None
    faults += [finding.text for finding in findings if key and key.builder in finding.stops]
    concerned = {key.builder for key in best[:1]}  # nobody would use the others here
    notes = [finding.text for finding in findings if not finding.stops or concerned.intersection(finding.stops)]
    if not faults and key and able and _device(key) == "the CPU" != _device(able[0]):
        remedy = f"if such an archive is published, run: {_command(store, 'boot --update')}"
        notes.append(f"store: expected {able[0]}, the best for this machine, seen {key}; {remedy}")
    used = None if faults else key
    others, notes = [other for other in able if other != used], [note for note in notes if note not in faults]
    lines.append(f"would use  {_choice(store, used, [f'{other} on {_device(other)}' for other in others])}")
    lines += [f"note       {message_of(note, _MOST_LETTERS)}" for note in notes]
    has_gpu = bool(machine.gpu_archs or machine.driver_files)
    on_cpu = ", on the CPU" if has_gpu and key and key.builder == "openvino" else ""
    lines += [f"usable     no: {message_of(fault, _MOST_LETTERS)}" for fault in faults] or [f"usable     yes{on_cpu}"]
    facts = {
        "would_use": str(used) if used else None,
        "others": [str(other) for other in others],
        "notes": notes,
        "faults": faults,
        "machine": asdict(machine),
        "gpus": [asdict(gpu) for gpu in gpus],
        "store": _facts_of_store(store, installed),
    }
    return Diagnosis(lines=tuple(lines), facts=facts, is_usable=not faults)


def _choice(store: Store, used: CacheKey | None, others: Sequence[str]) -> str:
    path = message_of(store.path, _MOST_LETTERS // 2)
    if used is None:
        return f"nothing from {path}; the best for this machine: {' or else '.join(others[:2]) or 'none'}"
    return f"{used} from {path} on {_device(used)}; second best: {next(iter(others), 'none')}"


def _facts_of_store(store: Store, installed: Installed | None) -> dict[str, object]:
    if installed is None:
        return {"path": str(store.path), "cache_key": None}
    return {
        "path": str(store.path),
        "cache_key": str(installed.cache_key),
        "archive": installed.archive,
        "bytes": sum(digest.bytes for digest in installed.manifest.digests.values()),
        "models": dict(installed.models),
        "licences": installed.licences,
        "is_trusted": installed.is_trusted,
        "root": _root_of(store),
        "missing": _missing(installed),
    }


def _lines_of_machine(machine: Machine, gpus: Sequence[Gpu]) -> list[str]:
    archs = f"{', '.join(machine.gpu_archs)}, driver {machine.driver}" if machine.gpu_archs else "none"
    reason = f" ({machine.no_gpu})" if machine.no_gpu else ""
    cuda = f"up to {machine.driver_cuda or 'an unknown version'} by the driver, libraries for {machine.cuda or 'none'}"
    libraries = ", ".join(f"{library} {version}" for library, version in machine.libraries.items())
    return [
        f"machine    {machine.arch}{' with bfloat16' if machine.has_bfloat16 else ''}",
        f"gpus       {archs}{reason}",
        *(f"  {gpu.index}: {gpu}" for gpu in gpus),
        *([f"cuda       {cuda}"] if machine.gpu_archs else []),
        f"libraries  {libraries or 'none'}",
    ]


def _root_of(store: Store) -> str | None:
    """Return in words which root a store asks for, or why that can't be read; None where it asks for none."""
    try:
        trust = store.trust()
        return str(trust) if trust else None
    except (UntrustedError, OSError) as error:
        return f"a root that can't be read ({message_of(error)})"


def _lines_of_store(store: Store, installed: Installed) -> list[str]:
    sizes = [digest.bytes for digest in installed.manifest.digests.values()]
    total = f"{len(sizes)} files, {sum(sizes) / 2**20:.1f} MiB"
    path = message_of(store.path, _MOST_LETTERS // 2)
    lines = [f"store      {path}: {installed.cache_key} from {installed.archive}, {total}"]
    models: dict[str, list[str]] = {}
    for model, group in installed.models.items():
        models.setdefault(group, []).append(model)
    lines += [f"  {group}: {', '.join(names)}" for group, names in sorted(models.items())]
    licences: dict[str, list[str]] = {}
    for model, licence in installed.licences.items():
        licences.setdefault(licence, []).append(model)
    lines += [f"licence    {licence}: {', '.join(names)}" for licence, names in sorted(licences.items())]
    root = _root_of(store)
    lines.append(f"signed     {f'as {root} says' if root else 'not asked for, as no root is configured'}")
    missing = _missing(installed)
    remedy = f"; for these run: {_completing(store, installed, missing)}" if missing else ""
    return [*lines, f"missing    {', '.join(missing) or 'nothing'}{remedy}"]


def _device(key: CacheKey) -> str:
    if key.builder == "openvino":
        return "the CPU"
    return "the GPU" if key.arch == "portable" else f"the GPU {key.arch}"


def _faults(store: Store, installed: Installed, machine: Machine) -> Iterator[str]:
    """Yield why a store can't be used here though it is whole."""
    try:
        check_usable(installed.cache_key, machine)
    except NoEngineError as error:
        fault, boot = str(error).partition("; ")[0], _command(store, "boot")
        installing = command_for(installed.cache_key, machine)
        yield f"{fault}; run: {installing}; or boot for this machine: {boot}" if installing else f"{error}: {boot}"
    if missing := [role for role in _missing(installed) if role in _NEEDED]:
        seen = ", ".join(sorted(set(installed.models.values()))) or "none"
        remedy = _completing(store, installed, missing)
        yield f"store: expected a detector and a swap model, seen the groups {seen} alone; run: {remedy}"


def _missing(installed: Installed) -> list[str]:
    """Return the roles that no model of a store has, as far as its manifest says which roles they have."""
    files = [file for file in installed.manifest.engine_files.values() if file.onnx_model]
    roles = {file.served_role for file in files}
    wanted = [role for role in ROLES if role != _OPTIONAL] if all(file.role for file in files) else _NEEDED
    return [role for role in wanted if role not in roles]


def _explain(error: MorphstreamError | OSError, store: Store) -> str:
    """Return what is wrong with a store that can't be read or isn't whole, and the remedy."""
    cause = error if isinstance(error, DigestMismatchError | OSError) else error.__cause__
    match cause:
        case FileNotFoundError() if Path(cause.filename or "").name == CURRENT:
            return f"store {store.path}: expected engines, seen none; run: {_command(store, 'boot')}"
        case FileNotFoundError():
            seen = f"{Path(cause.filename or '').name}: expected a file, seen none"
        case DigestMismatchError() | ManifestError():
            seen = str(cause).removesuffix("; fetch or build it again")
        case UnfitFileError():
            return str(error)
        case OSError(strerror=str(text)) if text.startswith("store "):  # the store's own explanation
            return text
        case OSError(strerror=str()):
            at = f" of {cause.filename}" if cause.filename else ""
            remedy = f"mount it again or let this user read it: chmod -R a+rX {shlex.quote(str(store.path))}"
            remedy = "move it away, or name another store" if cause.errno in OCCUPIED else remedy
            return f"store {store.path}: expected files to read, seen {cause.strerror}{at}; {remedy}"
        case _:
            return str(error)
    return f"store {store.path} is damaged: {seen}; run: {_command(store, 'boot --verify')}"


def _command(store: Store, words: str) -> str:
    """Return a command for a store, which is named unless it is the command's default."""
    is_default = store.path == Path(os.environ.get("MORPHSTREAM_STORE") or "store")
    return f"morphstream {words}" if is_default else f"morphstream {words} --store {shlex.quote(str(store.path))}"


def _completing(store: Store, installed: Installed, missing: Sequence[str]) -> str:
    """Return the command that brings roles into a store; if it holds the whole publication, they must be built."""
    if installed.is_whole and not installed.added:  # else groups may have been evicted
        return f"dvc repro && {_command(store, 'boot --update')}"
    return _command(store, f"download {SWAP_MODEL}" if missing == ["swapper"] else "boot --update")
