"""What this machine is, what its store holds, what is missing, and the command that mends it."""

from dataclasses import dataclass

from morphstream.artifact.errors import DigestMismatchError, MorphstreamError, NoEngineError
from morphstream.artifact.vocabulary import GROUPS
from morphstream.store.machine import Machine
from morphstream.store.select import candidates, check_usable
from morphstream.store.store import CURRENT, Installed, Store

_ON_REQUEST = ("shared", "gfpgan")  # groups that a store may do without
_SWAP_GROUPS = {group for group in GROUPS if group.startswith(("inswapper_", "hyperswap_"))}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a doctor found.

    Attributes:
        lines: To be read by a person, one after the other.
        is_usable: Faces can be swapped here and now.
    """

    lines: tuple[str, ...]
    is_usable: bool

    def __str__(self) -> str:
        return "\n".join(self.lines)


def diagnose(store: Store, machine: Machine) -> Diagnosis:
    """Look at a machine and a store, every digest computed again; changes nothing."""
    lines = _lines_of_machine(machine)
    try:
        installed = store.current()
        lines += _lines_of_store(store, installed)
        store.verify()
        check_usable(installed.cache_key, machine)
        _check_groups(installed)
    except DigestMismatchError as error:
        mend = f"rm {store.path / CURRENT} && morphstream boot"
        return Diagnosis((*lines, f"usable     no: {error}; run: {mend}"), is_usable=False)
    except (MorphstreamError, OSError) as error:
        return Diagnosis((*lines, f"usable     no: {error}"), is_usable=False)
    return Diagnosis((*lines, "usable     yes"), is_usable=True)


def _lines_of_machine(machine: Machine) -> list[str]:
    gpus = f"{', '.join(machine.gpu_archs)}, driver {machine.driver}" if machine.gpu_archs else "none"
    reason = f" ({machine.no_gpu})" if machine.no_gpu else ""
    libraries = ", ".join(f"{library} {version}" for library, version in machine.libraries.items())
    bfloat16 = " with bfloat16" if machine.has_bfloat16 else ""
    key = next(map(str, candidates(machine)), "none: install morphstream[cpu], [gpu] or [rtx]")
    return [
        f"machine    {machine.arch}{bfloat16}",
        f"gpus       {gpus}{reason}",
        f"libraries  {libraries or 'none'}",
        f"would use  {key}",
    ]


def _lines_of_store(store: Store, installed: Installed) -> list[str]:
    sizes = [digest.bytes for digest in installed.digests.values()]
    total = f"{len(sizes)} files, {sum(sizes) / 2**20:.1f} MiB"
    lines = [f"store      {store.path}: {installed.cache_key} from {installed.archive}, {total}"]
    held: dict[str, list[str]] = {group: [] for group in GROUPS}
    for model, group in installed.models.items():
        held[group].append(model)
    lines += [f"  {group}: {', '.join(models)}" for group, models in held.items() if models]
    missing = [group for group, models in held.items() if not models and group not in _ON_REQUEST]
    return [*lines, f"missing    {', '.join(missing) or 'nothing'}"]


def _check_groups(installed: Installed) -> None:
    held = set(installed.models.values())
    if "core" not in held or not held & _SWAP_GROUPS:
        seen = ", ".join(sorted(held))
        remedy = "run: dvc repro && morphstream boot"
        raise NoEngineError(f"store: expected the group core and a swap model, seen {seen}; {remedy}")
